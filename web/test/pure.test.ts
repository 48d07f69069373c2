// What needs no Python: hashes, kinds of files, EXIF, errors.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";

import { withThreshold } from "../src/decision.js";
import { asMienError, MienError } from "../src/errors.js";
import { sniff } from "../src/formats.js";
import { orientationOf } from "../src/orientation.js";
import { ownSha256, sha256 } from "../src/sha256.js";
import { isUsable } from "../src/sources.js";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test("sha256 is that of node's crypto, for lengths around a block", async () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000, 100_003]) {
    const data = new Uint8Array(randomBytes(length));
    const wanted = createHash("sha256").update(data).digest("hex");
    assert.equal(Buffer.from(ownSha256(data)).toString("hex"), wanted);
    assert.equal(await sha256(data), wanted);
  }
});

test("files are known by their first bytes", () => {
  const name = (text: string): string | undefined => sniff(ascii(text))?.name;
  assert.equal(name("\x89PNG\r\n\x1a\n"), "PNG");
  assert.equal(name("GIF89a"), "GIF");
  assert.equal(name("RIFF\0\0\0\0WEBPVP8 "), "WebP");
  assert.equal(name("\0\0\0\x18ftypheic"), "HEIC");
  assert.equal(name("\0\0\0\x18ftypavif"), "AVIF");
  assert.equal(name("\0\0\0\x18ftypmp42"), undefined);
  assert.equal(name("II*\0"), "TIFF");
  assert.equal(name("P6 2 1 255 "), "PPM");
  assert.equal(name("<svg xmlns='http://www.w3.org/2000/svg'>"), undefined);
  assert.equal(name(""), undefined);
});

test("a JPEG of several images is no plain JPEG", () => {
  const index = (images: number): string =>
    `II*\0\x08\0\0\0\x02\0\0\xb0\x07\0\x04\0\0\x000100\x01\xb0\x04\0\x01\0\0\0${String.fromCharCode(images)}\0\0\0`;
  const jpeg = (images: number): string => {
    const body = `MPF\0${index(images)}`;
    return `\xff\xd8\xff\xe0\0\x04ab\xff\xe2\0${String.fromCharCode(body.length + 2)}${body}\xff\xda`;
  };
  assert.equal(sniff(ascii(jpeg(2)))?.name, "MPO");
  assert.equal(sniff(ascii(jpeg(1)))?.name, "JPEG");
  assert.equal(sniff(ascii("\xff\xd8\xff\xe2\0"))?.name, "JPEG");
});

test("EXIF is read in both byte orders, and damaged EXIF is none", () => {
  const png = (exif: string): Uint8Array =>
    ascii(`\x89PNG\r\n\x1a\n\0\0\0${String.fromCharCode(exif.length)}eXIf${exif}\0\0\0\0`);
  assert.equal(orientationOf(png("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"), "PNG"), 6);
  assert.equal(orientationOf(png("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0"), "PNG"), 8);
  assert.equal(orientationOf(png("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0\0\0\0\0"), "PNG"), 1);
  assert.equal(orientationOf(png("II*\0\xff\xff\0\0"), "PNG"), 1);
  assert.equal(orientationOf(ascii("\x89PNG\r\n\x1a\n"), "PNG"), 1);
});

test("a threshold that does not fit the rule is refused in one sentence", () => {
  const rule = { labels: ["a", "b", "c"], threshold: 0.5, answerFrom: null, answerOver: null };
  const two = { ...rule, labels: ["a", "b"] };
  const from = { ...rule, answerFrom: new Map([["a", 0.5]]) };
  const cases = [
    [rule, 0.4], [two, 1], [two, { c: 0.5 }], [two, { a: 0.1, b: 0.2 }], [from, 0.4], [from, { b: 0.4 }],
  ] as const;
  for (const [one, threshold] of cases) {
    const isRefusal = (error: unknown): boolean => error instanceof MienError && error.code === "bad-option";
    assert.throws(() => withThreshold(one, threshold), isRefusal);
  }
});

test("an error of another library becomes one line", () => {
  const found = asMienError(new Error("bad\nthing"), "the model cannot be run");
  assert.deepEqual([found.code, found.message], ["failed", "the model cannot be run (bad)"]);
  assert.equal(asMienError(found, "again"), found);
});

test("node has WebAssembly with SIMD, and no workers that read images", () => {
  assert.match(isUsable() ?? "", /no workers that can read images; use/);
});
