// Find and make elements, and announce text to screen readers. Text is never parsed as markup.

/** Return the element with this id. */
export const byId = (id) => document.getElementById(id);

/** Return a new element with a class and children. Strings become text nodes. */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Set text only if it changed, to avoid needless layout and announcements. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide an element. Return whether it is shown. */
export function show(element, shown) {
  element.hidden = !shown;
  return shown;
}

const announcer = byId("announcer");
const MIN_GAP = 2500; // milliseconds between two announcements, so that a screen reader can finish
let waiting = null;
let last = -MIN_GAP;
let timer = 0;

/** Announce text to screen readers. If several come too fast, only the latest is announced. */
export function announce(text) {
  waiting = text;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    last = performance.now();
    announcer.textContent = waiting;
  }, Math.max(50, last + MIN_GAP - performance.now()));
}
