// One picture of a grid, large, in a dialog: look at it, mark it, go on to the next.

import { byId, setText } from "../dom.js";
import { faceBoxes } from "./faces.js";
import { pictureOf } from "./pictures.js";

const dialog = byId("zoom");
let items = [];
let place = 0;
let context = null; // {colourOf, isOdd, mark, onGone, looked, closed}

/** Open the dialog with one of some items. `mark(index)` marks or unmarks one, `closed(index)` gets the last shown. */
export function openZoom(all, index, around) {
  [items, context] = [all, around];
  dialog.showModal();
  turnTo(index);
  byId("zoom-mark").focus();
}

/** Close the dialog, if it is open. */
export function closeZoom() {
  items = [];
  if (dialog.open) dialog.close();
}

function turnTo(index) {
  if (index < 0 || index >= items.length) return;
  place = index;
  const item = items[index];
  setText(byId("zoom-title"), item.name);
  setText(byId("zoom-why"), item.why);
  byId("zoom-back").disabled = index === 0;
  byId("zoom-next").disabled = index === items.length - 1;
  byId("zoom-picture").replaceChildren();
  showMark();
  load(item);
}

async function load(item) {
  try {
    const { image, width, height } = await pictureOf(item, "large");
    if (items[place] !== item || !dialog.open) return;
    image.alt = `${item.name}, ${item.why}`;
    const stage = byId("zoom-picture");
    stage.style.setProperty("--ratio", String(width / height));
    stage.replaceChildren(image, ...faceBoxes({ ...item, faces: item.faces.slice(0, 1) }, { width, height }, 0, context.colourOf));
    context.looked(item);
  } catch (error) {
    if (items[place] === item) context.onGone(error, item);
  }
}

function showMark() {
  const odd = context.isOdd(items[place]);
  byId("zoom-mark").setAttribute("aria-pressed", String(odd));
  setText(byId("zoom-mark"), odd ? "Marked as odd" : "Mark as odd");
}

byId("zoom-mark").addEventListener("click", () => {
  context.mark(place);
  showMark();
});
byId("zoom-back").addEventListener("click", () => turnTo(place - 1));
byId("zoom-next").addEventListener("click", () => turnTo(place + 1));
byId("zoom-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", () => items.length && context.closed(place));
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
dialog.addEventListener("keydown", (event) => {
  const run = { ArrowLeft: () => turnTo(place - 1), ArrowRight: () => turnTo(place + 1), z: () => dialog.close() }[event.key];
  if (!run || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation(); // the page behind has keys of its own
  run();
});
