// Resize as Keras, TensorFlow and OpenCV do, for bundles that `mien export` made of models trained so.
//
// The same arithmetic as src/mien/faces/resize.py, where the sources are named.

import { round } from "./numbers.js";
import { emptyRaster, type FloatRaster, type Raster } from "./raster.js";

/** For each output pixel, `count` input pixels and their weights. */
interface Taps {
  readonly count: number;
  readonly places: Int32Array;
  readonly weights: Float32Array;
}

/** Fills in the places and weights of one output pixel. */
type Tap = (index: number, put: (place: number, weight: number) => void) => void;

type Method = (length: number, size: number) => Taps;

/** TensorFlow reads the weights of `bicubic` from a table of this many steps. */
const TABLE = 1024;

function collect(length: number, size: number, tap: Tap, inside = false): Taps {
  const rows: [number, number][][] = [];
  for (let index = 0; index < size; index += 1) {
    const row: [number, number][] = [];
    tap(index, (place, weight) => row.push([place, inside && (place < 0 || place >= length) ? 0 : weight]));
    rows.push(row);
  }
  const count = Math.max(...rows.map((row) => row.length));
  const found = { count, places: new Int32Array(size * count), weights: new Float32Array(size * count) };
  rows.forEach((row, index) => {
    const total = inside ? row.reduce((sum, [, weight]) => sum + weight, 0) : 1;
    row.forEach(([place, weight], n) => {
      found.places[index * count + n] = Math.min(Math.max(place, 0), length - 1);
      found.weights[index * count + n] = weight / total;
    });
  });
  return found;
}

const centre = (index: number, length: number, size: number): number => (index + 0.5) * (length / size) - 0.5;

/** The step as OpenCV rounds it: a product may be a whole number or just below one. */
const openCvStep = (length: number, size: number): number => 1 / (size / length);

const linear: Method = (length, size) =>
  collect(length, size, (index, put) => {
    const low = Math.floor(centre(index, length, size));
    const share = centre(index, length, size) - low;
    put(low, 1 - share);
    put(low + 1, share);
  });

const nearest: Method = (length, size) => {
  // In single precision, as TensorFlow computes it: a centre may fall exactly between two pixels.
  const step = Math.fround(Math.fround(length) / Math.fround(size));
  return collect(length, size, (index, put) => put(Math.floor(Math.fround(Math.fround(index + 0.5) * step)), 1));
};

const openCvNearest: Method = (length, size) =>
  collect(length, size, (index, put) => put(Math.floor(index * openCvStep(length, size)), 1));

/** Enlarge as OpenCV's `INTER_AREA` does: pixels stay flat, and only their borders are mixed. */
const stretch: Method = (length, size) =>
  collect(length, size, (index, put) => {
    const low = Math.floor(index * openCvStep(length, size));
    const over = index + 1 - (low + 1) * (size / length);
    const share = over <= 0 ? 0 : over - Math.floor(over);
    put(low, 1 - share);
    put(low + 1, share);
  });

const area: Method = (length, size) => {
  const scale = length / size;
  return collect(length, size, (index, put) => {
    const start = index * scale;
    for (let n = 0; n <= Math.ceil(scale); n += 1) {
      const place = Math.floor(start) + n;
      put(place, Math.max(Math.min(place + 1, start + scale) - Math.max(place, start), 0) / scale);
    }
  });
};

