// Which pictures of a grid have been in view: no key decides what nobody has seen.

/** The part of a tile that must be in view: a mouth may be low in it. */
const PART = 0.85;

let observer = null;
let changed = () => {};
let told = false; // whether the browser has said what is in view
const pictures = new Map(); // of each tile, its picture's key
const inView = new Set(); // tiles, with their pictures or before these are loaded
const seen = new Set(); // keys of pictures, for as long as the page is open: a grid may come back

const keyOf = ({ name, sha256 }) => `${sha256} ${name}`;

/** Watch tiles of items. `covered` pixels at the bottom of the window are behind something; `onChange` is called if that may have changed. */
export function watch(tiles, items, covered, onChange) {
  unwatch();
  changed = onChange;
  // The window is the root: what a tile's own scrolling list cuts off does not count either.
  observer = new IntersectionObserver(take, { rootMargin: `0px 0px -${covered}px`, threshold: [0, PART] });
  tiles.forEach((tile, n) => {
    pictures.set(tile, keyOf(items[n]));
    observer.observe(tile);
  });
}

/** Watch no more. */
export function unwatch() {
  observer?.disconnect();
  for (const known of [pictures, inView]) known.clear();
  [observer, changed, told] = [null, () => {}, false];
}

function take(entries) {
  for (const { target, intersectionRatio } of entries) {
    if (intersectionRatio > PART - 0.01) inView.add(target);
    else inView.delete(target);
  }
  told ||= entries.length > 0;
  if (told) note(entries.map(({ target }) => target));
}

/** Take note of those tiles that are in view with their pictures. */
export function note(tiles) {
  for (const tile of tiles) if (inView.has(tile) && hasPicture(tile)) seen.add(pictures.get(tile));
  changed();
}

const hasPicture = (tile) => tile.querySelector("img") !== null;

/** Take note of a picture that was seen elsewhere. */
export function noteSeen(item) {
  seen.add(keyOf(item));
  changed();
}

/** Whether somebody has seen a picture. */
export const isSeen = (item) => seen.has(keyOf(item));

/** Whether it is known what is in view, and all that is has its picture. */
export const isReady = () => told && [...inView].every(hasPicture);

/** Return when what is in view now has been noted: the browser tells it with the next frame. */
export async function look() {
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  if (observer) take(observer.takeRecords());
}
