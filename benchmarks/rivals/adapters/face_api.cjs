// Read with @vladmandic/face-api in node, as its demo/node-wasm.js and TUTORIAL.md do.
"use strict";

const path = require("node:path");
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");
const faceapi = require("@vladmandic/face-api/dist/face-api.node-wasm.js");
const { largest, pixels, serve } = require("./protocol.cjs");

const folder = (name) => path.dirname(require.resolve(name));

/** SSD MobileNet, landmarks and expressions; or, with `tiny`, its faster detector and no landmarks. */
async function open({ tiny = false }) {
  wasm.setWasmPaths(`${folder("@tensorflow/tfjs-backend-wasm")}/`);
  await tf.setBackend("wasm");
  await tf.ready();
  const models = path.join(folder("@vladmandic/face-api/package.json"), "model");
  const { nets } = faceapi;
  for (const net of [nets.faceExpressionNet, ...(tiny ? [nets.tinyFaceDetector] : [nets.ssdMobilenetv1, nets.faceLandmark68Net])]) {
    await net.loadFromDisk(models);
  }
  const options = tiny ? new faceapi.TinyFaceDetectorOptions() : new faceapi.SsdMobilenetv1Options();
  const tensor = ({ data, shape }) => tf.tensor3d(data, shape, "int32");

  const predict = async (crops) => {
    const tensors = crops.map(tensor);
    const found = await nets.faceExpressionNet.predictExpressions(tensors);
    tf.dispose(tensors);
    return found.map((one) => ({ ...one }));
  };

  return {
    readPhoto: async (file) => {
      const image = tensor(await pixels(file));
      const found = faceapi.detectAllFaces(image, options);
      const faces = await (tiny ? found : found.withFaceLandmarks()).withFaceExpressions();
      tf.dispose(image);
      const face = largest(faces, ({ detection }) => detection.box.area);
      return face && { ...face.expressions };
    },
    readCrop: async (crop) => (await predict([crop]))[0],
    readBatch: predict,
  };
}

serve(open);