/** The cubic kernel of Keys (1981) at distances of 0 to 2. */
function keys(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

const bicubic: Method = (length, size) =>
  collect(
    length,
    size,
    (index, put) => {
      const low = Math.floor(centre(index, length, size));
      const share = round((centre(index, length, size) - low) * TABLE) / TABLE;
      for (let n = -1; n < 3; n += 1) put(low + n, keys(Math.abs(share - n), -0.5));
    },
    true,
  );

const openCvCubic: Method = (length, size) =>
  collect(length, size, (index, put) => {
    const low = Math.floor(centre(index, length, size));
    const share = centre(index, length, size) - low;
    for (let n = -1; n < 3; n += 1) put(low + n, keys(Math.abs(share - n), -0.75));
  });

/** A kernel that is not widened when an image shrinks, as TensorFlow's without antialiasing. */
function kernel(radius: number, weight: (x: number) => number): Method {
  return (length, size) => {
    // In single precision, as TensorFlow computes it: a pixel may lie just at the end of the kernel.
    const f = Math.fround;
    const scale = f(1 / f(size / length));
    return collect(
      length,
      size,
      (index, put) => {
        const middle = f(f(index + 0.5) * scale);
        const first = Math.ceil(f(f(middle - radius) - 0.5));
        for (let n = 0; n <= 2 * Math.ceil(radius); n += 1) {
          const distance = Math.abs(f(f(first + n + 0.5) - middle));
          put(first + n, distance <= radius ? weight(distance) : 0);
        }
      },
      true,
    );
  };
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const lanczos = (radius: number): Method => kernel(radius, (x) => (x < radius ? sinc(x) * sinc(x / radius) : 0));
const gaussian = (x: number): number => (x < 1.5 ? Math.exp(-2 * x * x) : 0);

function mitchell(x: number): number {
  if (x < 1) return ((7 / 6) * x - 2) * x * x + 8 / 9;
  return x < 2 ? (((-7 / 18) * x + 2) * x - 10 / 3) * x + 16 / 9 : 0;
}

const METHODS: Readonly<Record<string, Method>> = {
  bilinear: linear,
  nearest,
  bicubic,
  area,
  lanczos3: lanczos(3),
  lanczos5: lanczos(5),
  gaussian: kernel(1.5, gaussian),
  mitchellcubic: kernel(2, mitchell),
  "cv2-nearest": openCvNearest,
  "cv2-linear": linear,
  "cv2-cubic": openCvCubic,
  "cv2-area": area,
};

export const METHOD_NAMES: readonly string[] = Object.keys(METHODS);

/** Resize by the method of Keras (values that are not rounded) or OpenCV (rounded). */
export function resizeByMethod(image: Raster, width: number, height: number, method: string): Raster | FloatRaster {
  if (width === image.width && height === image.height) return image;
  const enlarges = image.width < width || image.height < height;
  const chosen = method === "cv2-area" && enlarges ? stretch : METHODS[method]!;
  const lines = weightedLines(image, chosen(image.height, height), image.width * image.channels, height);
  const found = weightedColumns(lines, chosen(image.width, width), width, height, image);
  if (!method.startsWith("cv2-")) return { data: found, width, height, channels: image.channels };
  return rounded({ data: found, width, height, channels: image.channels });
}

/** Return values as bytes, rounded and cut off at 0 and 255. */
export function rounded(image: Raster | FloatRaster): Raster {
  const { data, width, height, channels } = image;
  if (data instanceof Uint8Array) return { data, width, height, channels };
  const found = emptyRaster(width, height, channels);
  for (let n = 0; n < data.length; n += 1) found.data[n] = Math.min(Math.max(round(data[n]!), 0), 255);
  return found;
}

function weightedLines({ data }: Raster, { count, places, weights }: Taps, line: number, rows: number): Float32Array {
  const found = new Float32Array(rows * line);
  for (let y = 0; y < rows; y += 1) {
    for (let n = 0; n < count; n += 1) {
      const weight = weights[y * count + n]!;
      let from = places[y * count + n]! * line;
      for (let x = 0, to = y * line; x < line; x += 1) found[to++]! += Math.fround(data[from++]! * weight);
    }
  }
  return found;
}

function weightedColumns(
  lines: Float32Array, { count, places, weights }: Taps, columns: number, rows: number, source: Raster,
): Float32Array {
  const { channels, width } = source;
  const found = new Float32Array(rows * columns * channels);
  for (let y = 0, to = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1, to += channels) {
      for (let n = 0; n < count; n += 1) {
        const from = (y * width + places[x * count + n]!) * channels;
        const weight = weights[x * count + n]!;
        for (let c = 0; c < channels; c += 1) found[to + c]! += Math.fround(lines[from + c]! * weight);
      }
    }
  }
  return found;
}
