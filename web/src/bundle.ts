// Fetch a bundle and check it before use: its config, and the sha256 of its graph.

import { type BundleConfig, parseConfig } from "./config.js";
import { firstLine, MienError } from "./errors.js";
import { sha256 } from "./sha256.js";

/** A bundle that was fetched and checked. */
export interface Bundle {
  readonly config: BundleConfig;
  readonly model: Uint8Array;
}

/** Fetch the config of the bundle in a folder, whose address ends with a slash; it must have this sha256, if any. */
export async function fetchConfig(folder: string, pinned: string | null): Promise<BundleConfig> {
  const place = new URL("config.json", folder).href;
  const text = pinned === null ? await fetchBytes(place, "no-cache") : await fetchChecked(place, pinned);
  return parseConfig(new TextDecoder().decode(text), place);
}

/** Fetch a bundle, as `fetchConfig` does. */
export async function fetchBundle(folder: string, pinned: string | null): Promise<Bundle> {
  const config = await fetchConfig(folder, pinned);
  return { config, model: await fetchChecked(new URL("model.onnx", folder).href, config.sha256) };
}

/** Fetch a file that must have this sha256. */
export async function fetchChecked(url: string, expected: string): Promise<Uint8Array> {
  const data = await fetchBytes(url, "default");
  if ((await sha256(data)) === expected) return data;
  // A copy from before an update, or one that was cut short, may be in the browser's cache.
  const fresh = await fetchBytes(url, "reload");
  const found = await sha256(fresh);
  if (found === expected) return fresh;
  throw new MienError(
    "wrong-hash",
    `${url}: sha256 is ${found.slice(0, 12)}…, it should be ${expected.slice(0, 12)}…; ` +
      "the file was changed or damaged, upload it again",
  );
}

async function fetchBytes(url: string, cache: RequestCache): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(url, { cache });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const why = firstLine(error);
    throw new MienError("unreachable", `${url}: cannot be fetched (${why}); check the address and the network`);
  }
  throw new MienError("unreachable", `${url}: the server answers ${response.status}; check the address of the bundle`);
}
