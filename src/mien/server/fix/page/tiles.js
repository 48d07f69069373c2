// Many at once: a grid of pictures that are shown for the same reason. The odd ones out are marked, the rest decided.

import { byId, make, setText } from "../dom.js";
import { keepStandsOut, offer } from "./actions.js";
import { pictureOf } from "./pictures.js";

let items = [];
const odd = new Set(); // names of the marked pictures

/** Show a grid of pictures: {title, items}. `around` is {classes, colourOf, decide, undo, canUndo, close, onGone}. */
export function showTiles(batch, around) {
  leaveTiles();
  items = batch.items;
  setText(byId("many-title"), batch.title);
  setText(byId("many-text"), "Mark the odd ones out: they are left undecided and come back one by one.");
  byId("tiles").replaceChildren(...items.map((item) => make("li", "", tile(item, around))));
  offerAll(around);
}

/** Forget the grid. */
export function leaveTiles() {
  items = [];
  odd.clear();
  byId("tiles").replaceChildren();
}

/** Forget the grid while the next one is on its way: nothing of the old one can be decided again. */
export function awaitTiles(around) {
  leaveTiles();
  offerAll(around);
}

function tile(item, around) {
  const button = make("button", "tile");
  button.type = "button";
  button.setAttribute("aria-label", item.label ? `${item.name}, labelled ${item.label}` : item.name);
  button.title = item.name;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    if (!odd.delete(item.name)) odd.add(item.name);
    button.setAttribute("aria-pressed", String(odd.has(item.name)));
    offerAll(around);
  });
  pictureOf(item, "tile").then(
    ({ image }) => {
      image.alt = ""; // the button has the name
      button.replaceChildren(image);
    },
    (error) => items.includes(item) && around.onGone(error, item),
  );
  return button;
}

function offerAll(around) {
  const { classes, colourOf, canUndo } = around;
  const rest = items.filter((item) => !odd.has(item.name));
  const what = odd.size ? `the other ${rest.length}` : rest.length === 1 ? "this one" : `all ${rest.length}`;
  const decide = (decision, label = null) => () =>
    around.decide(rest.map(({ name, sha256, label: own }) =>
      decision === "relabel" && own === label
        ? { name, sha256, decision: "keep", label: null, box: null }
        : { name, sha256, decision, label, box: null }), [...odd]);
  const actions = [];
  if (rest.length) {
    if (rest.every((item) => item.label)) actions.push({ key: "k", text: `Keep ${what} as labelled`, run: decide("keep"), primary: rest.every(keepStandsOut) });
    classes.forEach((label, n) => {
      const key = n < 9 ? String(n + 1) : `label-${label}`;
      actions.push({ key, text: `${what} ${rest.length === 1 ? "is" : "are"} ${label}`.replace(/^./, (a) => a.toUpperCase()), run: decide("relabel", label), colour: colourOf(label) });
    });
    actions.push({ key: "x", text: `Leave ${what} out`, run: decide("leave-out") });
  }
  if (canUndo) actions.push({ key: "u", text: "Undo", run: around.undo });
  actions.push({ key: "b", text: "Back to one by one", run: around.close });
  offer(byId("many-actions"), actions);
}
