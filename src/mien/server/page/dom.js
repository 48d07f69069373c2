// The elements of the page, by id, and how new ones are made. Text is always text, never markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element with a class and children; strings become text nodes. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Set text only where it changed, so that nothing is laid out or announced again for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide an element; returns whether it is shown. */
export function show(element, shown) {
  element.hidden = !shown;
  return shown;
}

const announcer = byId("announcer");
const APART = 2500; // milliseconds between two announcements: a screen reader must be able to finish
let waiting = null;
let last = -APART;
let timer = 0;

/** Have a screen reader say this; of what comes too fast only the newest is said. */
export function announce(text) {
  waiting = text;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    last = performance.now();
    announcer.textContent = waiting;
  }, Math.max(50, last + APART - performance.now()));
}
