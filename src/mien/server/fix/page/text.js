// Words of this page.

import { counted } from "../text.js";

/** Say how far one is: "12 decided, 388 left (30 doubtful)". */
export const progressText = ({ decided, left, doubtful }) =>
  `${decided} decided, ${left} left${doubtful ? ` (${doubtful} doubtful)` : ""}`;

/** Say how many doubtful pictures wait beside a grid. */
export function leftText({ others, doubtful }) {
  if (!others) return doubtful ? "These are the last doubtful pictures." : "What is most doubtful was looked at.";
  const wait = others === 1 ? "waits. It comes" : "wait. They come";
  return `${counted(others, "other doubtful picture")} ${wait} after these.`;
}

/** Say what becomes of pictures that are marked in a grid. */
export function markText(count) {
  if (!count) return "Mark the odd ones out: they stay undecided and come right after this grid, one by one.";
  return `${count} marked: ${count === 1 ? "it comes" : "they come"} right after this grid, one by one.`;
}

/** Say how much of a grid was in view: only then it is decided. */
export const seenText = (count, all) =>
  count < all ? `${count} of ${all} seen: shows the next ones` : `all ${all} seen`;

/** Say what is left out: which pictures belong to none of the classes. */
export function outNote(classes) {
  const none = classes.length === 2 ? "neither" : "none of these";
  const neutral = classes.some((label) => /neutral|neither|other|none/i.test(label));
  return neutral ? "none of these, unusable" : `neutral face, ${none}, unusable`;
}

/** Begin with a capital letter. */
export const sentence = (text) => text.replace(/^./, (letter) => letter.toUpperCase());

/** Count labels: "1 happy, 2 sad". */
export function labelCounts(items) {
  const counts = new Map();
  for (const { label } of items) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => `${count} ${label}`).join(", ");
}

/** Say what the server did not store, and why. */
export function refusedText(refused) {
  if (refused.length === 1) return `${refused[0].name}: ${refused[0].detail}.`;
  return `${counted(refused.length, "picture")} not stored. ${refused[0].name}: ${refused[0].detail}.`;
}

/** Say what the model answers about a picture, with its probability: "model: sad 0.93". */
export const answerText = ({ answer, probabilities }) => `model: ${answer} ${probabilities[answer].toFixed(2)}`;

/** Describe a picture for screen readers. */
export function itemText(item) {
  const label = item.label ? `, labelled ${item.label}` : "";
  return `${item.name}${label}. ${item.title}${item.why ? `: ${item.why}` : ""}`;
}
