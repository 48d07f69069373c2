// YuNet's outputs as faces, decoded as src/mien/faces/yunet.py does (Wu, Peng and Yu, 2023).

export const INPUT_SIDE = 640;
export const INPUT_MULTIPLE = 32;
const STRIDES = [8, 16, 32] as const;
/** Two boxes with a larger intersection over union are one face. */
const IOU_THRESHOLD = 0.3;

export const DETECTOR_FILE = "yunet_2023mar.onnx";
export const DETECTOR_SHA256 = "40b4e3b3e647493b422620cacb6cecfef77ec53584337701f441d2ebd8a59b9b";
export const DETECTOR_OUTPUTS: readonly string[] = ["cls", "obj", "bbox", "kps"].flatMap((part) =>
  STRIDES.map((stride) => `${part}_${stride}`),
);

/** A possible face: left, top, right and bottom, ten coordinates of its five landmarks, and its score. */
export interface Candidate {
  readonly box: readonly [number, number, number, number];
  readonly landmarks: readonly number[];
  readonly score: number;
}

/** The network's raw outputs by name, each of one input, flat. */
export type Outputs = Readonly<Record<string, Float32Array>>;

const f = Math.fround;
const clipped = (value: number): number => Math.min(Math.max(value, 0), 1);

/** Decode the raw outputs for an input of `width` pixels into candidates, best first, one per face. */
export function decodeOutputs(outputs: Outputs, threshold: number, width: number): Candidate[] {
  const found: Candidate[] = [];
  for (const stride of STRIDES) {
    const [cls, obj] = [outputs[`cls_${stride}`]!, outputs[`obj_${stride}`]!];
    const [bbox, kps] = [outputs[`bbox_${stride}`]!, outputs[`kps_${stride}`]!];
    const columns = Math.floor(width / stride);
    for (let cell = 0; cell < cls.length; cell += 1) {
      // Each cell gives two probabilities, whose geometric mean is the score.
      const score = f(Math.sqrt(f(clipped(cls[cell]!) * clipped(obj[cell]!))));
      if (!(score >= threshold)) continue;
      const [column, row] = [cell % columns, Math.floor(cell / columns)];
      const [x, y] = [f(f(column + bbox[4 * cell]!) * stride), f(f(row + bbox[4 * cell + 1]!) * stride)];
      const halfWidth = f(f(f(Math.exp(bbox[4 * cell + 2]!)) * stride) / 2);
      const halfHeight = f(f(f(Math.exp(bbox[4 * cell + 3]!)) * stride) / 2);
      const landmarks = Array.from({ length: 10 }, (_, n) =>
        f(f(kps[10 * cell + n]! + (n % 2 === 0 ? column : row)) * stride),
      );
      found.push({ box: [f(x - halfWidth), f(y - halfHeight), f(x + halfWidth), f(y + halfHeight)], landmarks, score });
    }
  }
  return suppress(found);
}

/** Keep the best of the candidates that overlap by more than `IOU_THRESHOLD`, best first. */
export function suppress(candidates: readonly Candidate[]): Candidate[] {
  let left = [...candidates].sort((a, b) => b.score - a.score);
  const kept: Candidate[] = [];
  while (left.length) {
    const [best, ...others] = left as [Candidate, ...Candidate[]];
    kept.push(best);
    left = others.filter((other) => iou(best.box, other.box) <= IOU_THRESHOLD);
  }
  return kept;
}

/** Return the intersection over union of two boxes, in [0, 1]. */
export function iou(a: Candidate["box"], b: Candidate["box"]): number {
  const wide = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0);
  const high = Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
  const union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high;
  return (wide * high) / Math.max(union, 1e-37);
}
