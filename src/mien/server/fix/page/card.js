// One picture: large, with its faces, why it is shown, and what can be decided.

import { byId, make, setText, show } from "../dom.js";
import { percent } from "../text.js";
import { keepStandsOut, labelKey, offer } from "./actions.js";
import { copyActions } from "./copies.js";
import { faceBoxes } from "./faces.js";
import { pictureOf } from "./pictures.js";
import { answerText, itemText, outNote } from "./text.js";

let shown = null; // the item on screen
let face = 0; // index of the chosen face
let marked = 0; // index of the marked copy; 0 is the item itself
let context = null; // {classes, colourOf, decide, later, undo, canUndo, onGone}

/** Show an item, or update what is shown of it. */
export function showItem(item, around) {
  context = around;
  const changed = identity(item) !== (shown && identity(shown));
  shown = item;
  if (changed) {
    face = 0;
    marked = 0;
    showPictures();
  }
  setText(byId("title"), item.name);
  byId("title").title = item.name;
  showLabel(item);
  showSame(item);
  setText(byId("reason"), item.title);
  setText(byId("why"), item.why);
  showPeople(item.people);
  offerActions();
  return changed;
}

const identity = (item) => [item, ...item.copies].map(({ name, sha256 }) => `${sha256} ${name}`).join("\n");

/** Forget the item, when another view takes its place. */
export function leave() {
  shown = null;
  byId("pictures").replaceChildren();
}

function offerActions() {
  const { classes, colourOf, canUndo } = context;
  const copies = shown.copies.length > 0;
  const one = [shown, ...shown.copies][marked];
  showModel(one, copies);
  const actions = copies ? copyActions(open(), one, classes, colourOf, choose, keepMarked) : actionsOfOne();
  if (shown.faces.length > 1) actions.push({ key: "f", text: "Next face", run: () => chooseFace((face + 1) % shown.faces.length) });
  if (copies) actions.push({ key: "c", text: "Mark the next copy", run: () => mark((marked + 1) % (shown.copies.length + 1)) });
  actions.push({ key: "l", text: "Later", run: () => context.later(shown) });
  if (canUndo) actions.push({ key: "u", text: "Undo", run: context.undo });
  offer(byId("actions"), actions);
}

function actionsOfOne() {
  const { classes, colourOf } = context;
  const actions = [];
  const { label: own } = shown;
  if (own) {
    // The key of its class keeps the label, too.
    const [also, colour] = [labelKey(classes, own), colourOf(own)];
    actions.push({ key: "k", also, text: `Keep ${own}`, run: () => choose("keep"), primary: keepStandsOut(shown), colour });
  }
  classes.filter((label) => label !== own).forEach((label) => {
    const primary = !own && label === shown.suggested;
    const text = own ? `It is ${label}` : label;
    actions.push({ key: labelKey(classes, label), text, run: () => choose("relabel", label), primary, colour: colourOf(label) });
  });
  actions.push({ key: "x", text: "Leave out", note: outNote(classes), run: () => choose("leave-out") });
  return actions;
}

/** Decide the item and its copies alike. A copy that has the label already is kept. */
function choose(decision, label = null) {
  const box = shown.faces.length > 1 && decision !== "leave-out" ? shown.faces[face] : null;
  context.decide(open().map((item) => {
    const stays = decision === "relabel" && label === item.label;
    return one(item, stays ? "keep" : decision, stays ? null : label, item === shown ? box : null);
  }));
}

function keepMarked() {
  const kept = [shown, ...shown.copies][marked];
  context.decide(open().map((item) => one(item, item === kept ? "keep" : "leave-out", null, null)));
}

/** Return the item and those of its copies that nobody has decided. */
const open = () => [shown, ...shown.copies.filter((item) => !item.decided)];

const one = ({ name, sha256 }, decision, label, box) => ({ name, sha256, decision, label, box });

function chooseFace(number) {
  face = number;
  const stage = byId("pictures").querySelector(".stage");
  const focused = stage.contains(document.activeElement);
  showFaces(stage, shown);
  if (focused) stage.querySelectorAll(".face-box")[face].focus();
}

function mark(number) {
  marked = number;
  byId("pictures").querySelectorAll(".copy").forEach((copy, n) => {
    copy.toggleAttribute("data-current", n === marked);
    const button = copy.querySelector("button");
    if (!button) return;
    setText(button, n === marked ? "Marked" : "Mark");
    button.setAttribute("aria-label", `${button.textContent} ${button.dataset.name}`);
  });
  offerActions(); // these name the marked one, whose answer stands above them
}

