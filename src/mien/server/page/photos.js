// The photos of a person: a list, read one after the other by the server. They stay in this tab.

import { Problem, request } from "./api.js";
import { model, query } from "./settings.js";
import { bytes, problemWords } from "./words.js";

const AT_ONCE = 2;
const THUMB = 120; // pixels of the shorter side of a thumbnail, twice what is shown

/** All photos, oldest first: {name, file, url, state, row, fault, heats}. State: waiting, reading, done or failed. */
export const photos = [];
/** Tells "added", "changed" (with `photo`), "removed" and "finished". */
export const album = new EventTarget();

let largest = Infinity; // bytes that the server takes
let started = null; // what must be known before anything is read
let running = 0;
let pasted = 0;

/** Name the largest body that the server takes, in bytes. */
export function limitTo(count) {
  largest = count || Infinity;
}

/** Read nothing before this promise is kept. */
export function startAfter(promise) {
  started = promise;
}

function tell(type, photo = null) {
  album.dispatchEvent(Object.assign(new Event(type), { photo }));
}

/** Add files, and read them; returns their photos. */
export function addFiles(files, fromClipboard = false) {
  const added = [...files].map((file) => {
    const name = fromClipboard ? `pasted ${(pasted += 1)}.${file.type.split("/")[1] || "png"}` : file.name;
    const url = URL.createObjectURL(file);
    const photo = { name, file, url, state: "waiting", row: null, fault: "", heats: new Map() };
    photos.push(photo);
    thumbnail(photo);
    return photo;
  });
  tell("added");
  readNext();
  return added;
}

/** Take a photo away. */
export function removePhoto(photo) {
  photos.splice(photos.indexOf(photo), 1);
  forget(photo);
  tell("removed", photo);
}

function forget(photo) {
  photo.run?.abort();
  photo.run = null;
  URL.revokeObjectURL(photo.url);
  forgetHeats(photo);
}

function forgetHeats(photo) {
  for (const url of photo.heats.values()) URL.revokeObjectURL(url);
  photo.heats = new Map(); // not the same one: an answer that is still on its way belongs to the old
}

/** Read all photos again, with other settings. */
export function readAgain() {
  for (const photo of photos) {
    photo.run?.abort();
    forgetHeats(photo);
    Object.assign(photo, { state: "waiting", row: null, fault: "" });
    tell("changed", photo);
  }
  readNext();
}

async function readNext() {
  try {
    await started;
  } catch {
    return; // said where it happened; all is read again once it is mended
  }
  while (running < AT_ONCE) {
    const photo = photos.find((one) => one.state === "waiting");
    if (!photo) return;
    running += 1;
    read(photo).finally(() => {
      running -= 1;
      if (photos.some((one) => one.state === "waiting")) readNext();
      else if (!running) tell("finished");
    });
  }
}

async function read(photo) {
  const run = new AbortController();
  Object.assign(photo, { state: "reading", run });
  tell("changed", photo);
  try {
    if (photo.file.size > largest) throw new Problem({ code: "too_large", detail: limitWords(photo.file.size) });
    const body = new FormData();
    body.append("file", photo.file, photo.name);
    const response = await request("v1/predict", { method: "POST", body, query: query(), signal: run.signal });
    const [row] = await response.json();
    if (photo.run === run) Object.assign(photo, { state: "done", row: { ...row, source: photo.name }, model });
  } catch (error) {
    if (photo.run === run && error.name !== "AbortError") {
      Object.assign(photo, { state: "failed", fault: faultWords(error) });
    }
  }
  if (photo.run === run) tell("changed", photo);
}

const limitWords = (size) => `It has ${bytes(size)}; the limit is ${bytes(largest)}.`;
const faultWords = (error) => (error instanceof Problem ? problemWords(error) : error.message);

/** The rows of what was read, a fault as a row of status `unreadable`, as `mien predict` writes it. */
export function rows() {
  return photos.flatMap(({ name, row, fault }) => {
    if (row) return [row];
    return fault ? [{ source: name, status: "unreadable", reason: fault, faces: [] }] : [];
  });
}

/** The URL of a photo's heatmap for a label ("" for what each face is answered by); asked for once; null if it is out of date by now. */
export async function heatOf(photo, label) {
  const { heats } = photo;
  if (!heats.has(label)) {
    const asked = { ...query(), view: "heat", label };
    const response = await request("v1/explain", { method: "POST", body: photo.file, query: asked });
    const heat = await response.blob();
    if (heats !== photo.heats) return null;
    if (!heats.has(label)) heats.set(label, URL.createObjectURL(heat));
  }
  return heats.get(label);
}

async function thumbnail(photo) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: THUMB, height: THUMB });
  photo.thumb = canvas;
  try {
    const bitmap = await createImageBitmap(photo.file);
    const scale = THUMB / Math.min(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    canvas.getContext("2d").drawImage(bitmap, (THUMB - width) / 2, (THUMB - height) / 3, width, height);
    bitmap.close();
  } catch {
    // The browser cannot show it; the server may be able to read it all the same.
  }
}
