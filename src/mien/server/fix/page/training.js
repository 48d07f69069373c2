// "Enough for now": what is probably left, and a training on what was decided, with figures before and after.

import { getJson } from "../api.js";
import { announce, byId, make, setText, show } from "../dom.js";
import { refresh, stopTraining, train } from "./desk.js";

const POLL = 1000; // milliseconds
let timer = 0;
let active = false;
let ranked = 0; // how often the pictures were ordered anew

/** Open or close the panel. */
export function openEnough(open) {
  show(byId("enough"), open);
  byId("enough-open").setAttribute("aria-expanded", String(open));
  if (open) byId("enough").focus();
}

/** Show what the server said of the training: {active, text, done, ranked, outcome, compared}. */
export function showTraining(training, estimate) {
  setText(byId("enough-text"), estimate || "Decide some pictures first: then mien estimates how many of the rest are wrong.");
  const { active: now, text, done } = training;
  show(byId("train"), !now);
  show(byId("train-stop"), now);
  show(byId("compare-field"), !now && !training.compared);
  if (show(byId("training"), Boolean(text))) setText(byId("training-text"), text);
  if (show(byId("training-progress"), now)) byId("training-progress").value = done;
  showOutcome(training.outcome);
  if (active && !now) announce(text);
  if (training.ranked > ranked && now) announce(text);
  [active, ranked] = [now, training.ranked];
  clearTimeout(timer);
  if (now) timer = setTimeout(poll, POLL);
}

const poll = trying(async () => {
  const training = await getJson("v1/fix/training");
  if (training.active && training.ranked === ranked) showTraining(training, byId("enough-text").textContent);
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
