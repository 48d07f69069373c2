// Cards beside the image: the answer of each face, the reason, and a bar per expression.

import { make, setText, show } from "./dom.js";
import { percent } from "./text.js";

const MAX_OPEN = 3; // cards are open if there are no more faces than this

/** Cards in a list element. A card is reused for the same person, or the same position in the list. */
export class FaceCards {
  /** `onPoint(n)` gets the index of the face under the pointer or in focus, or -1. */
  constructor(list, onPoint) {
    Object.assign(this, { list, onPoint, cards: new Map(), pointed: null });
  }

  /** Remove all cards. */
  clear() {
    this.cards.clear();
    this.list.replaceChildren();
    this.point(null);
  }

  point(card) {
    this.pointed = card;
    this.onPoint(card?.number ?? -1);
  }

  /** Show the faces of a row. `colourOf` returns the colour of a label. */
  update(faces, colourOf) {
    const kept = new Map();
    faces.forEach((face, n) => {
      const key = face.person ?? `position ${n}`;
      const card = this.cards.get(key) ?? this.card(faces.length <= MAX_OPEN);
      card.number = n;
      this.fill(card, face, face.score === null ? "" : String(face.person ?? n + 1), colourOf);
      kept.set(key, card);
    });
    for (const [key, card] of this.cards) if (!kept.has(key)) card.item.remove();
    // Sort by person: the order of faces in a row may change from frame to frame.
    const items = [...kept].sort(byPerson).map(([, card]) => card.item);
    if (items.some((item, n) => this.list.children[n] !== item)) this.list.replaceChildren(...items);
    this.cards = kept;
    if (this.pointed) this.point([...kept.values()].includes(this.pointed) ? this.pointed : null);
  }

  card(open) {
    const parts = {
      number: make("span", "number"), answer: make("span", "answer"), probability: make("span", "probability"),
      why: make("p", "why"), bars: make("ul", "bars"), two: make("div", "two"), rows: new Map(),
    };
    const heading = make("h3", "", parts.number, parts.answer, parts.probability);
    const details = make("details", "", make("summary", "", heading), parts.why, parts.bars, parts.two);
    details.open = open;
    const card = { item: make("li", "face", details), parts, number: 0 };
    for (const type of ["pointerenter", "focusin"]) card.item.addEventListener(type, () => this.point(card));
    for (const type of ["pointerleave", "focusout"]) card.item.addEventListener(type, () => this.point(null));
    return card;
  }

  fill({ item, parts }, face, name, colourOf) {
    item.style.setProperty("--colour", colourOf(face.answer));
    if (show(parts.number, Boolean(name))) setText(parts.number, name); // a whole image has no number
    setText(parts.answer, face.answer);
    setText(parts.probability, percent(face.probability));
    if (show(parts.why, Boolean(face.why))) setText(parts.why, `Why: ${face.why}`);
    for (const [label, value] of Object.entries(face.expressions ?? face.probabilities)) {
      bar(parts, label, value, colourOf(label));
    }
    show(parts.two, Boolean(face.two_way && face.expressions));
    if (face.two_way && face.expressions) twoWay(parts.two, face.two_way);
  }
}

const byPerson = ([one], [other]) => (typeof one === "number" ? one - other : 0);

function bar(parts, label, value, colour) {
  let row = parts.rows.get(label);
  if (!row) {
    row = { fill: make("span", "fill"), value: make("span", "value") };
    const track = make("span", "track", row.fill);
    track.setAttribute("aria-hidden", "true");
    parts.bars.append(make("li", "", make("span", "name", label), " ", track, row.value));
    row.fill.style.setProperty("--colour", colour);
    parts.rows.set(label, row);
  }
  row.fill.style.setProperty("--fraction", value.toFixed(4));
  setText(row.value, percent(value));
}

/** Show happy against sad as one bar of two parts. */
function twoWay(element, { happy, sad }) {
  if (!element.childElementCount) {
    const split = make("span", "split");
    split.setAttribute("aria-hidden", "true");
    element.append(make("p", "", "If forced to choose"), split);
    element.append(make("p", "ends", make("span"), make("span")));
  }
  element.querySelector(".split").style.setProperty("--fraction", happy.toFixed(4));
  const [left, right] = element.querySelectorAll(".ends span");
  setText(left, `happy ${percent(happy)}`);
  setText(right, `sad ${percent(sad)}`);
}
