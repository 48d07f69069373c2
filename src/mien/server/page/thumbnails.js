// The row of thumbnails of all photos, with dots for their answers.

import { byId, make, setText, show } from "./dom.js";
import { album, photos } from "./photos.js";
import { colourOf } from "./settings.js";
import { rowText } from "./text.js";

const strip = byId("strip");
const items = new Map(); // photo → {item, button, dots, label}

/** Show all photos and call `onChoose(photo)` when the user chooses one. */
export function onChoosePhoto(onChoose) {
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
  const label = make("span", "visually-hidden");
  const button = make("button", "thumb", photo.thumb, dots, label);
  photo.thumb.setAttribute("aria-hidden", "true");
  button.type = "button";
  button.title = photo.name;
  button.addEventListener("click", () => onChoose(photo));
  const item = make("li", "", button);
  items.set(photo, { item, button, dots, label });
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
  setText(parts.label, `${photo.name}: ${photo.row ? rowText(photo.row) : photo.error || "in progress"}`);
}

/** Mark the photo on the stage; null for none. */
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
