// What computes the answers: the library, in this browser. The page of `mien serve` has another module of this name.

import { describe, load, heatLayer as coloured, MienError } from "../mien/mien.js";
import { Problem } from "./problem.js";

const ROOT = new URL("../", import.meta.url);
const SITE = new URL("site.json", ROOT);
const MODELS = new URL("models/", ROOT);
const MAX_SIDE = 1280; // longest side of a heatmap in pixels
const USUAL = { model: "", faces: "", detect: "" };

let names = [];
let digests = {}; // sha256 of the config of each model, which holds that of its graph
let current = { key: "", reader: null }; // one model is held at a time: each takes tens of megabytes

/** Return the models of this page and the name of the default one, as GET /v1/models. */
export async function listModels() {
  const list = await fetchJson(new URL("models.json", MODELS));
  if (!Array.isArray(list.models) || !list.models.length) {
    throw new Problem({ code: "bad_site", detail: "models/models.json names no model; write {\"models\": [\"NAME\"]}." });
  }
  names = list.models;
  digests = list.sha256 ?? {};
  return { default: list.default ?? names[0], models: await Promise.all(names.map(summary)) };
}

/** Return what whoever made this site has set: {notice}, the text before the camera opens ("": the usual, null: none). */
export async function siteSettings() {
  const { notice = "" } = await fetchJson(SITE);
  if (notice === null || typeof notice === "string") return { notice };
  throw new Problem({ code: "bad_site", detail: "site.json: notice must be a text, or null for none." });
}

async function summary(name) {
  const { config, answers } = await describe(new URL(`${name}/`, MODELS), digests[name]);
  return { ...config, name, answers, explains: config.maps };
}

/** Return an object of a file of this site. */
async function fetchJson(url) {
  const name = url.href.slice(ROOT.href.length);
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Problem({ code: "missing", detail: `${name} is missing on this site.` });
  const found = await response.json().catch(() => null);
  if (found !== null && typeof found === "object") return found;
  throw new Problem({ code: "bad_site", detail: `${name} is damaged: upload it again.` });
}

/** Load the model that is used unless the user chooses another. */
export const warmUp = () => readerFor(USUAL);

function readerFor({ model, faces, detect }) {
  const key = JSON.stringify([model, faces, detect]);
  if (current.key !== key) {
    current.reader?.then((reader) => reader.close(), () => {});
    const options = { faces: faces || "all", ...(detect ? { detect: detect === "true" } : {}) };
    const name = model || names[0];
    const reader = load(new URL(`${name}/`, MODELS), { ...options, sha256: digests[name] });
    current = { key, reader };
    // What failed is tried again at the next call.
    reader.catch(() => { if (current.reader === reader) current = { key: "", reader: null }; });
  }
  return current.reader;
}

/** Return an error of the library in the form that the page shows: files by their paths in this site. */
export function problemOf(error) {
  if (!(error instanceof MienError)) return error;
  return new Problem({ code: error.code, detail: `${error.message.replaceAll(ROOT.href, "")}.` });
}

async function asking(choice, ask) {
  try {
    return await ask(await readerFor(choice));
  } catch (error) {
    throw problemOf(error);
  }
}

/** Predict an image file as its `choice` {model, faces, detect} says; return its row. */
export async function predict(file, name, choice, signal) {
  const row = await asking(choice, (reader) => {
    signal.throwIfAborted();
    return reader.predict(file, name);
  });
  signal.throwIfAborted();
  return row;
}

/** Return a transparent image of the evidence for a label ("" is the answer of each face), a Blob. */
export async function heatLayer(file, choice, label) {
  const { width, height, heatmaps } = await asking(choice, (reader) => reader.explain(file, label || undefined));
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const layer = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  const context = layer.getContext("2d");
  context.imageSmoothingQuality = "high";
  for (const heatmap of heatmaps) {
    const square = new OffscreenCanvas(heatmap.size, heatmap.size);
    square.getContext("2d").putImageData(coloured(heatmap), 0, 0);
    const [corner, right, , below] = heatmap.corners.map((point) => point.map((value) => value * scale));
    const [across, down] = [right, below].map((end) => end.map((value, axis) => (value - corner[axis]) / heatmap.size));
    context.setTransform(...across, ...down, ...corner);
    context.drawImage(square, 0, 0);
  }
  return layer.convertToBlob({ type: "image/png" });
}

/** What this browser cannot decode, it cannot show either. */
export async function showableCopy() {
  throw new Problem({ code: "unreadable_image" });
}

/** Frames of a webcam, one at a time, as the stream to a server. */
export class Stream {
  constructor(choice, { onAnswer, onProblem }) {
    Object.assign(this, { onAnswer, onProblem, frames: null, busy: false, closed: false });
    readerFor(choice).then(
      (reader) => { if (!this.closed) this.frames = reader.stream("webcam"); },
      (error) => this.fail(error),
    );
  }

  /** Whether to send a frame now. */
  get ready() {
    return this.frames !== null && !this.busy;
  }

  /** Frames are read as they are. */
  async encode() {
    return true;
  }

  /** Predict a `frame` (ImageBitmap), which the page keeps until the answer. Return whether it was taken. */
  send(_, frame) {
    if (!this.ready) return false;
    this.busy = true;
    const begin = performance.now();
    this.frames.predict(frame).then((row) => {
      this.busy = false;
      if (this.closed) frame.close();
      else this.onAnswer({ row, milliseconds: performance.now() - begin }, performance.now() - begin, frame);
    }, (error) => {
      frame.close();
      this.fail(error);
    });
    return true;
  }

  fail(error) {
    if (this.closed) return;
    this.close();
    this.onProblem(problemOf(error));
  }

  close() {
    this.closed = true;
    this.frames?.close();
    this.frames = null;
  }
}
