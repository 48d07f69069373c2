// The pure parts give what the Python modules of the same names give.

import assert from "node:assert/strict";

import { cropTo, type CropShape, faceRegion, type Region } from "../src/crop.js";
import { parseConfig } from "../src/config.js";
import { decide, probabilitiesOf, withThreshold } from "../src/decision.js";
import { toDetections } from "../src/detector.js";
import { MienError } from "../src/errors.js";
import { heatmap } from "../src/heat.js";
import { fixed, general, round, roundTo } from "../src/numbers.js";
import { uprighted } from "../src/orientation.js";
import { colourOf } from "../src/overlay.js";
import { reduce, resizeWithGap } from "../src/pillow.js";
import { toGrey } from "../src/raster.js";
import { type Fit, resize } from "../src/resize.js";
import { type Box, type Detection, rescaled, type Size } from "../src/results.js";
import {
  closeWindow, type Rectangle, render, renderQuick, renderWindow, tileViews, turnedViews, type View, wholeView,
} from "../src/tiling.js";
import { Tracker } from "../src/tracker.js";
import { type Candidate, decodeOutputs } from "../src/yunet.js";
import { assertClose, eachCase, type Image, toFloats, toRaster } from "./values.js";

eachCase<{ value: number; rounded: number; fixed: string; general: string; one: number }>("numbers", (one) => {
  assert.equal(round(one.value), one.rounded);
  assert.equal(fixed(one.value, 2), one.fixed);
  assert.equal(general(one.value), one.general);
  assert.equal(roundTo(one.value, 1), one.one);
});

interface Resize {
  image: Image;
  size: number;
  method: string;
  fit: Fit;
  float: boolean;
  wanted: string;
}
eachCase<Resize>("resize", (one, label) => {
  const found = resize(toRaster(one.image), one.size, one.method, one.fit);
  assert.equal(found.data instanceof Float32Array, one.float, one.method);
  const wanted = one.float ? toFloats(one.wanted) : Buffer.from(one.wanted, "base64");
  // Rounded values of OpenCV's methods may lie just beside a half.
  const tolerance = one.float ? 2e-3 : one.method.startsWith("cv2-") ? 1 : 0;
  assertClose(found.data, wanted, tolerance, `${label} ${one.method} ${one.fit}`);
});

eachCase<{ image: Image; factor: number; wanted: string }>("reduce", (one, label) => {
  assertClose(reduce(toRaster(one.image), one.factor).data, Buffer.from(one.wanted, "base64"), 0, label);
});

eachCase<{ image: Image; width: number; height: number; wanted: string }>("gap", (one, label) => {
  const found = resizeWithGap(toRaster(one.image), one.width, one.height);
  assertClose(found.data, Buffer.from(one.wanted, "base64"), 0, label);
});

eachCase<{ image: Image; wanted: string }>("grey", (one, label) => {
  assertClose(toGrey(toRaster(one.image)).data, Buffer.from(one.wanted, "base64"), 0, label);
});

eachCase<{ image: Image; orientation: number; width: number; wanted: string }>("orientation", (one, label) => {
  const found = uprighted(toRaster(one.image), one.orientation);
  assert.equal(found.width, one.width, label);
  assertClose(found.data, Buffer.from(one.wanted, "base64"), 0, label);
});

eachCase<{ image: Image; shape: CropShape; region: Region | Box | null; wanted: string }>("crop", (one, label) => {
  const found = cropTo(toRaster(one.image), one.shape, one.region);
  const rolled = one.region !== null && "angle" in one.region && one.region.angle % 90 !== 0;
  // Interpolated values that lie on a whole number may be cut off to either side.
  assertClose(found.data, Buffer.from(one.wanted, "base64"), rolled ? 1 : 0, label);
});

eachCase<{ face: Detection; region: Region }>("region", ({ face, region }, label) => {
  const found = faceRegion(face);
  const values = ({ x, y, side, angle }: Region): number[] => [x, y, side, angle];
  assertClose(values(found), values(region), 1e-9, label);
});

eachCase<{ face: Detection; from: Size; to: Size; wanted: Detection }>("rescaled", ({ face, from, to, wanted }) => {
  assert.deepEqual(rescaled(face, from, to), wanted);
});

interface Outputs {
  outputs: Record<string, string>;
  threshold: number;
  width: number;
  size: Size;
  wanted: Detection[];
}
eachCase<Outputs>("yunet", (one, label) => {
  const outputs = Object.fromEntries(Object.entries(one.outputs).map(([name, text]) => [name, toFloats(text)]));
  const found = toDetections(decodeOutputs(outputs, one.threshold, one.width), one.size);
  assert.deepEqual(found.map(({ box }) => box), one.wanted.map(({ box }) => box), label);
  found.forEach((face, n) => {
    assertClose(face.landmarks.flat(), one.wanted[n]!.landmarks.flat(), 1e-3, label);
    assertClose([face.score], [one.wanted[n]!.score], 1e-6, label);
  });
});

