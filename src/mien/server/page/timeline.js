// The last minute of the webcam: per person a curve of the probabilities, and how often each answer came.

import { byId, make, setText, show } from "./dom.js";
import { percent } from "./text.js";

const SPAN = 60_000; // milliseconds shown
const GAP = 1500; // milliseconds without a person that break the curve
const MAX_LANES = 6;
const HEIGHT = 56;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Collect answers and draw a lane per person. */
export class Timeline {
  constructor() {
    this.people = new Map(); // person → [{time, answer, probabilities}], oldest first
    this.lanes = new Map();
    this.drawn = 0;
    byId("lanes").replaceChildren();
    byId("timeline-key").replaceChildren();
  }

  /** Add the faces of a frame, answered at `time` in milliseconds. */
  add(time, faces, colourOf) {
    this.whole = faces[0]?.score === null;
    for (const face of faces) {
      const person = face.person ?? 1;
      if (!this.people.has(person)) this.people.set(person, []);
      this.people.get(person).push({ time, answer: face.answer, probabilities: face.probabilities });
    }
    for (const [person, points] of this.people) {
      while (points.length && points[0].time < time - SPAN) points.shift();
      if (!points.length) this.people.delete(person);
    }
    if (time - this.drawn < (reducedMotion.matches ? 1000 : 100)) return;
    this.drawn = time;
    this.draw(time, colourOf);
  }

  draw(now, colourOf) {
    const shown = [...this.people].sort((a, b) => b[1].length - a[1].length).slice(0, MAX_LANES);
    shown.sort((a, b) => a[0] - b[0]);
    for (const [person, lane] of this.lanes) {
      if (shown.some(([one]) => one === person)) continue;
      lane.item.remove();
      this.lanes.delete(person);
    }
    const answers = Object.keys(shown[0]?.[1][0].probabilities ?? {});
    drawKey(answers, colourOf);
    for (const [person, points] of shown) {
      const lane = this.lanes.get(person) ?? this.lane(person);
      setText(lane.text, summary(points));
      drawCurve(lane.canvas, points, now, answers, colourOf);
    }
  }

  lane(person) {
    const canvas = make("canvas", "curve");
    canvas.setAttribute("aria-hidden", "true");
    const text = make("span", "answer-counts");
    const item = make("li", "", make("p", "", make("b", "", this.whole ? "Whole image" : `Person ${person}`), " ", text), canvas);
    const after = [...this.lanes].find(([other]) => other > person)?.[1].item ?? null;
    byId("lanes").insertBefore(item, after);
    const lane = { item, canvas, text };
    this.lanes.set(person, lane);
    return lane;
  }
}

/** Return the percentage of frames with each answer, most frequent first. */
function summary(points) {
  const counts = new Map();
  for (const { answer } of points) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 4);
  return sorted.map(([answer, count]) => `${answer} ${percent(count / points.length)}`).join(" · ");
}

function drawKey(answers, colourOf) {
  const key = byId("timeline-key");
  if (key.childElementCount === answers.length) return;
  key.replaceChildren(...answers.map((answer) => {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", colourOf(answer));
    return make("span", "", dot, ` ${answer}`);
  }));
}

/** Draw happy above the middle and sad below it. For other labels, draw a stack of all probabilities. */
function drawCurve(canvas, points, now, answers, colourOf) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const [wide, high] = [Math.round(width * ratio), Math.round(HEIGHT * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, HEIGHT);
  const x = (time) => width * (1 - (now - time) / SPAN);
  const opposed = answers.includes("happy") && answers.includes("sad");
  const layers = opposed ? [["happy", -1], ["sad", 1]] : answers.map((answer) => [answer, 0]);
  for (const piece of splitAtGaps(points)) {
    const floor = new Float64Array(piece.length);
    for (const [answer, way] of layers) {
      const upper = piece.map((point, n) => floor[n] + (point.probabilities[answer] ?? 0));
      const y = way ? (value) => (HEIGHT / 2) * (1 + way * value) : (value) => HEIGHT * (1 - value);
      context.beginPath();
      piece.forEach((point, n) => context.lineTo(x(point.time), y(upper[n])));
      for (let n = piece.length - 1; n >= 0; n -= 1) context.lineTo(x(piece[n].time), y(floor[n]));
      context.closePath();
      context.fillStyle = colourOf(answer);
      context.fill();
      if (!way) upper.forEach((value, n) => { floor[n] = value; });
    }
    if (opposed) drawAnswerLine(context, piece, x, colourOf);
  }
}

/** Draw a line along the middle in the colour of the answer. It shows `neither` too, which has no curve. */
function drawAnswerLine(context, piece, x, colourOf) {
  piece.forEach((point, n) => {
    const from = x(point.time);
    const to = n + 1 < piece.length ? x(piece[n + 1].time) : from + 0.5;
    context.fillStyle = colourOf(point.answer);
    context.fillRect(from, HEIGHT / 2 - 2, to - from + 0.5, 4);
  });
}

function splitAtGaps(points) {
  const found = [];
  for (const point of points) {
    const last = found.at(-1);
    if (last && point.time - last.at(-1).time <= GAP) last.push(point);
    else found.push([point]);
  }
  return found;
}

/** Show or hide the timeline. */
export const showTimeline = (shown) => show(byId("timeline"), shown);
