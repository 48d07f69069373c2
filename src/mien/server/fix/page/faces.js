// The faces of a picture, drawn over it. Of several, each is a button that chooses it.

import { make } from "../dom.js";
import { answerText } from "./text.js";

/**
 * Return the elements of the faces of an item.
 *
 * `size` is {width, height} of the upright image, `chosen` the index of a face; `choose(index)` is called on a click.
 */
export function faceBoxes(item, size, chosen, colourOf, choose) {
  const several = item.faces.length > 1;
  return item.faces.map((box, n) => {
    const element = make(several ? "button" : "div", "face-box", ...caption(item, n, chosen, several));
    const { style } = element;
    style.setProperty("--x", String(box.x / size.width));
    style.setProperty("--y", String(box.y / size.height));
    style.setProperty("--w", String(box.width / size.width));
    style.setProperty("--h", String(box.height / size.height));
    style.setProperty("--colour", n === chosen && item.answer ? colourOf(item.answer) : "#f0e442");
    if (box.y / size.height < 0.1) element.dataset.high = "";
    if (box.x + box.width / 2 > size.width / 2) element.dataset.right = ""; // the caption has room to its left
    if (several) {
      element.type = "button";
      element.setAttribute("aria-pressed", String(n === chosen));
      element.setAttribute("aria-label", `Face ${n + 1} of ${item.faces.length}`);
      element.addEventListener("click", () => choose(n));
    }
    return element;
  });
}

function caption(item, n, chosen, several) {
  const parts = several ? [String(n + 1)] : [];
  if (n === 0 && item.answer) parts.push(answerText(item));
  return parts.length ? [make("span", "", parts.join(" "))] : [];
}
