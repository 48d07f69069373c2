// Words of this page.

import { counted } from "../text.js";

/** Say how far one is: "12 decided, 388 left (30 doubtful)". */
export const progressText = ({ decided, left, doubtful }) =>
  `${decided} decided, ${left} left${doubtful ? ` (${doubtful} doubtful)` : ""}`;

/** Say which doubtful pictures wait beside a grid, and how to come to them. */
export function leftText({ before, after, doubtful }) {
  if (!before && !after) return doubtful ? "These are the last doubtful pictures." : "All doubtful pictures were looked at.";
  const where = before && after ? `${before} before this grid and ${after} after it` : before ? "before this grid" : "after this grid";
  const one = before + after === 1;
  const wait = one ? "waits" : "wait";
  const how = before ? `“Back to one by one” begins with ${one ? "it" : "them"}.` : `${one ? "It comes" : "They come"} when these are decided.`;
  return `${counted(before + after, "other doubtful picture")} ${wait}${before && after ? ": " : " "}${where}. ${how}`;
}

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

/** Describe a picture for screen readers. */
export function itemText(item) {
  const label = item.label ? `, labelled ${item.label}` : "";
  return `${item.name}${label}. ${item.title}${item.why ? `: ${item.why}` : ""}`;
}
