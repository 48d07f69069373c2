"""Draw: charts, annotated images, heatmap overlays, mosaics, timelines. The only room that draws."""
