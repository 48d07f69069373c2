// The image formats that mien opens, by the first bytes of a file (src/mien/io/images/formats.py).

/** A format; the `usual` ones are decoded by every browser. */
export interface Format {
  readonly name: string;
  readonly usual: boolean;
}

const text = (head: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...head.subarray(from, to));

const BRANDS: Readonly<Record<string, string>> = {
  avif: "AVIF", avis: "AVIF",
  heic: "HEIC", heix: "HEIC", heim: "HEIC", heis: "HEIC", hevc: "HEIC", hevx: "HEIC", mif1: "HEIC", msf1: "HEIC",
};

/** Return the format of a file that begins so; null if it is none that mien opens. */
export function sniff(head: Uint8Array): Format | null {
  const name = nameOf(head);
  return name === null ? null : { name, usual: ["JPEG", "PNG", "GIF", "WebP", "BMP"].includes(name) };
}

function nameOf(head: Uint8Array): string | null {
  if (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) return isSeveral(head) ? "MPO" : "JPEG";
  if (text(head, 0, 8) === "\x89PNG\r\n\x1a\n") return "PNG";
  if (/^GIF8[79]a/.test(text(head, 0, 6))) return "GIF";
  if (text(head, 0, 4) === "RIFF" && text(head, 8, 12) === "WEBP") return "WebP";
  if (text(head, 0, 2) === "BM") return "BMP";
  if (text(head, 4, 8) === "ftyp") return BRANDS[text(head, 8, 12)] ?? null;
  if (["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(text(head, 0, 4))) return "TIFF";
  if (text(head, 0, 4) === "\xff\x4f\xff\x51" || text(head, 4, 8) === "jP  ") return "JPEG 2000";
  return /^P[1-6][\s#]/.test(text(head, 0, 3)) ? "PPM" : null;
}

/** Whether a JPEG holds several images (CIPA DC-007): Python does not decode those to a fraction. */
function isSeveral(head: Uint8Array): boolean {
  for (let at = 2; at + 4 < head.length && head[at] === 0xff && head[at + 1] !== 0xda; ) {
    const length = head[at + 2]! * 256 + head[at + 3]!;
    if (head[at + 1] === 0xe2 && text(head, at + 4, at + 8) === "MPF\0") {
      return numberOfImages(head.subarray(at + 8, at + 2 + length)) > 1;
    }
    at += 2 + length;
  }
  return false;
}

/** The field 0xB001 of the index of a file of several images. */
function numberOfImages(index: Uint8Array): number {
  const view = new DataView(index.buffer, index.byteOffset, index.byteLength);
  const little = text(index, 0, 2) === "II";
  try {
    const at = view.getUint32(4, little);
    for (let n = 0; n < view.getUint16(at, little); n += 1) {
      const entry = at + 2 + 12 * n;
      if (view.getUint16(entry, little) === 0xb001) return view.getUint32(entry + 8, little);
    }
  } catch {
    return 1; // cut short
  }
  return 1;
}
