// Words of this page.

import { counted } from "../text.js";

/** Say how far one is: "12 decided, 388 left". */
export const progressText = ({ decided, left }) => `${decided} decided, ${left} left`;

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
