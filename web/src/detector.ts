// Detect faces: whole image first, then turned copies and tiles if needed, as src/mien/faces/detector.py does.

import { round } from "./numbers.js";
import type { Raster } from "./raster.js";
import type { Box, Detection, Point, Size } from "./results.js";
import {
  closeWindow, type DetectorInput, QUICK_SIDE, render, renderQuick, renderWindow, tileViews, toImage,
  turnedViews, type View, wholeView,
} from "./tiling.js";
import { type Candidate, iou, suppress } from "./yunet.js";

const THRESHOLD = 0.65;
/** Below this score a face may be turned. */
const CONFIDENT_SCORE = 0.9;
const MIN_TURN_GAIN = 0.03;
const TURNED_MARGIN = 0.2;
const TILE_MARGIN = 0.1;
/** A face is tiny if its longer side is shorter than this in the network's input, in pixels. */
const TINY_SIDE = 20;
/** A quick look saves time if the first run's input is at least so many times as wide and high. */
const MIN_QUICK_GAIN = 2;
/** In a quick look, all that scores as much may be a face. */
const QUICK_SCORE = 0.4;
/** In a quick look, the largest face is certain from this side on, and if others have at most this part of its area. */
const MIN_QUICK_FACE = 28;
const MAX_OTHER_AREA = 0.6;
/** A face whose longer side is this fraction of the image's is too large for the first run, or may be. */
const TOO_LARGE = 0.8;
const PERHAPS_TOO_LARGE = 0.5;
/** Such a face must score as much in the quick look. */
const TOO_LARGE_SCORE = 0.92;
/** Two boxes show the same face if they share at least this fraction of what both cover. */
const SAME_FACE = 0.5;

/** Runs the network on an input and returns its candidates of at least this score, in pixels of the input. */
export type Network = (input: DetectorInput, threshold: number) => Promise<Candidate[]>;

