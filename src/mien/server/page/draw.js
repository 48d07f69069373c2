// Boxes and answers, drawn over a picture: on the screen and, the same, in a saved copy.

import { inkOn } from "./colours.js";
import { placeLabels } from "./labels.js";
import { faceWords } from "./words.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/**
 * Draw what a row says into a canvas context whose picture is `width` × `height` units large.
 *
 * `colourOf` gives an answer's colour; `highlight` is the number of the one face that stands out, or -1; `mirror`
 * swaps left and right, as a mirror does. Where there is no room for an answer, only the face's number is written,
 * unless `whole`.
 */
export function drawFaces(context, row, { width, height, colourOf, highlight = -1, mirror = false, whole = false }) {
  const scale = width / row.width;
  const boxes = row.faces.map(({ box }) => ({
    x: (mirror ? row.width - box.x - box.width : box.x) * scale,
    y: box.y * scale,
    width: box.width * scale,
    height: box.height * scale,
  }));
  const faint = (n) => (highlight >= 0 && highlight !== n ? 0.35 : 1);
  row.faces.forEach((face, n) => {
    context.globalAlpha = faint(n);
    drawBox(context, boxes[n], colourOf(face.answer), width, height);
  });
  const labels = row.faces.map((face, n) => versions(context, face, n, row.faces.length, width, whole));
  const places = placeLabels(boxes, labels.map((each) => each.map((label) => label.size)), width, height);
  row.faces.forEach((face, n) => {
    context.globalAlpha = faint(n);
    if (places[n]) drawLabel(context, labels[n][places[n].choice], places[n], boxes[n], colourOf(face.answer));
  });
  context.globalAlpha = 1;
}

function drawBox(context, box, colour, width, height) {
  // A box that is the whole picture still shows.
  const x = Math.max(box.x, 2);
  const y = Math.max(box.y, 2);
  const wide = Math.min(box.x + box.width, width - 2) - x;
  const high = Math.min(box.y + box.height, height - 2) - y;
  context.beginPath();
  context.roundRect(x, y, wide, high, Math.min(8, wide / 6, high / 6));
  for (const [line, ink] of [[5, "rgb(0 0 0 / 65%)"], [2.5, colour]]) {
    context.lineWidth = line;
    context.strokeStyle = ink;
    context.stroke();
  }
}

/** What a label may say, the longest first: answer and why; the answer; the face's number. */
function versions(context, face, number, count, width, whole) {
  const name = String(face.person ?? number + 1);
  const answer = (count > 1 ? `${name}  ` : "") + faceWords(face);
  const found = [measure(context, [answer])];
  if (face.why && count <= 4 && width >= 480) found.unshift(measure(context, [answer, face.why]));
  if (count > 1 && !whole) found.push(measure(context, [name]));
  return found;
}

function measure(context, texts) {
  const lines = texts.map((text, n) => {
    context.font = n ? `12px ${FONT}` : `600 14px ${FONT}`;
    return { text, font: context.font, width: context.measureText(text).width, height: n ? 16 : 18 };
  });
  const high = lines.reduce((sum, line) => sum + line.height, 6);
  return { lines, size: { width: Math.max(...lines.map((line) => line.width)) + 14, height: high } };
}

function drawLabel(context, label, place, box, colour) {
  leader(context, place, box, colour);
  context.beginPath();
  context.roundRect(place.x, place.y, place.width, place.height, 5);
  context.fillStyle = colour;
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = "rgb(0 0 0 / 65%)";
  context.stroke();
  context.fillStyle = inkOn(colour);
  context.textBaseline = "middle";
  let y = place.y + 3;
  for (const line of label.lines) {
    context.font = line.font;
    context.fillText(line.text, place.x + 7, y + line.height / 2 + 0.5);
    y += line.height;
  }
}

/** A line from a label to its box, where it could not stand at it. */
function leader(context, place, box, colour) {
  const near = 6;
  const beside = place.x <= box.x + box.width + near && box.x <= place.x + place.width + near;
  if (beside && place.y <= box.y + box.height + near && box.y <= place.y + place.height + near) return;
  context.beginPath();
  context.moveTo(place.x + place.width / 2, place.y + place.height / 2);
  context.lineTo(box.x + box.width / 2, box.y);
  for (const [line, ink] of [[3.5, "rgb(0 0 0 / 65%)"], [1.5, colour]]) {
    context.lineWidth = line;
    context.strokeStyle = ink;
    context.stroke();
  }
}
