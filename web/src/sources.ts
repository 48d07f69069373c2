// What `predict` takes, made ready for the worker; and what the browser must be able to do.

import { firstLine, MienError } from "./errors.js";

/** An image file, or something that shows pixels. */
export type Source =
  | Blob
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | ImageBitmap
  | ImageData;

interface Taken {
  readonly data: Blob | ImageBitmap;
  readonly name: string;
  readonly transfer: Transferable[];
}

/** The smallest module that uses SIMD: a function that returns a vector of zeros' lane. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** Say what this browser lacks; null if it can run mien. */
export function isUsable(): string | null {
  const update = "use a current version of Chrome, Edge, Firefox or Safari";
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD)) {
    return `this browser has no WebAssembly with SIMD, or it is switched off; ${update}`;
  }
  if (typeof Worker !== "function" || typeof OffscreenCanvas !== "function") {
    return `this browser has no workers that can read images; ${update}`;
  }
  return null;
}

/** Take a file as it is, and the pixels of anything else as they are now. */
export async function toSource(source: Source, name?: string): Promise<Taken> {
  if (source instanceof Blob) {
    const own = typeof File === "function" && source instanceof File ? source.name : "<blob>";
    return { data: source, name: name ?? own, transfer: [] };
  }
  const kind = kindOf(source);
  try {
    if (kind === "image") await (source as HTMLImageElement).decode();
    const bitmap = await createImageBitmap(source as ImageBitmapSource, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
    return { data: bitmap, name: name ?? `<${kind}>`, transfer: [bitmap] };
  } catch (error) {
    const why = firstLine(error);
    const question = "is it loaded, and of this site?";
    throw new MienError("bad-image", `the pixels of this ${kind} cannot be read (${why}); ${question}`);
  }
}

const KINDS = {
  HTMLImageElement: "image", HTMLVideoElement: "video", HTMLCanvasElement: "canvas", OffscreenCanvas: "canvas",
  ImageBitmap: "bitmap", ImageData: "pixels",
} as const;

function kindOf(source: unknown): string {
  for (const [type, kind] of Object.entries(KINDS)) {
    const known = (globalThis as Record<string, unknown>)[type];
    if (typeof known === "function" && source instanceof known) return kind;
  }
  const known = "give a Blob, an image, a canvas, a video, an ImageBitmap or ImageData";
  throw new MienError("bad-image", `this is no image: ${known}`);
}
