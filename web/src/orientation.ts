// Turn an image upright if its file says so and this browser does not: Chromium reads the EXIF data of JPEG and PNG
// files, but not of WebP.

import type { Raster } from "./raster.js";

/** 1 x 2 pixels whose EXIF data says that they lie on their side. */
const PROBES: Readonly<Record<string, string>> = {
  WebP:
    "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAAAAAQAAVlA4TA4AAAAvAEAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYA" +
    "AAAAAAA=",
  PNG:
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAACCAAAAAC86un7AAAAGmVYSWZNTQAqAAAACAABARIAAwAAAAEABgAAAAAAANZnS2kAAAAMSURBVHic" +
    "Y2BgYAAAAAQAAfYXOFUAAAAASUVORK5CYII=",
};
const probed = new Map<string, Promise<boolean>>();

/** Return the EXIF orientation, 1 to 8, that is left to apply to what the browser decodes of a file. */
export async function leftToTurn(file: Blob, format: string): Promise<number> {
  if (!(format in PROBES)) return 1;
  const orientation = orientationOf(new Uint8Array(await file.arrayBuffer()), format);
  if (orientation === 1) return 1;
  if (!probed.has(format)) probed.set(format, doesTurn(format));
  return (await probed.get(format)) ? 1 : orientation;
}

async function doesTurn(format: string): Promise<boolean> {
  const data = Uint8Array.from(atob(PROBES[format]!), (letter) => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([data]), { imageOrientation: "from-image" });
  return bitmap.width > bitmap.height;
}

/** Return the EXIF orientation of a WebP or PNG file; 1 if it has none, or it cannot be read. */
export function orientationOf(data: Uint8Array, format: string): number {
  try {
    const exif = format === "WebP" ? chunkOf(data, 12, "EXIF", true) : chunkOf(data, 8, "eXIf", false);
    return exif ? exifOrientation(exif) : 1;
  } catch {
    return 1; // damaged EXIF says nothing against the pixels
  }
}

/** Return the first chunk of a name. RIFF has the name before the length, and pads; PNG after it, and a checksum. */
function chunkOf(data: Uint8Array, start: number, name: string, riff: boolean): Uint8Array | null {
  const view = viewOf(data);
  for (let at = start; at + 8 <= data.length; ) {
    const length = view.getUint32(riff ? at + 4 : at, riff);
    const found = String.fromCharCode(...data.subarray(riff ? at : at + 4, riff ? at + 4 : at + 8));
    if (found === name) return data.subarray(at + 8, at + 8 + length);
    at += 8 + length + (riff ? length % 2 : 4);
  }
  return null;
}

function exifOrientation(exif: Uint8Array): number {
  const hasName = String.fromCharCode(...exif.subarray(0, 6)) === "Exif\0\0";
  const view = viewOf(hasName ? exif.subarray(6) : exif);
  const little = view.getUint16(0) === 0x4949;
  const at = view.getUint32(4, little);
  for (let n = 0; n < view.getUint16(at, little); n += 1) {
    const entry = at + 2 + 12 * n;
    if (view.getUint16(entry, little) !== 0x0112) continue;
    const value = view.getUint16(entry + 8, little);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

const viewOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** Return an image turned and mirrored as its EXIF orientation asks for. */
export function uprighted(image: Raster, orientation: number): Raster {
  if (orientation === 1) return image;
  const { width, height, channels, data } = image;
  const swaps = orientation >= 5;
  const [columns, rows] = swaps ? [height, width] : [width, height];
  const found = { data: new Uint8Array(data.length), width: columns, height: rows, channels };
  const [flipX, flipY] = [[2, 3, 7, 8].includes(orientation), [3, 4, 6, 7].includes(orientation)];
  for (let y = 0, to = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const [column, row] = swaps ? [y, x] : [x, y];
      const from = ((flipY ? height - 1 - row : row) * width + (flipX ? width - 1 - column : column)) * channels;
      for (let c = 0; c < channels; c += 1) found.data[to++] = data[from + c]!;
    }
  }
  return found;
}
