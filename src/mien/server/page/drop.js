// Accept files that are dropped on the page or pasted into it, including folders.

import { byId, show } from "./dom.js";

const MAX_FILES = 500; // of one drop
const PHOTO = /\.(heic|heif|hif|avif)$/i; // some systems do not know the types of these

const isImage = (file) => file.type.startsWith("image/") || PHOTO.test(file.name);

/** Call `onFiles(files, fromClipboard)` with dropped or pasted files, and `onError(text)` if there are none. */
export function onDrop(onFiles, onError) {
  let inside = 0;
  const showOverlay = (shown) => show(byId("drop-overlay"), shown);
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    inside += 1;
    if (event.dataTransfer?.types.includes("Files")) showOverlay(true);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (!inside) showOverlay(false);
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    inside = 0;
    showOverlay(false);
    const files = await filesOf(event.dataTransfer);
    if (files.length) onFiles(files.slice(0, MAX_FILES));
    else onError("That is not a file. Links are not followed: save the image, then drop the file.");
    if (files.length > MAX_FILES) onError(`Added the first ${MAX_FILES} images. For more, use mien predict in a terminal.`);
  });
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter(isImage);
    if (!files.length) return;
    event.preventDefault();
    onFiles(files, files.every((file) => /^image\.\w+$/.test(file.name)));
  });
}

async function filesOf(transfer) {
  const plain = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((done) => entry.file(done, () => done(null)));
    return file && isImage(file) ? [file] : [];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length || found.length > MAX_FILES) return found;
    found.push(...(await Promise.all(some.map(walk))).flat());
  }
}
