// Heatmaps in the colours of src/mien/viz/overlay.py, to be drawn over an image.

import { round } from "./numbers.js";
import type { Heatmap } from "./results.js";

/** Viridis (van der Walt and Smith, 2015) at 17 even steps: even to the eye, also with colour blindness. */
const ANCHORS =
  "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 " +
  "d8e219 fde725";
const TABLE = ANCHORS.split(" ").map((colour) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16)));

/** Return the colour of a value in [0, 1]: dark violet is 0, bright yellow is 1. */
export function colourOf(value: number): [number, number, number] {
  const place = Math.min(Math.max(value || 0, 0), 1) * (TABLE.length - 1);
  const lower = Math.min(Math.floor(place), TABLE.length - 2);
  const share = place - lower;
  return [0, 1, 2].map((n) => round((1 - share) * TABLE[lower]![n]! + share * TABLE[lower + 1]![n]!)) as [
    number, number, number,
  ];
}

/** Return a heatmap as an image, `size` pixels a side; less heat is more transparent. Draw it into its `corners`. */
export function heatLayer({ heat, size }: Heatmap): ImageData {
  const layer = new ImageData(size, size);
  heat.forEach((value, n) => layer.data.set([...colourOf(value), round(255 * (0.2 + 0.8 * value))], 4 * n));
  return layer;
}
