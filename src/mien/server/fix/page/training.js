// "Enough for now": what is probably left, and a training on what was decided, with figures before and after.

import { getJson } from "../api.js";
import { announce, byId, make, setText, show } from "../dom.js";
import { refresh, stopTraining, train } from "./desk.js";

const POLL = 1000; // milliseconds
let timer = 0;
let running = ""; // what is said of the training that runs
let active = false;
let unread = ""; // what a training that ended behind the closed panel has said
let ranked = 0; // how often the pictures were ordered anew
let isNew = true; // whether the server has said nothing yet, since the page was loaded
let left = true; // whether pictures are left to look at

/** Open or close the panel. */
export function openEnough(open) {
  show(byId("enough"), open);
  byId("enough-open").setAttribute("aria-expanded", String(open));
  if (open) byId("enough").focus();
  if (open) unread = "";
  showRunning(running || unread);
  opened();
}

let opened = () => {};

/** Call a function whenever the panel was opened or closed. */
export function onOpened(work) {
  opened = work;
}

/** Say what is probably left. What stands out is what one should do: look at what is doubtful before a training. */
export function showEnough({ estimate, enough, progress, queue, training }) {
  left = queue.length > 0;
  setText(byId("enough-title"), enough || !progress.left ? "Enough for now" : "Not enough yet");
  setText(byId("enough-text"), estimate);
  const doubtful = left && progress.doubtful > 0;
  setText(byId("train"), left ? "Train and look again" : "Train");
  byId("train").classList.toggle("primary", left ? !doubtful : !training.run);
  setText(byId("enough-close"), left ? "Go on looking" : "Close");
  byId("enough-close").classList.toggle("primary", doubtful);
  show(byId("train-shows"), left);
  show(byId("train-meanwhile"), left);
}

/** Say beside the pictures that a training runs, or has ended, while the panel is closed. */
function showRunning(text) {
  if (show(byId("running"), Boolean(text) && byId("enough").hidden)) setText(byId("running"), text);
}

/** Say what a training has reached: only pictures that are left are in an order. */
function reachedText(run) {
  if (!run) return "";
  const what = left ? "The pictures are in a new order: what your own model doubts comes first." : "Your own model is trained.";
  return `${what} Its run is ${run}.`;
}

/** Show what the server said of the training: {active, text, failed, run, done, ranked, lasts, outcome, compared}. */
export function showTraining(training) {
  const { active: now, done } = training;
  const text = [reachedText(training.run), training.text].filter(Boolean).join(" ");
  if (now) unread = "";
  else if ((active || (isNew && training.failed)) && byId("enough").hidden) unread = text || "The training has ended.";
  running = now ? `A training runs: ${Math.round(100 * done)} % done.` : "";
  showRunning(running || unread);
  if (show(byId("train-what"), !now)) setText(byId("train-lasts"), `${training.lasts}.`);
  show(byId("train"), !now);
  show(byId("train-stop"), now);
  show(byId("compare-field"), !now && !training.compared);
  if (show(byId("training"), Boolean(text))) setText(byId("training-text"), text);
  if (show(byId("training-progress"), now)) byId("training-progress").value = done;
  showOutcome(training.outcome);
  if (active && !now) announce(text);
  if (training.ranked > ranked && now) announce(text);
  [active, ranked, isNew] = [now, training.ranked, false];
  clearTimeout(timer);
  if (now) timer = setTimeout(poll, POLL);
}

const poll = trying(async () => {
  const training = await getJson("v1/fix/training");
  if (training.active && training.ranked === ranked) showTraining(training);
  else await refresh(); // the order of the pictures is a new one
});

/** Return a function that does some work, and says what went wrong. */
function trying(work) {
  return () => work().catch((error) => {
    if (error.code === "unauthorized") return; // the banner says so
    show(byId("training"), true);
    setText(byId("training-text"), error.message);
  });
}

function showOutcome(outcome) {
  if (!show(byId("outcome"), Boolean(outcome))) return;
  setText(byId("outcome-text"), outcome.sentence);
  const head = make("tr", "", ...outcome.columns.map((text) => cell("th", text, "col")));
  const rows = outcome.rows.map(([title, ...values]) =>
    make("tr", "", cell("th", title, "row"), ...values.map((text) => make("td", "", text))));
  byId("outcome-table").replaceChildren(make("thead", "", head), make("tbody", "", ...rows));
  byId("outcome-notes").replaceChildren(...outcome.notes.map((text) => make("li", "", text)));
}

function cell(tag, text, scope) {
  const element = make(tag, "", text);
  element.scope = scope;
  return element;
}

function close() {
  openEnough(false);
  byId("enough-open").focus();
}

byId("enough-open").addEventListener("click", () => openEnough(byId("enough").hidden));
byId("enough-close").addEventListener("click", close);
document.addEventListener("keydown", (event) => {
  const inDialog = document.querySelector("dialog[open]");
  if (event.key === "Escape" && !inDialog && !byId("enough").hidden) close();
});
byId("train").addEventListener("click", trying(() => train(byId("compare").checked)));
byId("train-stop").addEventListener("click", trying(() => {
  setText(byId("training-text"), "The training stops …");
  return stopTraining();
}));
