// Rows: the same fields, in the same order, as Python's `ImageResult.to_dict()` and the server's answers.

import { round } from "./numbers.js";

/** A rectangle in whole pixels of the upright image. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** x and y in pixels. */
export type Point = readonly [number, number];

/** A detected face: five landmarks (right eye, left eye, nose, right and left corner of the mouth) and a score. */
export interface Detection {
  readonly box: Box;
  readonly landmarks: readonly Point[];
  readonly score: number;
}

/** One face and the answer for it. */
export interface Face {
  box: Box;
  /** The detector's confidence, in [0, 1]; null if the whole image was classified. */
  score: number | null;
  landmarks: Point[] | null;
  answer: string;
  /** Probability of the answer, in [0, 1]. */
  probability: number;
  /** Why the answer is not the most probable label, or what makes it less sure. */
  why: string | null;
  /** Probability of every possible answer. */
  probabilities: Record<string, number>;
  /** The number of the person in a stream, from 1. */
  person?: number;
  /** Happy against sad, if the model knows both. */
  two_way?: Record<string, number>;
  /** All seven expressions, if the model knows them. */
  expressions?: Record<string, number>;
}

/** The answer for one image. */
export interface Row {
  source: string;
  status: "ok" | "no_face" | "unreadable";
  /** Why the status is not `ok`, or a note on an image that was read. */
  reason: string | null;
  width: number | null;
  height: number | null;
  model: string;
  /** Whether faces were looked for. */
  detect: boolean;
  /** Largest first. */
  faces: Face[];
}

/** The answer for one frame of a video or webcam; probabilities are smoothed over each person's frames. */
export interface FrameRow extends Row {
  /** Seconds since the first frame. */
  time: number;
  /** The number of the frame, from 1. */
  frame: number;
  /** The number of the scene, from 1. */
  scene: number;
}

/** The evidence for one label in one face. */
export interface Heatmap {
  label: string;
  method: "cam";
  /** The crop's corners in the upright image, clockwise from its upper left, in pixels. */
  corners: Point[];
  size: number;
  /** size x size values in [0, 1], row by row; 1 is the strongest evidence in this crop. */
  heat: Float32Array;
}

/** A row, and one heatmap per face, as Python's `Explanation.to_dict()` with one label. */
export interface Explanation extends Row {
  heatmaps: Heatmap[];
}

/** Return a box of an image of `from` (width, height) in the same image resized to `to`. */
export function rescaled(face: Detection, from: Size, to: Size): Detection {
  if (from[0] === to[0] && from[1] === to[1]) return face;
  const [across, down] = [to[0] / from[0], to[1] / from[1]];
  const { x, y, width, height } = face.box;
  const [left, top] = [round(x * across), round(y * down)];
  const [right, bottom] = [round((x + width) * across), round((y + height) * down)];
  const box = { x: left, y: top, width: Math.max(right - left, 1), height: Math.max(bottom - top, 1) };
  return { box, landmarks: face.landmarks.map(([a, b]) => [a * across, b * down]), score: face.score };
}

/** Width and height in pixels. */
export type Size = readonly [number, number];
