// The list of photos, with their predictions and heatmaps. Photos stay in this tab.

import { heatLayer, predict as predictFile, showableCopy } from "./backend.js";
import { Problem } from "./problem.js";
import { choice, model } from "./settings.js";
import { bytes, problemText } from "./text.js";

const MAX_RUNNING = 2; // predictions at the same time
const THUMB = 120; // shorter side of a thumbnail in pixels, twice its size on the page

/** All photos, oldest first: {name, file, url, state, row, error, heats, asked}. State: waiting, running, done or failed. */
export const photos = [];
/** Sends "added", "changed" (with `photo`), "removed" (with `photo`) and "finished" events. */
export const album = new EventTarget();

let maxBytes = Infinity; // largest file
let started = null; // promise to wait for before the first prediction
let running = 0;
let pasted = 0;

/** Set the largest file that is taken, in bytes; 0 is any. */
export function setMaxBytes(count) {
  maxBytes = count || Infinity;
}

/** Predict nothing before this promise is resolved. */
export function startAfter(promise) {
  started = promise;
}

function notify(type, photo = null) {
  album.dispatchEvent(Object.assign(new Event(type), { photo }));
}

/** Add files and predict them. Return their photos. */
export function addFiles(files, fromClipboard = false) {
  const added = [...files].map((file) => {
    const name = fromClipboard ? `pasted ${(pasted += 1)}.${file.type.split("/")[1] || "png"}` : file.name;
    const url = URL.createObjectURL(file);
    const photo = { name, file, url, state: "waiting", row: null, error: "", heats: new Map(), asked: new Map() };
    photos.push(photo);
    thumbnail(photo);
    return photo;
  });
  notify("added");
  predictNext();
  return added;
}

/** Remove a photo. */
export function removePhoto(photo) {
  photos.splice(photos.indexOf(photo), 1);
  release(photo);
  notify("removed", photo);
}

function release(photo) {
  photo.run?.abort();
  photo.run = null;
  URL.revokeObjectURL(photo.url);
  releaseHeats(photo);
}

function releaseHeats(photo) {
  for (const url of photo.heats.values()) URL.revokeObjectURL(url);
  photo.heats = new Map(); // a new one, since a pending answer belongs to the old one
  photo.asked = new Map();
}

/** Predict all photos again, with other settings. */
export function predictAgain() {
  for (const photo of photos) {
    photo.run?.abort();
    releaseHeats(photo);
    Object.assign(photo, { state: "waiting", row: null, error: "" });
    notify("changed", photo);
  }
  predictNext();
}

async function predictNext() {
  try {
    await started;
  } catch {
    return; // the page shows this error, and calls `predictAgain` later
  }
  while (running < MAX_RUNNING) {
    const photo = photos.find((one) => one.state === "waiting");
    if (!photo) return;
    running += 1;
    predict(photo).finally(() => {
      running -= 1;
      if (photos.some((one) => one.state === "waiting")) predictNext();
      else if (!running) notify("finished");
    });
  }
}

async function predict(photo) {
  const run = new AbortController();
  Object.assign(photo, { state: "running", run });
  notify("changed", photo);
  try {
    if (photo.file.size > maxBytes) throw new Problem({ code: "too_large", detail: limitText(photo.file.size) });
    const row = await predictFile(photo.file, photo.name, choice(), run.signal);
    if (photo.run === run) Object.assign(photo, { state: "done", row: { ...row, source: photo.name }, model });
  } catch (error) {
    if (photo.run === run && error.name !== "AbortError") {
      Object.assign(photo, { state: "failed", error: errorText(error) });
    }
  }
  if (photo.run === run) notify("changed", photo);
}

const limitText = (size) => `It has ${bytes(size)}; the limit is ${bytes(maxBytes)}.`;
const errorText = (error) => (error instanceof Problem ? problemText(error) : error.message);

/** Return the rows of all finished photos. A failed one has status `unreadable`, as in `mien predict`. */
export function rows() {
  return photos.flatMap(({ name, row, error }) => {
    if (row) return [row];
    return error ? [{ source: name, status: "unreadable", reason: error, faces: [] }] : [];
  });
}

/** Return the URL of a photo's heatmap for a label ("" is the answer of each face); null if it is outdated by now. */
export async function heatOf(photo, label) {
  const { heats, asked } = photo;
  if (!heats.has(label)) {
    // It is asked for once, however often the stage is painted until it comes.
    if (!asked.has(label)) asked.set(label, heatLayer(photo.file, choice(), label).finally(() => asked.delete(label)));
    const heat = await asked.get(label);
    if (heats !== photo.heats) return null;
    if (!heats.has(label)) heats.set(label, URL.createObjectURL(heat));
  }
  return heats.get(label);
}

/** Show a copy of a photo whose format the browser cannot show. Return whether there is one. */
export async function useCopy(photo) {
  photo.copy ??= copyOf(photo);
  return photo.copy;
}

async function copyOf(photo) {
  try {
    const image = await showableCopy(photo.file, choice());
    if (!photos.includes(photo)) return false;
    URL.revokeObjectURL(photo.url);
    photo.url = URL.createObjectURL(image);
    drawThumbnail(photo.thumb, image);
    return true;
  } catch {
    return false; // the page says that the browser cannot show it
  }
}

function thumbnail(photo) {
  photo.thumb = Object.assign(document.createElement("canvas"), { width: THUMB, height: THUMB });
  drawThumbnail(photo.thumb, photo.file);
}

async function drawThumbnail(canvas, image) {
  try {
    const bitmap = await createImageBitmap(image);
    const scale = THUMB / Math.min(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    canvas.getContext("2d").drawImage(bitmap, (THUMB - width) / 2, (THUMB - height) / 3, width, height);
    bitmap.close();
  } catch {
    // The browser cannot show this format. What computes the answers may still support it.
  }
}
