// Lay views of an image into the detector's input, and map points back, as src/mien/faces/tiling.py does.

import { round } from "./numbers.js";
import { resizeWithGap } from "./pillow.js";
import { cut, type Raster, rot90 } from "./raster.js";
import type { Size } from "./results.js";
import { type Candidate, INPUT_MULTIPLE, INPUT_SIDE } from "./yunet.js";

const MIN_LONG_SIDE = 320;
const MIN_INPUT_SIDE = 384;
const COPY_SIDE = 256;
const BACKGROUND = 128;
const MIN_TILE_GAIN = 1.4;
const USUAL_TILES = 24;
const MAX_TILES = 48;
const TILE_OVERLAP = 0.2;

type Pair = [number, number];

/** A rectangle of the image, resized to columns x rows, turned counter-clockwise, and laid into the input at (x, y). */
export interface View {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly columns: number;
  readonly rows: number;
  readonly x: number;
  readonly y: number;
  readonly turns: number;
}

/** The detector's input: BGR planes, float32 (3, height, width), [0, 255]. */
export interface DetectorInput {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/** Width and height of a view in the input, after turning. */
export const extentOf = ({ columns, rows, turns }: View): Pair => (turns % 2 ? [rows, columns] : [columns, rows]);

/** Return a point of the input in the image's pixels. */
export function toImagePoint(view: View, inputX: number, inputY: number): Pair {
  let [x, y] = [inputX - view.x, inputY - view.y];
  if (view.turns === 1) [x, y] = [view.columns - y, x];
  else if (view.turns === 2) [x, y] = [view.columns - x, view.rows - y];
  else if (view.turns === 3) [x, y] = [y, view.rows - x];
  return [view.left + (x * view.width) / view.columns, view.top + (y * view.height) / view.rows];
}

/** Return the candidates with their centre in this view, in the image's pixels. */
export function toImage(view: View, found: readonly Candidate[]): Candidate[] {
  const [width, height] = extentOf(view);
  const f = Math.fround;
  const isOurs = ({ box }: Candidate): boolean => {
    const [x, y] = [(box[0] + box[2]) / 2 - view.x, (box[1] + box[3]) / 2 - view.y];
    return x >= 0 && x < width && y >= 0 && y < height;
  };
  return found.filter(isOurs).map(({ box, landmarks, score }) => {
    const [ax, ay] = toImagePoint(view, box[0], box[1]);
    const [bx, by] = toImagePoint(view, box[2], box[3]);
    const points = Array.from({ length: 5 }, (_, n) => toImagePoint(view, landmarks[2 * n]!, landmarks[2 * n + 1]!));
    return {
      box: [f(Math.min(ax, bx)), f(Math.min(ay, by)), f(Math.max(ax, bx)), f(Math.max(ay, by))],
      landmarks: points.flat().map(f),
      score,
    };
  });
}

/** Show the whole image in one input, its longer side scaled to 320 to 640 pixels. */
export function wholeView(size: Size, turns = 0): View {
  const [columns, rows] = scaled(size, Math.min(Math.max(...size, MIN_LONG_SIDE), INPUT_SIDE));
  const [width, height] = turns % 2 ? [rows, columns] : [columns, rows];
  const [x, y] = [width, height].map((length) => Math.floor(Math.max(MIN_INPUT_SIDE - length, 0) / 2)) as Pair;
  return { left: 0, top: 0, width: size[0], height: size[1], columns, rows, x, y, turns };
}

/** Show one piece four times in one input, in 0, 1, 2 and 3 quarter turns: all, or the surroundings of a box. */
export function turnedViews(size: Size, around: Candidate["box"] | null): View[] {
  const piece = around === null ? ([0, 0, ...size] as const) : surroundings(size, around);
  const half = INPUT_SIDE / 2;
  return [0, 1, 2, 3].map((turns) => copy(piece, turns, half * (turns % 2), half * Math.floor(turns / 2)));
}

/** Show a large image in overlapping squares, each an input of its own; none if that gains too little. */
export function tileViews(size: Size): View[] {
  const usual = Math.sqrt((size[0] * size[1]) / (USUAL_TILES * (1 - TILE_OVERLAP) ** 2));
  const inARow = Math.max(...size) / (1 + (MAX_TILES - 1) * (1 - TILE_OVERLAP));
  const side = Math.max(INPUT_SIDE, Math.ceil(usual), Math.ceil(inARow));
  if (Math.max(...size) < MIN_TILE_GAIN * side) return [];
  const [width, height] = [Math.min(side, size[0]), Math.min(side, size[1])];
  const [columns, rows] = [width, height].map((length) => Math.max(round((length * INPUT_SIDE) / side), 1)) as Pair;
  return starts(size[1], height).flatMap((top) =>
    starts(size[0], width).map((left) => ({ left, top, width, height, columns, rows, x: 0, y: 0, turns: 0 })),
  );
}

/** Lay views of an RGB image into one input, as small as they allow. */
export function render(rgb: Raster, views: readonly View[]): DetectorInput {
  const ends = views.map((view) => [view.x + extentOf(view)[0], view.y + extentOf(view)[1]] as Pair);
  const [width, height] = [0, 1].map((axis) => {
    const end = Math.max(...ends.map((each) => each[axis]!));
    return Math.max(Math.ceil(end / INPUT_MULTIPLE) * INPUT_MULTIPLE, MIN_INPUT_SIDE);
  }) as Pair;
  const plane = width * height;
  const data = new Float32Array(3 * plane).fill(BACKGROUND);
  for (const view of views) {
    const shown = rot90(resized(rgb, view), view.turns);
    for (let y = 0, from = 0; y < shown.height; y += 1) {
      for (let x = 0, to = (view.y + y) * width + view.x; x < shown.width; x += 1, to += 1, from += 3) {
        data[to] = shown.data[from + 2]!;
        data[to + plane] = shown.data[from + 1]!;
        data[to + 2 * plane] = shown.data[from]!;
      }
    }
  }
  return { data, width, height };
}

/** The view's piece of the image at its size in the input, not yet turned. */
function resized(rgb: Raster, view: View): Raster {
  // Every n-th pixel of a very large image is enough: the rest is still averaged over at least two pixels.
  const ratio = Math.min(Math.floor(view.width / view.columns), Math.floor(view.height / view.rows));
  const step = Math.max(Math.floor(ratio / 2), 1);
  return resizeWithGap(cut(rgb, view.left, view.top, view.width, view.height, step), view.columns, view.rows);
}

type Rectangle = readonly [number, number, number, number];

function copy([left, top, width, height]: Rectangle, turns: number, x: number, y: number): View {
  const [columns, rows] = scaled([width, height], COPY_SIDE);
  const [wide, high] = turns % 2 ? [rows, columns] : [columns, rows];
  const [right, down] = [Math.floor((COPY_SIDE - wide) / 2), Math.floor((COPY_SIDE - high) / 2)];
  return { left, top, width, height, columns, rows, x: x + right, y: y + down, turns };
}

/** Return a size in the same proportions, the longer side `longer`, neither less than 1. */
function scaled(size: Size, longer: number): Pair {
  return size.map((length) => Math.max(round((length * longer) / Math.max(...size)), 1)) as Pair;
}

/** The part inside the image of a square around the box's centre, twice its longer side. */
function surroundings(size: Size, box: Candidate["box"]): Rectangle {
  const reach = Math.max(box[2] - box[0], box[3] - box[1]);
  const [left, right] = span(box[0], box[2], reach, size[0]);
  const [top, bottom] = span(box[1], box[3], reach, size[1]);
  return [left, top, right - left, bottom - top];
}

function span(start: number, end: number, reach: number, length: number): Pair {
  const low = Math.min(Math.max(Math.floor((start + end) / 2 - reach), 0), length - 1);
  return [low, Math.max(Math.min(Math.ceil((start + end) / 2 + reach), length), low + 1)];
}

/** The starts of pieces of `side` that cover `length` evenly and overlap by at least `TILE_OVERLAP`. */
function starts(length: number, side: number): number[] {
  const count = 1 + Math.ceil((length - side) / (side * (1 - TILE_OVERLAP)));
  return Array.from({ length: count }, (_, index) => round((index * (length - side)) / Math.max(count - 1, 1)));
}
