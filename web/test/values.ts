// Values that Python computed; tests/web/test_units.py writes them. Without them, the tests that need them are skipped.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import type { Raster } from "../src/raster.js";

export interface Image {
  width: number;
  height: number;
  channels: number;
  /** base64 */
  data: string;
}

const path = process.env["MIEN_PYTHON_VALUES"];
const values: Record<string, unknown[]> | null = path ? JSON.parse(readFileSync(path, "utf8")) : null;

/** Run `check` on every case that Python wrote under this name. */
export function eachCase<Case>(name: string, check: (one: Case, label: string) => void): void {
  const skip = values ? false : "needs values from Python: run pytest tests/web";
  test(`${name}: as Python`, { skip }, () => {
    const cases = (values?.[name] ?? []) as Case[];
    assert.ok(cases.length > 0, `Python wrote no case of ${name}`);
    cases.forEach((one, n) => check(one, `${name} ${n}`));
  });
}

export function toRaster({ width, height, channels, data }: Image): Raster {
  return { width, height, channels, data: new Uint8Array(Buffer.from(data, "base64")) };
}

export function toFloats(text: string): Float32Array {
  const bytes = Buffer.from(text, "base64");
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** Check that numbers are the same but for a rounding error. */
export function assertClose(
  found: ArrayLike<number>, wanted: ArrayLike<number>, tolerance: number, label: string,
): void {
  assert.equal(found.length, wanted.length, label);
  for (let n = 0; n < wanted.length; n += 1) {
    const off = Math.abs(found[n]! - wanted[n]!);
    assert.ok(off <= tolerance, `${label}, place ${n}: ${found[n]} instead of ${wanted[n]}`);
  }
}
