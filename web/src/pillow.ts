// Resize, reduce and turn images as Pillow does, bit by bit: the network was trained on such pixels.
//
// A browser's own resampling differs from browser to browser. The arithmetic is that of Pillow's Resample.c, Reduce.c
// and Geometry.c (MIT-CMU licence); tests compare it with the installed Pillow.

import { emptyRaster, type Raster } from "./raster.js";

/** Left, top, right and bottom in pixels, which need not be whole. */
export type Edges = readonly [number, number, number, number];

interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

export const FILTERS: Readonly<Record<string, Filter>> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(1 - Math.abs(x), 0) },
  hamming: {
    support: 1,
    weight: (value) => {
      const x = Math.abs(value);
      return x >= 1 ? 0 : sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
    },
  },
  bicubic: {
    support: 2,
    weight: (value) => {
      const x = Math.abs(value);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Bits behind the point of a weight. */
const PRECISION = 32 - 8 - 2;

/** For each output pixel the first input pixel, how many, and their weights in fixed point. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  readonly most: number;
}

function taps(length: number, start: number, end: number, size: number, filter: Filter): Taps {
  const scale = Math.fround(end - start) / size;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const found = {
    first: new Int32Array(size),
    count: new Int32Array(size),
    weights: new Int32Array(size * most),
    most,
  };
  const row = new Float64Array(most);
  for (let place = 0; place < size; place += 1) {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), length) - first;
    let total = 0;
    for (let n = 0; n < count; n += 1) {
      row[n] = filter.weight((n + first - centre + 0.5) * (1 / stretch));
      total += row[n]!;
    }
    for (let n = 0; n < count; n += 1) {
      const weight = total === 0 ? row[n]! : row[n]! / total;
      found.weights[place * most + n] = Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION));
    }
    found.first[place] = first;
    found.count[place] = count;
  }
  return found;
}

const clip8 = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value);

function across(image: Raster, top: number, rows: number, { first, count, weights, most }: Taps): Raster {
  const { channels, data, width } = image;
  const found = emptyRaster(first.length, rows, channels);
  for (let y = 0, to = 0; y < rows; y += 1) {
    const line = (top + y) * width * channels;
    for (let x = 0; x < first.length; x += 1) {
      const begin = line + first[x]! * channels;
      const many = count[x]!;
      for (let c = 0; c < channels; c += 1) {
        let sum = 1 << (PRECISION - 1);
        for (let n = 0, from = begin + c, k = x * most; n < many; n += 1, from += channels, k += 1) {
          sum += data[from]! * weights[k]!;
        }
        found.data[to++] = clip8(sum >> PRECISION);
      }
    }
  }
  return found;
}

function down(image: Raster, { first, count, weights, most }: Taps): Raster {
  const { channels, data, width } = image;
  const line = width * channels;
  const found = emptyRaster(width, first.length, channels);
  const sums = new Float64Array(line);
  for (let y = 0, to = 0; y < first.length; y += 1) {
    sums.fill(1 << (PRECISION - 1));
    for (let n = 0; n < count[y]!; n += 1) {
      const weight = weights[y * most + n]!;
      for (let x = 0, from = (first[y]! + n) * line; x < line; x += 1, from += 1) sums[x]! += data[from]! * weight;
    }
    for (let x = 0; x < line; x += 1) found.data[to++] = clip8(sums[x]! >> PRECISION);
  }
  return found;
}

/** Resize as `Image.resize((width, height), method, box)` does; `method` is nearest or a name of `FILTERS`. */
export function resizePillow(image: Raster, width: number, height: number, method: string, box?: Edges): Raster {
  const edges = box ?? [0, 0, image.width, image.height];
  const [left, top, right, bottom] = edges.map(Math.fround) as unknown as Edges;
  if (width === image.width && height === image.height && left === 0 && top === 0) {
    if (right === width && bottom === height) return image;
  }
  if (method === "nearest") return nearest(image, width, height, [left, top, right, bottom]);
  const filter = FILTERS[method]!;
  const vertical = taps(image.height, top, bottom, height, filter);
  const horizontal = taps(image.width, left, right, width, filter);
  const needsVertical = height !== image.height || top !== 0 || bottom !== height;
  const needsHorizontal = width !== image.width || left !== 0 || right !== width;
  // Each pass rounds, so the order matters. Since version 13, Pillow begins with the one that removes most rows.
  const removed = image.height - height;
  if (removed > 0 && removed > 2 * (image.width - width)) {
    const found = needsVertical ? down(image, vertical) : image;
    return needsHorizontal ? across(found, 0, height, horizontal) : found;
  }
  if (!needsHorizontal) return needsVertical ? down(image, vertical) : image;
  const begin = vertical.first[0]!;
  const end = vertical.first[height - 1]! + vertical.count[height - 1]!;
  const found = across(image, begin, end - begin, horizontal);
  for (let y = 0; y < height; y += 1) vertical.first[y]! -= begin;
  return needsVertical ? down(found, vertical) : found;
}

function nearest(image: Raster, width: number, height: number, [left, top, right, bottom]: Edges): Raster {
  const { channels } = image;
  const found = emptyRaster(width, height, channels);
  const [stepX, stepY] = [(right - left) / width, (bottom - top) / height];
  for (let row = 0, y = top + stepY * 0.5, to = 0; row < height; row += 1, y += stepY) {
    for (let column = 0, x = left + stepX * 0.5; column < width; column += 1, x += stepX) {
      const from = (Math.trunc(y) * image.width + Math.trunc(x)) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = image.data[from + c]!;
    }
  }
  return found;
}

/** Reduce by whole numbers as `Image.reduce` does: each pixel is the mean of a block, at the edges of a partial one. */
export function reduce(image: Raster, factorX: number, factorY: number = factorX): Raster {
  if (factorX === 1 && factorY === 1) return image;
  const { channels, data, width, height } = image;
  const found = emptyRaster(Math.ceil(width / factorX), Math.ceil(height / factorY), channels);
  for (let y = 0, to = 0; y < found.height; y += 1) {
    const rows = Math.min(factorY, height - y * factorY);
    for (let x = 0; x < found.width; x += 1) {
      const columns = Math.min(factorX, width - x * factorX);
      const pixels = rows * columns;
      const multiplier = Math.trunc(Math.fround(2 ** 32 / (256 * pixels)));
      for (let c = 0; c < channels; c += 1) {
        let sum = pixels >> 1;
        for (let row = 0; row < rows; row += 1) {
          let from = ((y * factorY + row) * width + x * factorX) * channels + c;
          for (let n = 0; n < columns; n += 1, from += channels) sum += data[from]!;
        }
        found.data[to++] = Math.imul(sum, multiplier) >>> 24;
      }
    }
  }
  return found;
}

/** Resize as `Image.resize(size, BILINEAR, reducing_gap=2)` does: very large images are first reduced. */
export function resizeWithGap(image: Raster, width: number, height: number): Raster {
  if (width === image.width && height === image.height) return image;
  const [factorX, factorY] = [image.width / width, image.height / height].map((ratio) => Math.trunc(ratio / 2) || 1);
  if (factorX === 1 && factorY === 1) return resizePillow(image, width, height, "bilinear");
  const box: Edges = [0, 0, image.width / factorX!, image.height / factorY!];
  return resizePillow(reduce(image, factorX!, factorY!), width, height, "bilinear", box);
}

/** Return a square of `side` pixels, each read bilinearly at `matrix` of its place, as `Image.transform(AFFINE)`. */
export function affine(image: Raster, side: number, matrix: readonly number[]): Raster {
  const { channels, data, width, height } = image;
  const [a, b, c, d, e, f] = matrix as [number, number, number, number, number, number];
  const found = emptyRaster(side, side, channels);
  const clipped = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit - 1);
  for (let row = 0, to = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1, to += channels) {
      const atX = a * (column + 0.5) + b * (row + 0.5) + c;
      const atY = d * (column + 0.5) + e * (row + 0.5) + f;
      if (!(atX >= 0 && atX < width && atY >= 0 && atY < height)) continue;
      const [x, y] = [Math.floor(atX - 0.5), Math.floor(atY - 0.5)];
      const [shareX, shareY] = [atX - 0.5 - x, atY - 0.5 - y];
      const [left, right] = [clipped(x, width) * channels, clipped(x + 1, width) * channels];
      const upper = clipped(y, height) * width * channels;
      const lower = y + 1 < height ? (y + 1) * width * channels : upper;
      for (let n = 0; n < channels; n += 1) {
        const above = data[upper + left + n]! + (data[upper + right + n]! - data[upper + left + n]!) * shareX;
        const below = data[lower + left + n]! + (data[lower + right + n]! - data[lower + left + n]!) * shareX;
        found.data[to + n] = above + (below - above) * shareY;
      }
    }
  }
  return found;
}
