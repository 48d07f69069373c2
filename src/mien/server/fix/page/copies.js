// What can be decided about copies that stand side by side: each button says what becomes of all of them.

import { labelKey } from "./actions.js";
import { labelCounts, outNote } from "./text.js";

/**
 * Return the actions for copies, the safe ones first: what keeps one label, or one copy, comes before what keeps all.
 *
 * `items` are those that nobody has decided, `marked` is the marked one; `choose(decision, label)` decides them all,
 * `keepMarked()` that one.
 */
export function copyActions(items, marked, classes, colourOf, choose, keepMarked) {
  const labels = new Set(items.map(({ label }) => label));
  const all = items.length === 1 ? "this one" : items.length === 2 ? "both" : `all ${items.length}`;
  const [All, are] = [all.replace(/^./, (letter) => letter.toUpperCase()), items.length === 1 ? "is" : "are"];
  const of = (label) => {
    const same = items.filter((item) => item.label === label).length;
    const rest = items.length - same;
    return [same && `${same} kept`, rest && `${rest} ${items[0].label ? "relabelled" : "labelled"}`].filter(Boolean).join(", ");
  };
  const others = items.filter((item) => item !== marked).length;
  // A zero beside the keys of classes looks like it.
  const only = { key: "o", also: "0", text: `Keep the marked one${marked.label ? ` as ${marked.label}` : ""}`, run: keepMarked,
    note: others > 1 ? `the other ${others} left out` : "the other left out" };
  const relabel = (label) =>
    ({ key: labelKey(classes, label), text: `${All} ${are} ${label}`, note: of(label), run: () => choose("relabel", label), colour: colourOf(label) });
  const out = { key: "x", text: `Leave ${all} out`, note: outNote(classes), run: () => choose("leave-out") };
  const keep = { key: "k", text: `Keep ${all}`, run: () => choose("keep") };
  if (labels.has("")) return [only, ...classes.map(relabel), out];
  if (labels.size > 1) return [...classes.map(relabel), only, out, { ...keep, note: `labels differ: ${labelCounts(items)}` }];
  const [label] = labels;
  const kept = { ...keep, also: labelKey(classes, label), text: `Keep ${all} as ${label}`, colour: colourOf(label) };
  return [only, kept, ...classes.filter((other) => other !== label).map(relabel), out];
}