/** Draw the faces of the item, which can be chosen, or the face of a copy beside it. */
function showFaces(stage, item) {
  const [width, height] = [Number(stage.dataset.width), Number(stage.dataset.height)];
  stage.querySelectorAll(".face-box").forEach((box) => box.remove());
  if (item !== shown) {
    stage.append(...faceBoxes({ ...item, faces: item.faces.slice(0, 1) }, { width, height }, 0, context.colourOf));
    return;
  }
  stage.append(...faceBoxes(shown, { width, height }, face, context.colourOf, chooseFace));
  const several = shown.faces.length > 1;
  if (show(byId("faces-hint"), several)) setText(byId("faces-hint"), `${shown.faces.length} faces: the label is for face ${face + 1}.`);
}

function showPictures() {
  const all = [shown, ...shown.copies];
  const place = byId("pictures");
  place.dataset.count = String(all.length);
  place.replaceChildren(...all.map((item, n) => (all.length > 1 ? copyFigure(item, n) : stageOf(item))));
  show(byId("faces-hint"), false);
  mark(0);
}

function copyFigure(item, n) {
  const label = item.label ? `labelled ${item.label}` : "";
  const button = make("button", "", "Mark");
  button.type = "button";
  button.dataset.name = item.name;
  button.addEventListener("click", () => mark(n));
  const decided = item.decided ? `, ${item.decided}` : "";
  // Where no face is drawn, the answer has no other place.
  const answer = item.answer && !item.faces.length ? make("span", "answer", `${answerText(item)} `) : "";
  const caption = make("figcaption", "", make("b", "", label), ` ${item.name}${decided} `, answer, button);
  return make("figure", "copy", stageOf(item), caption);
}

function stageOf(item) {
  const stage = make("div", "stage");
  load(item, stage);
  return stage;
}

async function load(item, stage) {
  const owner = shown;
  try {
    const { image, width, height } = await pictureOf(item, "large");
    if (shown?.name !== owner.name || !stage.isConnected) return;
    image.alt = itemText({ ...shown, ...item });
    stage.prepend(image);
    stage.style.setProperty("--ratio", String(width / height));
    stage.style.setProperty("--natural", String(width));
    Object.assign(stage.dataset, { width, height });
    showFaces(stage, item.name === shown.name ? shown : item);
    stage.dataset.state = "shown";
  } catch (error) {
    if (shown?.name === owner.name) context.onGone(error, item);
  }
}

/** Say the label beside the name: what stands on the face is the model's answer. */
function showLabel({ label, copies }) {
  byId("title").classList.toggle("visually-hidden", copies.length > 0); // each copy has its own name and label
  if (!show(byId("labelled"), !copies.length)) return;
  const dot = make("span", "dot");
  dot.style.setProperty("--colour", label ? context.colourOf(label) : "transparent");
  byId("labelled").replaceChildren(...(label ? [dot, make("span", "", "labelled "), make("b", "", label)] : ["no label yet"]));
}

function showPeople(people) {
  if (!show(byId("people"), people.length > 1)) return;
  byId("people").replaceChildren(...people.map((each) => {
    const who = each.by || "somebody";
    return make("li", "", make("b", "", who), `: ${each.sentence} (${each.when})`);
  }));
}

function showSame({ same }) {
  const text = same.map(({ name, label }) => (label ? `${name} (${label})` : name)).join(", ");
  if (show(byId("same"), Boolean(text))) setText(byId("same"), `The same file: ${text}. One decision counts for all.`);
}

/** Show what the model answers about the item, or about the marked one of its copies. */
function showModel(item, isCopy) {
  const entries = Object.entries(item.probabilities ?? {});
  if (!show(byId("model"), entries.length > 0)) return;
  setText(byId("model-title"), isCopy ? "The model's answer to the marked one" : "The model's answer");
  byId("bars").replaceChildren(...entries.map(([label, value]) => {
    const name = make("span", "name", label);
    name.title = label;
    const fill = make("span", "fill");
    fill.style.setProperty("--fraction", String(value));
    fill.style.setProperty("--colour", context.colourOf(label));
    return make("li", "", name, make("span", "track", fill), make("span", "value", percent(value)));
  }));
}
