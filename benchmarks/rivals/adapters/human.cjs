// Read with @vladmandic/human in node, as its demo/nodejs does: `human.detect(tensor)`, with the WebAssembly backend.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const tf = require("@tensorflow/tfjs");
require("@tensorflow/tfjs-backend-wasm");
const { largest, pixels, serve } = require("./protocol.cjs");

const folder = (name) => path.dirname(require.resolve(name));
const HUMAN = folder("@vladmandic/human"); // its builds; the package exports only the one for tfjs-node
const { Human } = require(path.join(HUMAN, "human.node-wasm.js"));
const NAMES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
const GREY = [0.2989, 0.587, 0.114];

// Its WebAssembly build fetches networks, and node's fetch knows no file. A server for them would cost the cold start.
const web = globalThis.fetch;
globalThis.fetch = async (url, init) => (`${url}`.startsWith("file:") ? new Response(fs.readFileSync(new URL(url))) : web(url, init));

/**
 * Only what answers the same question is switched on: the detector and the emotions, and with `mesh` its face mesh.
 * Human has no entry for a crop: `alone` runs its emotion network by hand, with the steps of its own src/gear/emotion.ts.
 */
async function open({ mesh = false, alone = false }) {
  const off = { enabled: false };
  const human = new Human({
    backend: "wasm",
    wasmPath: `${folder("@tensorflow/tfjs-backend-wasm")}/`,
    modelBasePath: `file://${path.resolve(HUMAN, "../models")}/`,
    cacheSensitivity: 0, // every image is another one
    face: { mesh: { enabled: mesh }, iris: off, description: off, emotion: { enabled: true, minConfidence: 0 } },
    body: off, hand: off, gesture: off, object: off, segmentation: off,
  });
  await human.load();
  const tensor = ({ data, shape }) => human.tf.tensor3d(data, shape, "int32");

  const detect = async (image) => {
    const input = tensor(image);
    const { face } = await human.detect(input);
    human.tf.dispose(input);
    const best = largest(face, ({ box }) => box[2] * box[3]);
    if (!best) return undefined;
    const scores = Object.fromEntries((best.emotion || []).map(({ emotion, score }) => [emotion, score]));
    return Object.fromEntries(NAMES.map((name) => [name, scores[name] || 0]));
  };

  const network = async (crops) => {
    const model = human.models.models.emotion;
    const size = model.inputs[0].shape[2];
    const out = human.tf.tidy(() => {
      const images = human.tf.concat(crops.map((crop) => human.tf.image.resizeBilinear(tensor(crop).toFloat().div(255).expandDims(0), [size, size])));
      return model.execute(images.mul(GREY).sum(3, true).sub(0.5).mul(2));
    });
    const rows = await out.array();
    human.tf.dispose(out);
    return rows.map((row) => Object.fromEntries(NAMES.map((name, index) => [name, row[index]])));
  };

  return {
    readPhoto: async (file) => detect(await pixels(file)),
    readCrop: alone ? async (crop) => (await network([crop]))[0] : detect,
    readBatch: network,
  };
}

serve(open);
