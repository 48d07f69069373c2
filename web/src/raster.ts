// Images as arrays of bytes: cut, turn, make grey. Resizing: `pillow`, `methods`.

/** Pixels row by row, `channels` bytes each (3: RGB, 1: grey). */
export interface Raster {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** Values that need not be whole numbers, laid out as a `Raster`. */
export interface FloatRaster {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export function emptyRaster(width: number, height: number, channels: number): Raster {
  return { data: new Uint8Array(width * height * channels), width, height, channels };
}

/** Return a rectangle of an image, in whole pixels inside it; of its columns and rows each so many-th. */
export function cut(
  image: Raster, left: number, top: number, width: number, height: number,
  [stepX, stepY]: readonly [number, number] = [1, 1],
): Raster {
  const { channels, data } = image;
  const whole = left === 0 && top === 0 && width === image.width && height === image.height;
  if (whole && stepX === 1 && stepY === 1) return image;
  const found = emptyRaster(Math.ceil(width / stepX), Math.ceil(height / stepY), channels);
  for (let y = 0, to = 0; y < found.height; y += 1) {
    let from = ((top + y * stepY) * image.width + left) * channels;
    if (stepX === 1) {
      found.data.set(data.subarray(from, from + found.width * channels), to);
      to += found.width * channels;
      continue;
    }
    for (let x = 0; x < found.width; x += 1, from += stepX * channels) {
      for (let c = 0; c < channels; c += 1) found.data[to++] = data[from + c]!;
    }
  }
  return found;
}

/** Return an image turned counter-clockwise by so many quarter turns, as `numpy.rot90`. */
export function rot90(image: Raster, turns: number): Raster {
  const quarter = ((turns % 4) + 4) % 4;
  if (quarter === 0) return image;
  const { width, height, channels, data } = image;
  const found = quarter === 2 ? emptyRaster(width, height, channels) : emptyRaster(height, width, channels);
  let to = 0;
  for (let y = 0; y < found.height; y += 1) {
    for (let x = 0; x < found.width; x += 1) {
      const [column, row] =
        quarter === 1 ? [width - 1 - y, x] : quarter === 2 ? [width - 1 - x, height - 1 - y] : [y, height - 1 - x];
      const from = (row * width + column) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = data[from + c]!;
    }
  }
  return found;
}

/** Return an RGB image in grey: ITU-R 601-2 luma, in the fixed-point arithmetic of Pillow's `convert("L")`. */
export function toGrey(image: Raster): Raster {
  if (image.channels === 1) return image;
  const found = emptyRaster(image.width, image.height, 1);
  const { data } = image;
  for (let to = 0, from = 0; to < found.data.length; to += 1, from += 3) {
    found.data[to] = (data[from]! * 19595 + data[from + 1]! * 38470 + data[from + 2]! * 7471 + 0x8000) >> 16;
  }
  return found;
}

/** Return an image with so many channels: 1 is grey, 3 is RGB as it is. */
export const withChannels = (image: Raster, channels: number): Raster => (channels === 1 ? toGrey(image) : image);

/** Return an image, or maps laid out as one, mirrored left to right. */
export function mirrored<Image extends Raster | FloatRaster>(image: Image): Image {
  const { width, height, channels, data } = image;
  const found = data.slice();
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const from = (y * width + x) * channels;
      found.set(data.subarray(from, from + channels), (y * width + width - 1 - x) * channels);
    }
  }
  return { ...image, data: found };
}
