// What can be decided: buttons and keys of the same actions. An action is {key, also, text, note, run, primary, waits, colour}:
// `also` is a second key, `note` says in small what the text leaves open, `waits` that something comes before it.

import { make, show } from "../dom.js";

let current = [];

/** Show actions as buttons. A button that stays keeps the focus. Its key works until others are shown. */
export function offer(container, actions) {
  current = actions;
  const old = new Map([...container.children].map((button) => [button.dataset.key, button]));
  actions.forEach((action, n) => {
    const button = old.get(action.key) ?? newButton(action.key);
    old.delete(action.key);
    fill(button, action);
    if (container.children[n] !== button) container.insertBefore(button, container.children[n] ?? null);
  });
  for (const button of old.values()) {
    if (button === document.activeElement) container.focus();
    button.remove();
  }
}

/** Whether keeping a label is what one expects: nobody doubts it, and no data issue asks. Else no button stands out. */
export const keepStandsOut = ({ kind, suggested }) => !suggested && ["certain", "unseen"].includes(kind);

/** Return what a key does now, or undefined. */
export const actionOf = (key) => current.find((action) => action.key === key || action.also === key);

/** Return the key of a class: its number, or a name that no key has if there are more than nine. "" if it is none. */
export function labelKey(classes, label) {
  const n = classes.indexOf(label);
  return n < 0 ? "" : n < 9 ? String(n + 1) : `label-${label}`;
}

/** Forget the actions, while nothing can be decided. */
export function offerNothing() {
  current = [];
}

function newButton(key) {
  const button = make("button");
  button.type = "button";
  button.dataset.key = key;
  button.addEventListener("click", () => actionOf(key)?.run());
  return button;
}

function fill(button, { key, also, text, note, primary, waits, colour }) {
  const parts = [];
  const keys = [key, also ?? ""].filter((one) => one.length === 1);
  button.removeAttribute("aria-keyshortcuts");
  if (keys.length) {
    const hints = make("span", "hints", ...keys.map((one) => make("kbd", "", one.toUpperCase())));
    hints.setAttribute("aria-hidden", "true");
    button.setAttribute("aria-keyshortcuts", keys.join(" "));
    parts.push(hints);
  }
  if (colour) {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", colour);
    parts.push(dot);
  }
  button.replaceChildren(...parts, make("span", "", text, ...(note ? [" ", make("small", "", note)] : [])));
  button.className = primary ? "primary" : waits ? "waits" : "";
  show(button, true);
}
