// Many at once: a grid of pictures that are shown for the same reason. The odd ones out are marked, the rest decided.

import { announce, byId, make, setText } from "../dom.js";
import { keepStandsOut, labelKey, offer } from "./actions.js";
import { pictureOf } from "./pictures.js";
import { isReady, isSeen, look, note, noteSeen, unwatch, watch } from "./sight.js";
import { leftText, markText, outNote, seenText, sentence } from "./text.js";
import { closeZoom, openZoom } from "./zoom.js";

const SIZES = [0.7, 1, 1.5, 2.2]; // of the pictures, times the usual size
const SIZE_KEY = "mien-fix-tiles";

let items = [];
let context = null; // {classes, colourOf, decideMany, undo, canUndo, close, onGone}
let current = 0; // index of the tile that the arrow keys have reached
let place = ""; // the name of its picture, also after the grid has gone: it may come back
let scrolls = false; // whether not all pictures were in view from the beginning
let turned = null; // the picture that the last key has scrolled to
let turn = Promise.resolve(); // one key after the other: the first may scroll
const odd = new Set(); // names of the marked pictures

/** Show a grid of pictures: {title, items, odd, others, doubtful}. The focus goes to where one was in it, or begins. */
export function showTiles(batch, around) {
  leaveTiles();
  context = around;
  items = batch.items;
  batch.odd.forEach((name) => odd.add(name));
  setText(byId("many-title"), batch.title);
  const begin = [place, ...odd].find((name) => items.some((item) => item.name === name));
  current = Math.max(0, items.findIndex(({ name }) => name === begin));
  setText(byId("many-left"), leftText(batch));
  // Room for the longest that this line says, so that no picture moves when one is marked.
  byId("many-room").replaceChildren(`${markText(0)} `, make("b", "", leftText(batch)));
  const mixed = new Set(items.map((item) => item.label)).size > 1;
  byId("tiles").replaceChildren(...items.map((item, n) => {
    const label = mixed ? [make("span", "own-label", item.label || "no label")] : [];
    return make("li", "", tile(item, n), enlarge(item, n), ...label);
  }));
  byId("tiles").scrollTop = 0;
  [scrolls, turned] = [false, null];
  arrange();
  const { activeElement: focused } = document;
  if (!byId("many-actions").contains(focused) && !byId("enough").contains(focused)) tiles()[current].focus();
}

/** Watch which pictures are in view, above the decisions if these stick to the window. */
function arrange() {
  if (!items.length) return;
  reserve();
  const bar = byId("many-actions");
  const covered = getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
  watch(tiles(), items, covered, () => offerAll());
}

addEventListener("resize", arrange);

/** Offer what can be decided, in buttons with room for what they say once a picture is marked: none moves then. */
function reserve() {
  const buttons = () => [...byId("many-actions").children];
  for (const button of buttons()) button.style.minHeight = "";
  offerAll(true);
  const heights = buttons().map((button) => button.getBoundingClientRect().height);
  offerAll();
  buttons().forEach((button, n) => { button.style.minHeight = `${heights[n]}px`; });
}

/** Forget the grid. */
export function leaveTiles() {
  items = [];
  current = 0;
  odd.clear();
  unwatch(); // a late word of the old grid would offer its decisions again
  closeZoom();
  byId("tiles").replaceChildren();
}

/** Forget the grid while the next one is on its way: nothing of the old one can be decided again. */
export function awaitTiles(around) {
  leaveTiles();
  context = around;
  offerAll();
}

/** Enlarge the tile that the arrow keys have reached. */
export const zoom = () => items.length && zoomAt(current);

/** Make the pictures larger (1) or smaller (-1). */
export function resize(step) {
  const now = SIZES.indexOf(size());
  store(SIZES[Math.min(Math.max(now + step, 0), SIZES.length - 1)]);
  applySize();
}

function tile(item, n) {
  const button = make("button", "tile");
  button.type = "button";
  button.setAttribute("aria-label", item.label ? `${item.name}, labelled ${item.label}` : item.name);
  button.title = item.name;
  button.setAttribute("aria-pressed", String(odd.has(item.name)));
  button.tabIndex = n === current ? 0 : -1;
  button.addEventListener("click", () => mark(n));
  button.addEventListener("focus", () => reach(n));
  const owner = items;
  pictureOf(item, "tile").then(
    ({ image }) => {
      image.alt = ""; // the button has the name
      button.replaceChildren(image);
      if (items === owner) note([button]);
    },
    (error) => items === owner && context.onGone(error, item),
  );
  return button;
}

function enlarge(item, n) {
  const button = make("button", "enlarge", "⤢");
  button.type = "button";
  button.setAttribute("aria-label", `Enlarge ${item.name}`);
  button.tabIndex = n === current ? 0 : -1;
  button.addEventListener("click", () => zoomAt(n));
  return button;
}

const tiles = () => [...byId("tiles").querySelectorAll(".tile")];

function mark(n) {
  const { name } = items[n];
  if (!odd.delete(name)) odd.add(name);
  reach(n); // some browsers do not focus what is clicked
  tiles()[n].setAttribute("aria-pressed", String(odd.has(name)));
  offerAll();
}

