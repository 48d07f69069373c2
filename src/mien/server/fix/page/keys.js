// One key each. Whoever speaks to the computer, or types by accident, can turn the keys off.

import { byId, make } from "../dom.js";
import { actionOf } from "./actions.js";

const STORAGE_KEY = "mien-fix-keys";
const MEANINGS = [
  ["K", "keep the label"],
  ["1 – 9", "it is this class; of its own class: keep"],
  ["X", "leave it out: a neutral face, no face, none of the classes, unusable"],
  ["F", "choose the next face"],
  ["C", "mark the next copy"],
  ["O, 0", "keep only the marked copy, leave the others out"],
  ["L", "later: put it at the end"],
  ["U", "undo the last decision, or a whole grid"],
  ["B", "many at once, and back"],
  ["← ↑ → ↓", "in a grid: go to a picture"],
  ["Space", "in a grid: mark it as odd, or not"],
  ["Z", "in a grid: enlarge it, and back"],
  ["+ −", "in a grid: larger or smaller pictures"],
  ["Esc", "close what is open above the pictures"],
];

const dialog = byId("help");
const on = byId("keys-on");

/** Listen to keys. `also` has further functions by key, false if they do nothing now; `idle` is told of such keys. */
export function listen(also, idle) {
  byId("help-keys").append(...MEANINGS.flatMap(([key, text]) => [make("dt", "", make("kbd", "", key)), make("dd", "", text)]));
  on.checked = stored() !== "off";
  on.addEventListener("change", () => store(on.checked ? "on" : "off"));
  byId("help-open").addEventListener("click", () => dialog.showModal());
  byId("help-close").addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", (event) => {
    const typed = event.key.length === 1 ? event.key.toLowerCase() : "";
    const other = event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat;
    if (!typed || other || !on.checked || document.querySelector("dialog[open]")) return;
    const run = actionOf(typed)?.run ?? also[typed];
    if (run) event.preventDefault();
    if ((run ? run() : false) === false && /^[a-z0-9]$/.test(typed)) idle(typed.toUpperCase());
  });
}

function stored() {
  try {
    return localStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function store(value) {
  try {
    localStorage.setItem(STORAGE_KEY, value);
  } catch {
    // Without storage the choice lasts until the page is reloaded.
  }
}
