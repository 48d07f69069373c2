// Fit an image into the square that a network takes, by any method that a bundle may name.

import { METHOD_NAMES, resizeByMethod } from "./methods.js";
import { FILTERS, resizePillow } from "./pillow.js";
import { cut, type FloatRaster, type Raster } from "./raster.js";

/** What becomes of a whole image that is not square. */
export type Fit = "squash" | "crop" | "pad";

export const FITS: readonly string[] = ["squash", "crop", "pad"];
/** All names of `input.resize` in a bundle's config, as in src/mien/faces/resize.py. */
export const RESIZE_METHODS: readonly string[] = [
  ...METHOD_NAMES,
  "pil-nearest",
  ...Object.keys(FILTERS).map((name) => `pil-${name}`),
];

/** Resize an image to a square of `size` pixels. The methods of Keras give values that are not rounded. */
export function resize(image: Raster, size: number, method: string, fit: Fit): Raster | FloatRaster {
  const { width, height } = image;
  if (width === height || fit === "squash") return resized(image, size, size, method);
  if (fit === "pad") return padded(image, size, method);
  const side = Math.min(width, height);
  const [left, top] = [Math.floor((width - side) / 2), Math.floor((height - side) / 2)];
  // Pillow smooths over the edges of the box, so that it is not cut out before.
  if (method.startsWith("pil-")) {
    return resizePillow(image, size, size, method.slice(4), [left, top, left + side, top + side]);
  }
  return resized(cut(image, left, top, side, side), size, size, method);
}

function resized(image: Raster, width: number, height: number, method: string): Raster | FloatRaster {
  if (method.startsWith("pil-")) return resizePillow(image, width, height, method.slice(4));
  return resizeByMethod(image, width, height, method);
}

/** Resize the longer side to `size` and add black, as `tf.image.resize_with_pad` does. */
function padded(image: Raster, size: number, method: string): Raster | FloatRaster {
  const f = Math.fround;
  const ratio = f(Math.max(image.width, image.height) / size);
  const [exactWidth, exactHeight] = [f(image.width / ratio), f(image.height / ratio)];
  const [columns, rows] = [Math.max(Math.floor(exactWidth), 1), Math.max(Math.floor(exactHeight), 1)];
  const left = Math.max(Math.floor(f(f(size - exactWidth) / 2)), 0);
  const top = Math.max(Math.floor(f(f(size - exactHeight) / 2)), 0);
  const small = resized(image, columns, rows, method);
  const { channels } = image;
  const length = size * size * channels;
  const data = small.data instanceof Uint8Array ? new Uint8Array(length) : new Float32Array(length);
  for (let y = 0; y < rows; y += 1) {
    const line = small.data.subarray(y * columns * channels, (y + 1) * columns * channels);
    data.set(line, ((top + y) * size + left) * channels);
  }
  return { data, width: size, height: size, channels } as Raster | FloatRaster;
}
