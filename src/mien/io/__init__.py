"""Read and write files: images, archives, videos, rows. Nothing here knows what a face is."""
