// The pictures as the server shrinks them. An <img> cannot send the token, so each is fetched, and a few are kept.

import { request } from "../api.js";

/** Most pictures of each size in the page's memory: some around the one on screen, and a grid of 50. */
const MOST = { large: 12, tile: 64 };

const kept = { large: new Map(), tile: new Map() }; // promises of pictures, least recently used first

/**
 * Return a promise of a picture: {image, width, height}, an element, and the size of the upright image in full.
 *
 * `size` is "large", or "tile" for what is around its face. It rejects with a Problem if the file has gone or changed.
 */
export async function pictureOf({ name, sha256 }, size) {
  const [key, all] = [`${sha256} ${name}`, kept[size]];
  const found = all.get(key) ?? load(name, size);
  all.delete(key);
  all.set(key, found);
  if (all.size > MOST[size]) all.delete(all.keys().next().value);
  try {
    return await found;
  } catch (error) {
    if (all.get(key) === found) all.delete(key); // ask again the next time
    throw error;
  }
}

/** Fetch pictures that will be shown next. */
export const prefetch = (items) => items.forEach((item) => pictureOf(item, "large").catch(() => {}));

async function load(name, size) {
  const answer = await request("v1/fix/image", { query: { name, size } });
  const url = URL.createObjectURL(await answer.blob());
  const image = new Image();
  image.src = url;
  await image.decode().catch(() => {});
  URL.revokeObjectURL(url); // the element has the pixels
  const [width, height] = ["X-Width", "X-Height"].map((header) => Number(answer.headers.get(header)));
  return { image, width, height };
}
