// The crop that the network sees, as src/mien/faces/crop.py cuts it: a square around a face, turned upright.

import { round } from "./numbers.js";
import { affine, reduce } from "./pillow.js";
import { cut, emptyRaster, type FloatRaster, type Raster, rot90, withChannels } from "./raster.js";
import { type Fit, resize } from "./resize.js";
import type { Box, Detection, Point } from "./results.js";

/** Side of the square around a face, as a multiple of the mean side of YuNet's box. */
const FACE_MARGIN = 1.1;
/** A face rolled by at most this from upright, or from a quarter turn, is not turned, in degrees. */
const MAX_UNCORRECTED_ROLL = 20;

/** A square in an image, which may reach beyond it; `angle` is its roll in degrees, clockwise as seen. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly side: number;
  readonly angle: number;
}

/** How a bundle wants its input. */
export interface CropShape {
  readonly size: number;
  readonly channels: number;
  readonly resize: string;
  readonly fit: Fit;
}

/** Return the roll of a face in degrees, in (-180, 180]; 0 is upright. */
export function rollOf({ landmarks }: Detection): number {
  const [right, left] = landmarks as [Point, Point];
  return (Math.atan2(left[1] - right[1], left[0] - right[0]) * 180) / Math.PI;
}

/** Return the square to crop around a face. */
export function faceRegion(face: Detection): Region {
  const { box } = face;
  const roll = rollOf(face);
  const quarter = 90 * round(roll / 90);
  const angle = Math.abs(roll - quarter) <= MAX_UNCORRECTED_ROLL ? quarter : roll;
  const side = FACE_MARGIN * Math.sqrt(box.width * box.height);
  return { x: box.x + box.width / 2, y: box.y + box.height / 2, side, angle };
}

/** Return the corners of a crop in the image, clockwise from the crop's upper left. */
export function cornersOf({ x, y, side, angle }: Region): Point[] {
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const half = side / 2;
  return ([[-half, -half], [half, -half], [half, half], [-half, half]] as Point[]).map(([right, below]) => [
    x + right * cos - below * sin,
    y + right * sin + below * cos,
  ]);
}

/** Cut a region, a box or (null) the whole out of an RGB image, and make it the network's input. */
export function cropTo(rgb: Raster, shape: CropShape, region: Region | Box | null): Raster | FloatRaster {
  if (region === null) return resize(withChannels(rgb, shape.channels), shape.size, shape.resize, shape.fit);
  if ("angle" in region) {
    return resize(upright(rgb, shape.size, shape.channels, region), shape.size, shape.resize, shape.fit);
  }
  const part = cut(rgb, region.x, region.y, region.width, region.height);
  return resize(withChannels(part, shape.channels), shape.size, shape.resize, shape.fit);
}

/** Cut a square out of an image and turn it upright, in about the image's own pixels. */
function upright(rgb: Raster, size: number, channels: number, region: Region): Raster {
  const turns = region.angle / 90;
  const quarter = Number.isInteger(turns);
  const radians = (region.angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  // Anything but a quarter turn is cut with one more pixel around it, which the interpolation needs.
  const side = Math.max(round(quarter ? region.side : region.side * (Math.abs(cos) + Math.abs(sin)) + 2), 1);
  const [left, top] = [round(region.x - side / 2), round(region.y - side / 2)];
  if (quarter && left >= 0 && top >= 0 && left <= rgb.width - side && top <= rgb.height - side) {
    return withChannels(rot90(cut(rgb, left, top, side, side), turns), channels);
  }
  const factor = Math.ceil(region.side / (4 * size));
  const columns = reducedRange(left, side, factor, rgb.width);
  const rows = reducedRange(top, side, factor, rgb.height);
  const part = cut(rgb, columns.low, rows.low, columns.high - columns.low, rows.high - rows.low);
  const small = reduce(withChannels(part, channels), factor);
  const patch = repeatEdges(small, columns.first, rows.first, Math.ceil(side / factor));
  if (quarter) return rot90(patch, turns);
  const x = (region.x - columns.low) / factor - columns.first;
  const y = (region.y - rows.low) / factor - rows.first;
  return turned(patch, x, y, region.side / factor, cos, sin);
}

/** The part of [start, start + length) in [0, limit), or the nearest pixel; and where the whole range starts in it. */
function reducedRange(start: number, length: number, factor: number, limit: number) {
  const low = Math.min(Math.max(start, 0), limit - 1);
  const high = Math.max(Math.min(start + length, limit), low + 1);
  return { low, high, first: Math.floor((start - low) / factor) };
}

/** Return a square of an image that may begin outside it: there its edge pixels repeat. */
function repeatEdges(image: Raster, left: number, top: number, side: number): Raster {
  const { channels } = image;
  const found = emptyRaster(side, side, channels);
  for (let y = 0, to = 0; y < side; y += 1) {
    const line = Math.min(Math.max(top + y, 0), image.height - 1) * image.width;
    for (let x = 0; x < side; x += 1) {
      const from = (line + Math.min(Math.max(left + x, 0), image.width - 1)) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = image.data[from + c]!;
    }
  }
  return found;
}

/** Cut the square of `side` pixels around (x, y) whose upper edge points along (cos, sin). */
function turned(patch: Raster, x: number, y: number, side: number, cos: number, sin: number): Raster {
  const count = Math.max(round(side), 1);
  const [a, b, middle] = [(cos * side) / count, (sin * side) / count, count / 2];
  return affine(patch, count, [a, -b, x - (a - b) * middle, b, a, y - (a + b) * middle]);
}
