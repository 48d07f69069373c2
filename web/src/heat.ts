// Class activation maps as heatmaps, as src/mien/explanation/saliency.py computes them (Zhou et al., 2016).

import type { Face } from "./results.js";

/** Maps of one crop, as the graph gives them: rows x columns x labels. */
export interface Maps {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly labels: number;
}

/** The label that a face is explained for by default: its answer, or (for `neither`) its most probable label. */
export function labelToExplain(labels: readonly string[], face: Face): string {
  if (labels.includes(face.answer)) return face.answer;
  const byLabel = face.expressions ?? face.probabilities;
  return labels
    .filter((label) => Object.hasOwn(byLabel, label))
    .reduce((best, label) => (byLabel[label]! > byLabel[best]! ? label : best));
}

/** Return the evidence for a label, size x size values in [0, 1]; all 0 if nothing speaks for it. */
export function heatmap(maps: Maps, label: number, size: number): Float32Array {
  const { data, rows, columns, labels } = maps;
  const chosen = Float32Array.from({ length: rows * columns }, (_, cell) => {
    const value = data[cell * labels + label]!;
    // One of two logits may always be 0: the evidence is the difference.
    return labels === 2 ? value - data[cell * labels + 1 - label]! : value;
  });
  const heat = enlarge(chosen, columns, rows, size).map((value) => Math.max(value, 0));
  const peak = heat.reduce((top, value) => Math.max(top, value), 0);
  return peak > 0 ? heat.map((value) => value / peak) : heat;
}

/** Resize a map to a square as Pillow's BILINEAR does for floats, which smooths if the map is larger. */
function enlarge(map: Float32Array, columns: number, rows: number, size: number): Float32Array {
  if (columns === size && rows === size) return map;
  const wide = new Float32Array(rows * size);
  eachTap(columns, size, (to, from, weight) => {
    for (let y = 0; y < rows; y += 1) wide[y * size + to]! += map[y * columns + from]! * weight;
  });
  const found = new Float32Array(size * size);
  eachTap(rows, size, (to, from, weight) => {
    for (let x = 0; x < size; x += 1) found[to * size + x]! += wide[from * size + x]! * weight;
  });
  return found;
}

function eachTap(length: number, size: number, use: (to: number, from: number, weight: number) => void): void {
  const scale = length / size;
  const stretch = Math.max(scale, 1);
  for (let to = 0; to < size; to += 1) {
    const centre = (to + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - stretch + 0.5), 0);
    const end = Math.min(Math.trunc(centre + stretch + 0.5), length);
    const weights = Array.from({ length: end - first }, (_, n) =>
      Math.max(1 - Math.abs((n + first - centre + 0.5) / stretch), 0),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, n) => use(to, first + n, weight / total));
  }
}
