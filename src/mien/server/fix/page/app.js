// Connect the parts of the page: what the server says in, decisions out.

import { getJson, onKeyNeeded, server, useKey } from "../api.js";
import { colourScheme } from "../colours.js";
import { announce, byId, setText, show } from "../dom.js";
import { counted } from "../text.js";
import { offer, offerNothing } from "./actions.js";
import { leave, showItem } from "./card.js";
import { alike, busy, decide, desk, first, later, refresh, state, undo } from "./desk.js";
import { listen } from "./keys.js";
import { prefetch } from "./pictures.js";
import { itemText, progressText, refusedText } from "./text.js";
import { awaitTiles, leaveTiles, resize, showTiles, zoom } from "./tiles.js";
import { onOpened, openEnough, showEnough, showTraining } from "./training.js";

const DEAD = "mien fix does not answer. All that you decided before this picture is stored. Start it again, and open the address that it prints.";
const OLD = "This address is of an earlier start of mien fix. Open the address that it has printed last.";

const USED = "The address that the browser was started with is good once. Open the one that mien fix has printed.";
const CODE = "open=";

let many = false;
let onward = false; // whether the next grid comes by itself, after one that was decided
let said = ""; // of the grid before, to be said with what follows it
let colourOf = () => "";

// --- the server -------------------------------------------------------------------------------------------------------

const secret = decodeURIComponent(location.hash.slice(1));
const code = secret.startsWith(CODE) ? secret.slice(CODE.length) : "";
useKey(code ? null : secret);
addEventListener("hashchange", () => location.reload());

onKeyNeeded(async () => {
  showBanner(code ? USED : OLD);
  return null;
});

/** Ask for the secret if the browser was started with a code, which is good once; a reload needs the secret. */
async function begin() {
  if (code) {
    const body = new Blob([JSON.stringify({ code })], { type: "application/json" });
    const { token } = await getJson("page/handover", { method: "POST", body });
    useKey(token);
    history.replaceState(null, "", `#${encodeURIComponent(token)}`);
  }
  await refresh();
}

server.addEventListener("state", ({ state: now }) => {
  if (now === "unreachable") showBanner(DEAD);
  else if (byId("banner-text").textContent === DEAD) show(byId("banner"), false);
});

function showBanner(text) {
  if (show(byId("banner"), true) && byId("banner-text").textContent !== text) announce(text);
  setText(byId("banner-text"), text);
}

/** Return a function that does some work, and says what went wrong. */
const reported = (work) => async (...given) => {
  try {
    await work(...given);
  } catch (error) {
    if (error.code !== "unauthorized") showAlert(error.message);
  }
};

/** Return a function that does what the user wants, unless a decision is on its way. */
const guarded = (work) => async (...given) => {
  if (busy()) return;
  showAlert("");
  say("");
  await reported(work)(...given);
};

function showAlert(text) {
  if (show(byId("alert"), Boolean(text))) setText(byId("alert"), text);
}

/** Say what has happened, until the next step. */
function say(text) {
  if (!show(byId("said"), Boolean(text))) return;
  setText(byId("said"), text);
  announce(text);
}

const decideMany = guarded(async (decisions, odd) => {
  [onward, said] = [true, `${counted(decisions.length, "picture")} decided.`];
  await decide(decisions, odd);
  if (!odd.length || !first()) return;
  setMany(false);
  say(odd.length === 1 ? "The picture that you marked." : `The ${odd.length} pictures that you marked come next.`);
});

const putOff = guarded(async (item) => {
  if (await later(item)) say(`${item.name} comes again after the others. Undo brings it back now.`);
});

const takeBack = guarded(async () => {
  const { undone } = await undo();
  if (!undone) return;
  setMany(undone.grid);
  say(`${undone.text}.`);
});

// --- what is shown ----------------------------------------------------------------------------------------------------

const around = () => ({
  classes: state.classes,
  colourOf,
  canUndo: state.undo,
  decide: guarded(decide),
  decideMany,
  later: putOff,
  undo: takeBack,
  close: () => setMany(false),
  onGone,
});

desk.addEventListener("changed", () => {
  colourOf = colourScheme(state.classes);
  setText(byId("data"), state.data);
  setText(byId("csv"), state.csv);
  setText(byId("progress-text"), progressText(state.progress));
  byId("progress").value = state.progress.decided / Math.max(1, state.progress.decided + state.progress.left);
  setText(byId("estimate"), state.estimate);
  byId("enough-open").classList.toggle("primary", state.enough);
  if (state.refused.length) showAlert(refusedText(state.refused));
  showEnough(state);
  showTraining(state.training);
  arrange();
});

function arrange() {
  const item = first();
  const view = !item ? "done" : many ? "many" : "single";
  document.body.dataset.mode = view;
  for (const name of ["single", "many", "done"]) show(byId(name), name === view);
  show(byId("many-open"), view !== "done");
  if (view !== "single") leave();
  if (view !== "many") leaveTiles();
  if (view === "single" && showItem(item, around())) {
    announce(itemText(item));
    prefetch(state.queue.slice(1, 5).flatMap((next) => [next, ...next.copies]));
  }
  if (view === "many") showAlike();
  if (view === "done") {
    offerNothing();
    const { run, active } = state.training;
    const trained = run || active;
    setText(byId("done-text"), trained
      ? "The training, above, shows what the decisions change. You can close this page."
      : "A training shows what the decisions change. Or close this page: all of them are stored.");
    const training = { key: "training", text: trained ? "Show the training" : "Go on to the training", run: () => openEnough(true), primary: !trained };
    offer(byId("done-actions"), [...(byId("enough").hidden ? [training] : []), ...(state.undo ? [{ key: "u", text: "Undo", run: takeBack }] : [])]);
  }
}

let asked = 0;
const showAlike = reported(async () => {
  asked += 1;
  const turn = asked;
  awaitTiles(around());
  const batch = await alike(onward);
  if (turn !== asked || !many || document.body.dataset.mode !== "many") return;
  const follows = onward;
  if (!batch.items.length || (follows && !batch.doubtful && batch.others)) {
    setMany(false);
    if (!follows) say(batch.alone);
    else say(`${said} The ${batch.items.length ? "other doubtful" : "next"} pictures come one by one.`);
  } else {
    showTiles(batch, around());
    announce(batch.title);
    if (follows) say(`${said} These are others.`);
  }
});

function setMany(on) {
  [many, onward] = [on, false];
  say("");
  byId("many-open").setAttribute("aria-pressed", String(on));
  if (state) arrange();
}

/** Go on after a file that has gone or changed: the server has taken it from the list. */
async function onGone(error) {
  if (error.code === "unauthorized") return;
  await refresh();
  showAlert(error.message);
}

onOpened(() => state && !first() && arrange()); // the button that opens the panel is of no use beside it
byId("many-open").addEventListener("click", () => setMany(!many));
const inGrid = (work) => () => (many ? work() : false);
listen({
  b: () => (first() ? setMany(!many) : false),
  z: inGrid(zoom),
  "+": inGrid(() => resize(1)),
  "=": inGrid(() => resize(1)),
  "-": inGrid(() => resize(-1)),
}, (key) => state && !busy() && say(`${key} does nothing here.`));

// Another tab, or another person, may have decided meanwhile.
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && state && !many && guarded(refresh)());

guarded(begin)();
