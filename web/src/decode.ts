// Decode images in the browser to what Python's decoder gives: upright RGB on white, in the file's own colour values.
//
// - `imageOrientation: "from-image"`: EXIF turns the image upright.
// - `colorSpaceConversion: "none"`: a colour profile is ignored, as Pillow ignores it. The networks learned from pixels
//   that were read so, and a converted photograph of a phone would be another image to them than it is in Python.
// - `premultiplyAlpha: "none"`: the values of transparent pixels are kept until they are laid on white.
//
// A large JPEG is searched for faces at 1/2, 1/4 or 1/8 of its size, as Python decodes it. Browsers cannot decode to a
// fraction; the mean of each block is the same but for about half a grey level.

import { MienError } from "./errors.js";
import { sniff } from "./formats.js";
import { leftToTurn, uprighted } from "./orientation.js";
import { reduce } from "./pillow.js";
import { emptyRaster, type Raster } from "./raster.js";

/** A large JPEG is decoded smaller for detection, never below this many pixels on a side. */
export const MIN_DETECTION_SIDE = 960;
/** The same for a quick look for the largest face alone. */
export const MIN_QUICK_SIDE = 340;
/** Files with more pixels than this are shrunk by a whole number once decoded. */
const MAX_READ_PIXELS = 24_000_000;
const MAX_PIXELS = 178_956_970;
const MAX_BYTES = 208 * 2 ** 20;
/** Pixels that are read from the browser at a time. */
const STRIP_PIXELS = 2 ** 20;

/** A file that cannot be read: a row says so, and why. */
export class Unreadable extends Error {}

/** Large JPEGs may be read smaller, and any file of very many pixels; what the page shows is taken as it is. */
type Kind = "jpeg" | "file" | "pixels";

/** A decoded image that stays with the browser until its pixels are read; `close` frees it. */
export class Picture {
  readonly width: number;
  readonly height: number;
  readonly #bitmap: ImageBitmap;
  readonly #kind: Kind;
  /** The EXIF orientation that the browser has not applied. */
  readonly #orientation: number;

  constructor(bitmap: ImageBitmap, kind: Kind, orientation: number) {
    [this.#bitmap, this.#kind, this.#orientation] = [bitmap, kind, orientation];
    const { width, height } = bitmap;
    [this.width, this.height] = orientation >= 5 ? [height, width] : [width, height];
  }

  /** The pixels of a JPEG decoded at no less than `side`, and whether there are more of them to look at. */
  first(side: number): { rgb: Raster; small: boolean } {
    if (this.#kind !== "jpeg") return { rgb: this.full(), small: false };
    const draft = draftFactor(this, side, side);
    return { rgb: limited(this.#read(draft)), small: draft > 1 };
  }

  /** The pixels in full; of a very large file, shrunk. */
  full(): Raster {
    if (this.#kind === "pixels") return this.#read(1);
    const factor = Math.ceil(Math.sqrt((this.width * this.height) / MAX_READ_PIXELS));
    if (factor <= 1 || this.#kind === "file") return this.#read(Math.max(factor, 1));
    const [width, height] = [Math.floor(this.width / factor), Math.floor(this.height / factor)];
    return limited(this.#read(draftFactor(this, width, height)));
  }

  close(): void {
    this.#bitmap.close();
  }

  /** Read the pixels on white, reduced by a whole number, in strips. */
  #read(factor: number): Raster {
    const { width, height } = this.#bitmap;
    const found = emptyRaster(Math.ceil(width / factor), Math.ceil(height / factor), 3);
    const rows = Math.min(Math.max(Math.floor(STRIP_PIXELS / width / factor), 1) * factor, height);
    const canvas = new OffscreenCanvas(width, rows);
    const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });
    if (!context) throw new Unreadable("takes more memory than the browser gives; shrink it");
    context.imageSmoothingEnabled = false;
    for (let top = 0; top < height; top += rows) {
      const count = Math.min(rows, height - top);
      context.fillStyle = "#fff";
      context.fillRect(0, 0, width, rows);
      context.drawImage(this.#bitmap, 0, top, width, count, 0, 0, width, count);
      const strip = withoutAlpha(context.getImageData(0, 0, width, count));
      found.data.set(reduce(strip, factor).data, (top / factor) * found.width * 3);
    }
    return uprighted(found, this.#orientation);
  }
}

/** Decode a file; throws `Unreadable` with the rest of the sentence that begins with its name. */
export async function decodeFile(file: Blob): Promise<Picture> {
  if (!file.size) throw new Unreadable("is empty (zero bytes)");
  if (file.size > MAX_BYTES) throw new Unreadable(`is larger than ${MAX_BYTES / 2 ** 20} MiB; save it again as JPEG`);
  const format = sniff(new Uint8Array(await file.slice(0, 2 ** 16).arrayBuffer()));
  if (format === null) throw new Unreadable("is not an image that can be decoded");
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    if (!format.usual) {
      throw new Unreadable(`is ${format.name}, which this browser cannot decode; save it as JPEG or PNG`);
    }
    throw new Unreadable("is truncated or damaged, or has more pixels than this browser decodes");
  }
  return checked(bitmap, format.name === "JPEG" ? "jpeg" : "file", await leftToTurn(file, format.name));
}

/** Take pixels that the page had already. */
export const takePixels = (bitmap: ImageBitmap): Picture => checked(bitmap, "pixels");

function checked(bitmap: ImageBitmap, kind: Kind, orientation = 1): Picture {
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    bitmap.close();
    throw new Unreadable(`has more than ${MAX_PIXELS} pixels`);
  }
  if (!bitmap.width) throw new MienError("bad-image", "the image has no pixels: it was closed or transferred before");
  return new Picture(bitmap, kind, orientation);
}

/** The fraction at which Pillow's `draft` decodes a JPEG: the smallest size that has at least these pixels. */
function draftFactor(size: { width: number; height: number }, width: number, height: number): number {
  const scale = Math.min(Math.floor(size.width / width), Math.floor(size.height / height));
  return [8, 4, 2].find((factor) => scale >= factor) ?? 1;
}

function limited(rgb: Raster): Raster {
  return reduce(rgb, Math.max(Math.ceil(Math.sqrt((rgb.width * rgb.height) / MAX_READ_PIXELS)), 1));
}

function withoutAlpha({ data, width, height }: ImageData): Raster {
  const found = emptyRaster(width, height, 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    found.data[to] = data[from]!;
    found.data[to + 1] = data[from + 1]!;
    found.data[to + 2] = data[from + 2]!;
  }
  return found;
}
