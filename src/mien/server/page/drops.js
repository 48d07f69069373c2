// Files that are dropped on the page or pasted into it, also whole folders.

import { byId, show } from "./dom.js";

const MOST = 500; // files of one drop

/** Hand files that are dropped or pasted to `take(files, fromClipboard)`, and what is none to `trouble(text)`. */
export function keepDrops(take, trouble) {
  let inside = 0;
  const veil = (shown) => show(byId("veil"), shown);
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    inside += 1;
    if (event.dataTransfer?.types.includes("Files")) veil(true);
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    if (!inside) veil(false);
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    inside = 0;
    veil(false);
    const files = await filesOf(event.dataTransfer);
    if (files.length) take(files.slice(0, MOST));
    else trouble("That is not a file. Links are not fetched: save the picture, then drop the file.");
    if (files.length > MOST) trouble(`The first ${MOST} pictures are read; for more at a time there is mien predict.`);
  });
  addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    take(files, files.every((file) => /^image\.\w+$/.test(file.name)));
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
    return file && /^image\//.test(file.type) ? [file] : [];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length || found.length > MOST) return found;
    found.push(...(await Promise.all(some.map(walk))).flat());
  }
}
