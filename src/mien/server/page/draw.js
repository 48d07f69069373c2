// Draw boxes and answers over an image, on the screen and in a saved copy.

import { inkOn } from "./colours.js";
import { placeLabels } from "./placement.js";
import { faceText } from "./text.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/**
 * Draw the faces of a row into a canvas context of `width` × `height` units.
 *
 * `colourOf` returns the colour of an answer; `highlight` is the index of the face to highlight, or -1; `mirror` swaps
 * left and right. If an answer does not fit, only the face's number is drawn, unless `fullLabels`.
 */
export function drawFaces(context, row, { width, height, colourOf, highlight = -1, mirror = false, fullLabels = false }) {
  const scale = width / row.width;
  const boxes = row.faces.map(({ box }) => ({
    x: (mirror ? row.width - box.x - box.width : box.x) * scale,
    y: box.y * scale,
    width: box.width * scale,
    height: box.height * scale,
  }));
  const alpha = (n) => (highlight >= 0 && highlight !== n ? 0.35 : 1);
  row.faces.forEach((face, n) => {
    context.globalAlpha = alpha(n);
    drawBox(context, boxes[n], colourOf(face.answer), width, height);
  });
  const labels = row.faces.map((face, n) => labelChoices(context, face, n, row.faces.length, width, fullLabels));
  const places = placeLabels(boxes, labels.map((each) => each.map((label) => label.size)), width, height);
  row.faces.forEach((face, n) => {
    context.globalAlpha = alpha(n);
    if (places[n]) drawLabel(context, labels[n][places[n].choice], places[n], boxes[n], colourOf(face.answer));
  });
  context.globalAlpha = 1;
}

function drawBox(context, box, colour, width, height) {
  // Keep a box around the whole image visible.
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

/** Return the possible labels of a face, longest first: answer and reason; answer; number. */
function labelChoices(context, face, number, count, width, fullLabels) {
  const name = String(face.person ?? number + 1);
  const answer = (count > 1 ? `${name}  ` : "") + faceText(face);
  const found = [measure(context, [answer])];
  if (face.why && count <= 4 && width >= 480) found.unshift(measure(context, [answer, face.why]));
  if (count > 1 && !fullLabels) found.push(measure(context, [name]));
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
  drawLeader(context, place, box, colour);
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

/** Draw a line from a label to its box if they are apart. */
function drawLeader(context, place, box, colour) {
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