/** Detects the faces of an RGB image, largest first, in its pixels. */
export class Detector {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /** `tiles`: search a large image in tiles too if no face or only tiny ones are detected. */
  async detect(rgb: Raster, tiles = true): Promise<Detection[]> {
    const size: Size = [rgb.width, rgb.height];
    const { turns, found } = await this.#detectTurned(rgb, size);
    const faces = toDetections(found, size);
    if (!tiles || turns || !onlyTiny(faces, size)) return faces;
    const all = [...found];
    for (const view of tileViews(size)) all.push(...(await this.#run(rgb, [view], TILE_MARGIN))[0]!);
    return toDetections(suppress(all), size);
  }

  /** Return the largest face if a quick look shows it for certain; `full` is the size of an image decoded smaller. */
  async findLargest(rgb: Raster, full: Size): Promise<Detection | null> {
    const size: Size = [rgb.width, rgb.height];
    const whole = { ...wholeView(full), width: rgb.width, height: rgb.height };
    if (Math.max(whole.columns, whole.rows) < MIN_QUICK_GAIN * QUICK_SIDE) return null;
    const quick = renderQuick(rgb);
    const seen = toImage(quick.view, await this.#network(quick.input, QUICK_SCORE));
    const face = clearlyLargest(seen, (MIN_QUICK_FACE * Math.max(...size)) / QUICK_SIDE);
    if (!face) return null;
    const [left, top, right, bottom] = face.box;
    const side = Math.max(right - left, bottom - top) / Math.max(...size);
    const enough = face.score >= TOO_LARGE_SCORE ? [face] : [];
    if (side >= TOO_LARGE) return toDetections(enough, size)[0] ?? null;
    const { input, view } = renderWindow(rgb, whole, closeWindow(whole, face.box));
    const close = toImage(view, await this.#network(input, CONFIDENT_SCORE));
    const same = close.filter(({ box }) => iou(face.box, box) >= SAME_FACE);
    return toDetections(same.length || side < PERHAPS_TOO_LARGE ? same : enough, size)[0] ?? null;
  }

  /** Run the network once over an input that shows all of `views`; the candidates of each, in the image. */
  async #run(rgb: Raster, views: View[], margin = 0): Promise<Candidate[][]> {
    const found = await this.#network(render(rgb, views), raised(margin));
    return views.map((view) => toImage(view, found));
  }

  /** The quarter turns that bring the image upright, and its faces; in one run if that is confident. */
  async #detectTurned(rgb: Raster, size: Size): Promise<{ turns: number; found: Candidate[] }> {
    const [first] = (await this.#run(rgb, [wholeView(size)])) as [Candidate[]];
    if (best(first) >= CONFIDENT_SCORE) return { turns: 0, found: first };
    let four = await this.#runFourTurns(rgb, size, first);
    if (scaleOf(size) < 1 && Math.max(...four.map(best)) < CONFIDENT_SCORE) {
      // The wrong piece may have been turned, or one whose faces are too small: try another.
      const sideways: Candidate[] = [];
      for (const turns of [1, 2, 3]) sideways.push(...(await this.#run(rgb, [wholeView(size, turns)]))[0]!);
      if (sideways.length) {
        const others = await this.#runFourTurns(rgb, size, sideways);
        four = four.map((found, turns) => [...found, ...others[turns]!]);
      }
    }
    const upright = suppress([...first, ...four[0]!]);
    const turns = [1, 2, 3].reduce((top, other) => (best(four[other]!) > best(four[top]!) ? other : top));
    if (best(four[turns]!) < Math.max(raised(TURNED_MARGIN), best(upright) + MIN_TURN_GAIN)) {
      return { turns: 0, found: upright };
    }
    const [again] = (await this.#run(rgb, [wholeView(size, turns)])) as [Candidate[]];
    return { turns, found: suppress([...four[turns]!, ...again]) };
  }

  /** Run on the surroundings of the best candidate, or else the whole image, in 0, 1, 2 and 3 quarter turns. */
  #runFourTurns(rgb: Raster, size: Size, found: readonly Candidate[]): Promise<Candidate[][]> {
    const top = found.reduce<Candidate | null>((one, other) => (one && one.score >= other.score ? one : other), null);
    return this.#run(rgb, turnedViews(size, top && top.box));
  }
}

/** Return candidates in an image as detections, largest first, boxes clipped to it. */
export function toDetections(found: readonly Candidate[], size: Size): Detection[] {
  return found
    .flatMap(({ box, landmarks, score }) => {
      const clipped = clipBox(box, size);
      const points = Array.from({ length: 5 }, (_, n): Point => [landmarks[2 * n]!, landmarks[2 * n + 1]!]);
      return clipped ? [{ box: clipped, landmarks: points, score }] : [];
    })
    .sort((a, b) => b.box.width * b.box.height - a.box.width * a.box.height);
}

/** Return the largest candidate if it is confident, not small, and no other is nearly as large. */
function clearlyLargest(found: readonly Candidate[], minSide: number): Candidate | null {
  const area = ({ box }: Candidate): number => (box[2] - box[0]) * (box[3] - box[1]);
  const [first, second] = [...found].sort((a, b) => area(b) - area(a));
  if (!first || first.score < CONFIDENT_SCORE) return null;
  if (Math.max(first.box[2] - first.box[0], first.box[3] - first.box[1]) < minSide) return null;
  return second && area(second) > MAX_OTHER_AREA * area(first) ? null : first;
}

/** Return whether an image has no face, or only faces that are tiny in its first run. */
export function onlyTiny(faces: readonly Detection[], size: Size): boolean {
  const largest = Math.max(0, ...faces.map(({ box }) => Math.max(box.width, box.height)));
  return largest * scaleOf(size) < TINY_SIDE;
}

/** Return whole pixels inside an image; null if none of the box lies in it. */
export function clipBox(corners: Candidate["box"], size: Size): Box | null {
  const [left, top] = [Math.max(round(corners[0]), 0), Math.max(round(corners[1]), 0)];
  const [right, bottom] = [Math.min(round(corners[2]), size[0]), Math.min(round(corners[3]), size[1])];
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

const best = (found: readonly Candidate[]): number => found.reduce((top, { score }) => Math.max(top, score), 0);

/** The threshold raised by `margin`, capped so that a confident face still passes. */
const raised = (margin: number): number => Math.max(THRESHOLD, Math.min(THRESHOLD + margin, CONFIDENT_SCORE));

/** How many pixels of the network's input one pixel of the image is in the first run. */
function scaleOf(size: Size): number {
  const view = wholeView(size);
  return Math.max(view.columns, view.rows) / Math.max(...size);
}
