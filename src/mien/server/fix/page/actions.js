// What can be decided: buttons and keys of the same actions. An action is {key, text, run, primary, colour}; one without
// text is a key alone.

import { make, show } from "../dom.js";

let current = [];

/** Show actions as buttons. A button that stays keeps the focus. Its key works until others are shown. */
export function offer(container, actions) {
  current = actions;
  const old = new Map([...container.children].map((button) => [button.dataset.key, button]));
  actions.filter(({ text }) => text).forEach((action, n) => {
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
export const keepStandsOut = ({ kind, suggested }) => !suggested && ["certain", "uncertain", "unseen"].includes(kind);

/** Return what a key does now, or undefined. */
export const actionOf = (key) => current.find((action) => action.key === key);

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

function fill(button, { key, text, primary, colour }) {
  const parts = [];
  if (key.length === 1) {
    const hint = make("kbd", "", key.toUpperCase());
    hint.setAttribute("aria-hidden", "true");
    button.setAttribute("aria-keyshortcuts", key);
    parts.push(hint);
  }
  if (colour) {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", colour);
    parts.push(dot);
  }
  button.replaceChildren(...parts, make("span", "", text));
  button.className = primary ? "primary" : "";
  show(button, true);
}
