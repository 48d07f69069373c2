// Answer requests of rivals/worker.py in node: the same lines as protocol.py.
"use strict";

const readline = require("node:readline");
const sharp = require("sharp");

const say = (message) => process.stdout.write(`@${JSON.stringify(message)}\n`);

/** Decode a file to upright RGB pixels. sharp stands for the decoder of tfjs-node, which npm alone cannot install. */
async function pixels(file) {
  const { data, info } = await sharp(file).rotate().removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { data, shape: [info.height, info.width, 3] };
}

const row = (file, answer) => (answer ? { file, status: "ok", ...answer } : { file, status: "no_face" });

async function timed(adapter, request, opened) {
  const { files, what, seconds } = request;
  let call = (number) => adapter.readPhoto(files[number % files.length]);
  if (what !== "photo") {
    const crops = [];
    for (const file of files) {
      if (!opened.has(file)) opened.set(file, await pixels(file));
      crops.push(opened.get(file));
    }
    const batch = Array.from({ length: request.batch || 1 }, (_, number) => crops[number % crops.length]);
    call = what === "crop" ? (number) => adapter.readCrop(crops[number % crops.length]) : () => adapter.readBatch(batch);
  }
  const found = [];
  const end = performance.now() + 1000 * seconds;
  do {
    const began = performance.now();
    await call(found.length);
    found.push(performance.now() - began);
  } while (performance.now() < end);
  return found;
}

/** Answer every request until the input ends. The first argument has the options of the adapter. */
async function serve(open) {
  const adapter = await open(JSON.parse(process.argv[2]));
  const opened = new Map();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    if (request.do === "answer") {
      const { files, what, batch } = request;
      for (let first = 0; first < files.length; first += batch) {
        const part = files.slice(first, first + batch);
        const crops = what === "photo" ? [] : await Promise.all(part.map(pixels));
        const answers = what === "photo" ? [await adapter.readPhoto(part[0])] : batch === 1 ? [await adapter.readCrop(crops[0])] : await adapter.readBatch(crops);
        part.forEach((file, index) => say(row(file, answers[index])));
      }
      say({ done: true });
    } else say({ milliseconds: await timed(adapter, request, opened) });
  }
  process.exit(0);
}

const largest = (faces, area) => faces.reduce((best, face) => (!best || area(face) > area(best) ? face : best), undefined);

module.exports = { largest, pixels, serve };
