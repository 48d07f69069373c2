// What is being decided, as the server knows it: the page keeps no list of its own, so that tabs agree.

import { getJson } from "../api.js";

/** Sends "changed" when the server has said something new. */
export const desk = new EventTarget();

/** What the server said last; null before the first answer. See docs/fix.md for its fields. */
export let state = null;

/** Return the picture to decide, or undefined if nothing is left. */
export const first = () => state?.queue[0];

let sending = null; // one decision after the other: the next picture is known once the last answer is there

function take(answer) {
  state = answer;
  desk.dispatchEvent(new Event("changed"));
  return answer;
}

const json = (body) => new Blob([JSON.stringify(body)], { type: "application/json" });

/** Ask the server for the present state. */
export const refresh = async () => take(await getJson("v1/fix"));

/** Whether a decision is on its way. */
export const busy = () => sending !== null;

/** Send a change. Return the new state, or null if another change is on its way. */
async function send(path, body) {
  if (sending) return null;
  // The same id if it is sent again, after an answer was lost: the server does not apply it twice.
  sending = getJson(path, { method: "POST", body: json({ ...body, id: crypto.randomUUID() }) });
  try {
    return take(await sending);
  } finally {
    sending = null;
  }
}

/**
 * Store decisions {name, sha256, decision, label, box}. The state's `refused` says which were not, and why. `odd` names
 * those that were marked in a grid, and come next; null if they are of no grid.
 */
export const decide = (decisions, odd = null) => send("v1/fix/decisions", { decisions, odd });

/** Take the last step back. The state's `undone` says what that was: {text, grid}. */
export const undo = () => send("v1/fix/undo", {});

/** Put a picture at the end of the list. */
export const later = ({ name }) => send("v1/fix/later", { name });

/**
 * Return up to 50 pictures, the first and those like it: {title, items, odd, others, doubtful, alone}. If there are no
 * items, `alone` says why. `onward`: after another grid, pass over what comes one by one.
 */
export const alike = (onward) => getJson(`v1/fix/alike${onward ? "?onward" : ""}`);

/** Start a training, or stop it. */
export const train = (compare) => send("v1/fix/training", { action: "start", compare });
export const stopTraining = () => send("v1/fix/training", { action: "stop" });
