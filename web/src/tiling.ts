// Lay views of an image into the detector's input, and map points back, as src/mien/faces/tiling.py does.

import { round } from "./numbers.js";
import { type Edges, reduce, resizePillow, resizeWithGap } from "./pillow.js";
import { cut, type Raster, rot90 } from "./raster.js";
import type { Size } from "./results.js";
import { type Candidate, INPUT_MULTIPLE, INPUT_SIDE } from "./yunet.js";

const MIN_LONG_SIDE = 320;
const MIN_INPUT_SIDE = 384;
const COPY_SIDE = 256;
/** Longer side of the image in a quick look, at most. */
export const QUICK_SIDE = 256;
/** Side of a close look, in longer sides of the face. */
const CLOSE_REACH = 1.6;
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

/** The part of a view's input around a face: left, top, width and height, multiples of 32. */
export function closeWindow(view: View, box: Candidate["box"]): Rectangle {
  const [across, down] = [view.columns / view.width, view.rows / view.height];
  const reach = (CLOSE_REACH * Math.max((box[2] - box[0]) * across, (box[3] - box[1]) * down)) / 2;
  const middle = [
    Math.min(Math.max((box[0] + box[2]) / 2 - view.left, 0) * across, view.columns - 1) + view.x,
    Math.min(Math.max((box[1] + box[3]) / 2 - view.top, 0) * down, view.rows - 1) + view.y,
  ];
  const [[left, width], [top, height]] = inputSize([view]).map((length, axis): Pair => {
    const cells = length / INPUT_MULTIPLE;
    const start = Math.min(Math.max(Math.floor((middle[axis]! - reach) / INPUT_MULTIPLE), 0), cells - 1);
    const end = Math.max(Math.min(Math.ceil((middle[axis]! + reach) / INPUT_MULTIPLE), cells), start + 1);
    return [start * INPUT_MULTIPLE, (end - start) * INPUT_MULTIPLE];
  }) as [Pair, Pair];
  return [left, top, width, height];
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
  const input = emptyInput(...inputSize(views));
  for (const view of views) lay(rot90(resized(rgb, view), view.turns), input, view.x, view.y);
  return input;
}

/** Show the whole image small, reduced by a whole number; and the view that this is. */
export function renderQuick(rgb: Raster): { input: DetectorInput; view: View } {
  const { width, height } = rgb;
  let factor = Math.ceil(Math.max(width, height) / QUICK_SIDE);
  if (factor > 3) factor += factor % 2;
  // Of a very large image, the means of 2 x 2 pixels are enough.
  const step = factor > 3 ? factor / 2 : 1;
  const small = reduce(cut(rgb, 0, 0, width, height, [step, step]), factor / step);
  const [columns, rows] = [small.width, small.height];
  const [wide, high] = [columns * factor, rows * factor];
  const view = { left: 0, top: 0, width: wide, height: high, columns, rows, x: 0, y: 0, turns: 0 };
  const input = emptyInput(...inputSize([view], INPUT_MULTIPLE));
  lay(small, input, 0, 0);
  return { input, view };
}

/** Render a part of what `render` makes of a view that is not turned; and the view in that part. */
export function renderWindow(rgb: Raster, view: View, window: Rectangle): { input: DetectorInput; view: View } {
  const [left, top, width, height] = window;
  const input = emptyInput(width, height);
  const [x, y] = [Math.max(view.x, left), Math.max(view.y, top)];
  const right = Math.min(view.x + view.columns, left + width);
  const bottom = Math.min(view.y + view.rows, top + height);
  const part = resizedPart(rgb, view, [x - view.x, y - view.y, right - view.x, bottom - view.y]);
  lay(part, input, x - left, y - top);
  return { input, view: { ...view, x: view.x - left, y: view.y - top } };
}

/** Width and height of the smallest input that holds the views. */
function inputSize(views: readonly View[], minSide = MIN_INPUT_SIDE): Pair {
  const ends = views.map((view) => [view.x + extentOf(view)[0], view.y + extentOf(view)[1]] as Pair);
  return [0, 1].map((axis) => {
    const end = Math.max(...ends.map((each) => each[axis]!));
    return Math.max(Math.ceil(end / INPUT_MULTIPLE) * INPUT_MULTIPLE, minSide);
  }) as Pair;
}

function emptyInput(width: number, height: number): DetectorInput {
  return { data: new Float32Array(3 * width * height).fill(BACKGROUND), width, height };
}

/** Lay pixels into an input, their upper left corner at (left, top). */
function lay(shown: Raster, { data, width, height }: DetectorInput, left: number, top: number): void {
  const plane = width * height;
  for (let y = 0, from = 0; y < shown.height; y += 1) {
    for (let x = 0, to = (top + y) * width + left; x < shown.width; x += 1, to += 1, from += 3) {
      data[to] = shown.data[from + 2]!;
      data[to + plane] = shown.data[from + 1]!;
      data[to + 2 * plane] = shown.data[from]!;
    }
  }
}

/** The view's piece of the image at its size in the input, not yet turned. */
function resized(rgb: Raster, view: View): Raster {
  return resizeWithGap(cut(rgb, view.left, view.top, view.width, view.height, stepsOf(view)), view.columns, view.rows);
}

/**
 * Every n-th pixel of a very large image is enough, across and down: the rest is still averaged over at least two
 * pixels. The sides of a view of a strip are not scaled alike, since the short one is at least a pixel.
 */
function stepsOf(view: View): Pair {
  const step = (length: number, shown: number): number => Math.max(Math.floor(Math.floor(length / shown) / 2), 1);
  const along: Pair = [step(view.width, view.columns), step(view.height, view.rows)];
  const least = Math.min(...along);
  return along.map((one) => (one > 2 * least ? one : least)) as Pair;
}

/** A part (left, top, right, bottom) of `resized`, from the pixels that have a weight in it. */
function resizedPart(rgb: Raster, view: View, [left, top, right, bottom]: Edges): Raster {
  const [stepX, stepY] = stepsOf(view);
  const [wide, high] = [Math.ceil(view.width / stepX), Math.ceil(view.height / stepY)];
  const [across, down] = [wide / view.columns, high / view.rows];
  const x = Math.max(Math.floor(left * across - across) - 1, 0);
  const y = Math.max(Math.floor(top * down - down) - 1, 0);
  const endX = Math.min(Math.ceil(right * across + across) + 1, wide);
  const endY = Math.min(Math.ceil(bottom * down + down) + 1, high);
  const [pixelsX, pixelsY] = [endX - x, endY - y];
  const [cutX, cutY] = [view.left + x * stepX, view.top + y * stepY];
  const piece = cut(rgb, cutX, cutY, (pixelsX - 1) * stepX + 1, (pixelsY - 1) * stepY + 1, [stepX, stepY]);
  const box: Edges = [
    left * across - x, top * down - y, Math.min(right * across - x, pixelsX), Math.min(bottom * down - y, pixelsY),
  ];
  return resizePillow(piece, right - left, bottom - top, "bilinear", box);
}

/** Left, top, width and height. */
export type Rectangle = readonly [number, number, number, number];

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