/** Let the Tab key find one tile and its button, not fifty. */
function reach(n) {
  [current, place] = [n, items[n].name];
  for (const [place, entry] of [...byId("tiles").children].entries()) {
    for (const button of entry.querySelectorAll("button")) button.tabIndex = place === n ? 0 : -1;
  }
}

function zoomAt(n) {
  reach(n);
  openZoom(items, n, { colourOf: context.colourOf, isOdd: (item) => odd.has(item.name), mark, onGone: context.onGone,
    looked: noteSeen, closed: (at) => tiles()[at]?.focus() });
}

document.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns(), Home: -items.length, End: items.length };
  const free = !document.querySelector("dialog[open]") && !document.activeElement?.matches("input");
  if (!items.length || !(event.key in steps) || !free || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const wanted = current + steps[event.key];
  if (wanted >= 0 && wanted < items.length) reach(wanted);
  else if (["Home", "End"].includes(event.key)) reach(event.key === "Home" ? 0 : items.length - 1);
  tiles()[current].focus();
});

/** Return how many tiles stand in a row. */
function columns() {
  const [first, ...others] = byId("tiles").children;
  const next = others.findIndex((other) => other.offsetTop > first.offsetTop);
  return next < 0 ? Math.max(items.length, 1) : next + 1;
}

function offerAll(asMarked = odd.size > 0) {
  const { classes, colourOf, canUndo } = context;
  const rest = items.filter((item) => !odd.has(item.name));
  const what = asMarked ? `the other ${rest.length}` : ["", "this one", "both"][rest.length] ?? `all ${rest.length}`;
  setText(byId("many-text"), markText(odd.size));
  const count = items.filter(isSeen).length;
  const waits = count < items.length;
  const scrolled = scrolls;
  scrolls ||= waits && isReady();
  if (scrolls && !scrolled) {
    reserve(); // one button says more from now on
    return;
  }
  const decide = (decision, label = null) => () => whenSeen(() =>
    context.decideMany(rest.map(({ name, sha256, label: own }) =>
      decision === "relabel" && own === label
        ? { name, sha256, decision: "keep", label: null, box: null }
        : { name, sha256, decision, label, box: null }), [...odd]));
  const actions = [];
  if (rest.length) {
    const labels = new Set(rest.map((item) => item.label));
    const only = labels.size === 1 ? rest[0].label : ""; // then its key keeps it, too
    if (!labels.has("")) {
      actions.push({ key: "k", also: labelKey(classes, only), text: `Keep ${what} as ${only || "labelled"}`, run: decide("keep"),
        primary: !waits && rest.every(keepStandsOut), colour: only && colourOf(only) });
    }
    classes.filter((label) => label !== only).forEach((label) => {
      const text = sentence(`${what} ${rest.length === 1 ? "is" : "are"} ${label}`);
      actions.push({ key: labelKey(classes, label), text, run: decide("relabel", label), colour: colourOf(label) });
    });
    actions.push({ key: "x", text: `Leave ${what} out`, note: outNote(classes), run: decide("leave-out") });
    if (scrolls) actions[0].note = seenText(count, items.length);
    for (const action of actions) action.waits = waits;
  }
  if (canUndo) actions.push({ key: "u", text: "Undo", run: context.undo });
  actions.push({ key: "b", text: "Back to one by one", run: context.close });
  offer(byId("many-actions"), actions);
}

/** Do what decides the whole grid, or scroll to the next row if some of it was not in view yet. */
function whenSeen(run) {
  const grid = items;
  turn = turn.then(async () => {
    await look();
    if (grid !== items) return;
    if (grid.every(isSeen)) {
      run();
      return;
    }
    showNext();
    await look();
    announce(seenText(grid.filter(isSeen).length, grid.length));
  });
}

function showNext() {
  const next = items.findIndex((item) => !isSeen(item));
  const [item, tile] = [items[next], tiles()[next]];
  const again = turned === item && tile.querySelector("img"); // larger than the room for it: its lower part, too
  tile.scrollIntoView({ block: again ? "end" : "start" });
  turned = item;
  if (again) noteSeen(item);
}

// --- the size of the pictures -----------------------------------------------------------------------------------------

function size() {
  try {
    const kept = Number(localStorage.getItem(SIZE_KEY));
    return SIZES.includes(kept) ? kept : 1;
  } catch {
    return Number(byId("tiles").style.getPropertyValue("--times")) || 1;
  }
}

function store(times) {
  byId("tiles").style.setProperty("--times", String(times));
  try {
    localStorage.setItem(SIZE_KEY, String(times));
  } catch {
    // Without storage the choice lasts until the page is reloaded.
  }
}

function applySize() {
  const times = size();
  byId("tiles").style.setProperty("--times", String(times));
  byId("smaller").disabled = times === SIZES[0];
  byId("larger").disabled = times === SIZES.at(-1);
}

byId("smaller").addEventListener("click", () => resize(-1));
byId("larger").addEventListener("click", () => resize(1));
applySize();
