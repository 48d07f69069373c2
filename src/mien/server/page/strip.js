// All photos as a row of thumbnails with their answers.

import { byId, make, setText, show } from "./dom.js";
import { album, photos } from "./photos.js";
import { colourOf } from "./settings.js";
import { rowWords } from "./words.js";

const strip = byId("strip");
const items = new Map(); // photo → {item, button, dots, words}

/** Keep the strip up to date; `onChoose(photo)` gets the one that a person chooses. */
export function keepStrip(onChoose) {
  album.addEventListener("added", () => {
    for (const photo of photos) if (!items.has(photo)) add(photo, onChoose);
  });
  album.addEventListener("changed", ({ photo }) => fill(photo));
  album.addEventListener("removed", ({ photo }) => {
    items.get(photo)?.item.remove();
    items.delete(photo);
    show(byId("strip-field"), photos.length > 1);
  });
  strip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const buttons = [...strip.querySelectorAll("button")];
    const next = buttons[buttons.indexOf(event.target) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.click();
  });
}

function add(photo, onChoose) {
  const dots = make("span", "dots");
  dots.setAttribute("aria-hidden", "true");
  const words = make("span", "unseen");
  const button = make("button", "thumb", photo.thumb, dots, words);
  photo.thumb.setAttribute("aria-hidden", "true");
  button.type = "button";
  button.title = photo.name;
  button.addEventListener("click", () => onChoose(photo));
  const item = make("li", "", button);
  items.set(photo, { item, button, dots, words });
  strip.append(item);
  show(byId("strip-field"), photos.length > 1);
  fill(photo);
}

function fill(photo) {
  const parts = items.get(photo);
  if (!parts) return;
  parts.button.dataset.state = photo.row && photo.row.status !== "ok" ? "failed" : photo.state;
  const faces = photo.row?.faces ?? [];
  parts.dots.replaceChildren(...faces.slice(0, 5).map((face) => {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", colourOf(face.answer));
    return dot;
  }));
  setText(parts.words, `${photo.name}, ${photo.row ? rowWords(photo.row) : photo.fault || "being read"}`);
}

/** Mark the photo that is shown; null for none. */
export function markShown(photo) {
  for (const [one, { item, button }] of items) {
    if (one === photo) {
      button.setAttribute("aria-current", "true");
      const [left, right] = [item.offsetLeft - strip.offsetLeft, item.offsetLeft - strip.offsetLeft + item.offsetWidth];
      if (left < strip.scrollLeft) strip.scrollLeft = left - 8;
      else if (right > strip.scrollLeft + strip.clientWidth) strip.scrollLeft = right - strip.clientWidth + 8;
    } else button.removeAttribute("aria-current");
  }
}