interface Views {
  size: Size;
  around: Candidate["box"] | null;
  whole: View[];
  turned: View[];
  tiles: View[];
  window: Rectangle | null;
}
eachCase<Views>("views", ({ size, around, whole, turned, tiles, window }) => {
  assert.deepEqual([0, 1, 2, 3].map((turns) => wholeView(size, turns)), whole);
  assert.deepEqual(turnedViews(size, around), turned);
  assert.deepEqual(tileViews(size), tiles);
  if (around) assert.deepEqual(closeWindow(wholeView(size), around), window);
});

eachCase<{ image: Image; views: View[]; width: number; height: number; wanted: string }>("render", (one, label) => {
  const found = render(toRaster(one.image), one.views);
  assert.deepEqual([found.width, found.height], [one.width, one.height]);
  assertClose(found.data, Buffer.from(one.wanted, "base64"), 0, label);
});

eachCase<{ image: Image; view: View; wanted: string }>("quick", (one, label) => {
  const { input, view } = renderQuick(toRaster(one.image));
  assert.deepEqual(view, one.view);
  assertClose(input.data, Buffer.from(one.wanted, "base64"), 0, label);
});

interface Window {
  image: Image;
  view: View;
  window: Rectangle;
  part: View;
  wanted: string;
}
eachCase<Window>("window", (one, label) => {
  const { input, view } = renderWindow(toRaster(one.image), one.view, one.window);
  assert.deepEqual([input.width, input.height], one.window.slice(2));
  assert.deepEqual(view, one.part);
  assertClose(input.data, Buffer.from(one.wanted, "base64"), 0, label);
});

interface Decision {
  config: Record<string, unknown>;
  threshold: number | Record<string, number> | null;
  logits: number[];
  probabilities: number[];
  answer: { label: string; probability: number; probabilities: Record<string, number>; why: string | null };
}
eachCase<Decision>("decision", ({ config, threshold, logits, probabilities, answer }, label) => {
  const { rule, temperature } = parseConfig(JSON.stringify(config), "config.json");
  assertClose(probabilitiesOf(logits, temperature), probabilities, 1e-12, label);
  const found = decide(threshold === null ? rule : withThreshold(rule, threshold), probabilities);
  assert.equal(found.label, answer.label, label);
  assert.equal(found.why, answer.why, label);
  assert.deepEqual(Object.keys(found.probabilities), Object.keys(answer.probabilities), label);
  assertClose(Object.values(found.probabilities), Object.values(answer.probabilities), 1e-12, label);
  assertClose([found.probability], [answer.probability], 1e-12, label);
});

eachCase<{ config: unknown; ok: boolean; foreign: boolean }>("config", ({ config, ok, foreign }, label) => {
  const parse = (): unknown => parseConfig(JSON.stringify(config), "config.json");
  if (ok) {
    parse();
    return;
  }
  assert.throws(parse, (error) => {
    assert.ok(error instanceof MienError, label);
    assert.equal(error.code, foreign ? "foreign-bundle" : "damaged-bundle", error.message);
    assert.match(error.message, /^config\.json: .+; .+$/);
    return true;
  });
});

interface Step {
  time: number;
  cut: boolean;
  boxes: Box[];
  crops: Image[];
  rows: number[][];
  people: number[];
  smoothed: number[][];
}
eachCase<Step[]>("tracker", (steps, label) => {
  const tracker = new Tracker();
  for (const { time, cut, boxes, crops, rows, people, smoothed } of steps) {
    if (cut) tracker.cut();
    const found = tracker.update(time, boxes, crops.map(toRaster), rows);
    assert.deepEqual(found.map(({ person }) => person), people, label);
    assertClose(found.flatMap(({ probabilities }) => probabilities), smoothed.flat(), 1e-9, label);
  }
});

interface Heat {
  maps: string;
  shape: [number, number, number];
  label: number;
  size: number;
  wanted: string;
}
eachCase<Heat>("heat", (one, label) => {
  const [rows, columns, labels] = one.shape;
  const found = heatmap({ data: toFloats(one.maps), rows, columns, labels }, one.label, one.size);
  assertClose(found, toFloats(one.wanted), 1e-5, label);
});

eachCase<{ value: number; colour: number[] }>("colours", ({ value, colour }, label) => {
  assertClose(colourOf(value), colour, 0, label);
});
