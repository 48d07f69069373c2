// Turn probabilities into rows: answer, reason and caution of each face (src/mien/inference/postprocess.py).

import type { BundleConfig } from "./config.js";
import { decide, type Rule } from "./decision.js";
import { roundTo } from "./numbers.js";
import type { Box, Detection, Face, Point, Row } from "./results.js";

export const EXPRESSIONS: readonly string[] = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"];

/** A face is small if its shorter side has fewer pixels than this. */
const MIN_FACE = 32;
/** An image is a photograph if its shorter side has so many pixels and is so many times the network's input. */
const PHOTOGRAPH = 400;
const TIMES = 3;

export const NO_FACE = "no face was found; if the image is a cropped face, use it whole, without detection";

/** What of a reader's options a row depends on. */
export interface RowOptions {
  readonly config: BundleConfig;
  readonly rule: Rule;
  readonly detect: boolean;
  /** Whether photographs are read whole, though nobody asked for that. */
  readonly overlooksFaces: boolean;
}

/** Join the reasons that there are; null if there is none. */
export const joinReasons = (...reasons: (string | null)[]): string | null =>
  reasons.filter((reason) => reason).join("; ") || null;

/** Return the face at a box, or (null) the whole image, with these probabilities of the labels. */
export function toFace(options: RowOptions, box: Box, found: Detection | null, row: readonly number[]): Face {
  const { labels } = options.config;
  const answer = decide(options.rule, row);
  const byLabel = Object.fromEntries(labels.map((label, column) => [label, row[column]!]));
  const face: Face = {
    box,
    score: found ? roundTo(found.score, 4) : null,
    landmarks: found ? found.landmarks.map(([x, y]): Point => [roundTo(x, 1), roundTo(y, 1)]) : null,
    answer: answer.label,
    probability: answer.probability,
    why: joinReasons(answer.why, caution(options, box, found)),
    probabilities: answer.probabilities,
  };
  if (labels.includes("happy") && labels.includes("sad")) face.two_way = twoWay(byLabel["happy"]!, byLabel["sad"]!);
  const isAll = labels.length === EXPRESSIONS.length && EXPRESSIONS.every((name) => labels.includes(name));
  if (isAll) face.expressions = byLabel;
  return face;
}

function twoWay(happy: number, sad: number): Record<string, number> {
  const share = happy + sad > 0 ? happy / (happy + sad) : 0.5;
  return { happy: share, sad: 1 - share };
}

/** Say what makes an answer less sure than its probability. */
function caution({ config, overlooksFaces }: RowOptions, box: Box, found: Detection | null): string | null {
  const shorter = Math.min(box.width, box.height);
  if (found) return shorter < MIN_FACE ? `the face has only ${box.width}x${box.height} pixels` : null;
  const isPhotograph = shorter >= Math.max(PHOTOGRAPH, TIMES * config.inputSize);
  return overlooksFaces && isPhotograph ? "read whole, though it is as large as a photograph" : null;
}

/** Return the row of an image that was decoded. */
export function toRow(
  options: RowOptions, source: string, size: { width: number; height: number }, faces: Face[], note: string | null,
): Row {
  return {
    source,
    status: faces.length ? "ok" : "no_face",
    reason: faces.length ? note : NO_FACE,
    width: size.width,
    height: size.height,
    model: options.config.name,
    detect: options.detect,
    faces,
  };
}

/** Return the row of an image that cannot be read. */
export const unreadableRow = ({ config, detect }: RowOptions, source: string, reason: string): Row => ({
  source, status: "unreadable", reason, width: null, height: null, model: config.name, detect, faces: [],
});
