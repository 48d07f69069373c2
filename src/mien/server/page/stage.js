// The stage: a picture or the webcam, the heatmap over it, boxes and answers over that.

import { byId, setText, show } from "./dom.js";
import { drawFaces } from "./draw.js";

const stage = byId("stage");
const picture = byId("picture");
const video = byId("video");
const heat = byId("heat");
const canvas = byId("boxes");
const note = byId("stage-note");
const LARGEST_COPY = 4096; // pixels of the longer side of a saved copy: browsers have limits
const SMALLEST_COPY = 320; // a smaller picture is enlarged: text needs room

let shown = { row: null, colourOf: null, mirror: false, highlight: -1, frame: null };

/** Let the stage have the shape of a picture of this size in pixels. */
function shape(width, height) {
  stage.style.setProperty("--ratio", String(width / height));
  stage.style.setProperty("--natural", String(width));
}

/** Show a picture from a URL, once it can be shown whole; returns whether the browser can show it. */
export async function showPicture(url, description) {
  show(video, false);
  hideHeat();
  picture.alt = description;
  if (picture.src !== url) {
    picture.src = url;
    shown.row = null;
    redraw();
  }
  try {
    await picture.decode();
  } catch {
    if (picture.src !== url) return true; // another one is shown by now
    show(picture, false);
    return false;
  }
  if (picture.src === url) {
    shape(picture.naturalWidth, picture.naturalHeight);
    show(picture, true);
    redraw();
  }
  return true;
}

/** An empty stage of this size, for a picture that the browser cannot show. */
export function showBlank(width, height) {
  show(picture, false);
  shape(width || 4, height || 3);
}

/** Show the webcam's picture; returns its video element. */
export function showVideo() {
  show(picture, false);
  hideHeat();
  picture.removeAttribute("src");
  show(video, true);
  return video;
}

/** Give the stage the shape of the webcam's picture. */
export const fitVideo = () => shape(video.videoWidth || 4, video.videoHeight || 3);

/**
 * Draw what a row says; null draws nothing. A `frame` (ImageBitmap) is drawn below it, over a picture that has
 * moved on.
 */
export function showRow(row, colourOf, mirror = false, frame = null) {
  if (shown.frame !== frame) shown.frame?.close();
  shown = { ...shown, row, colourOf, mirror, frame };
  redraw();
}

/** Let one face stand out; -1 for none. */
export function highlight(number) {
  if (shown.highlight === number) return;
  shown.highlight = number;
  redraw();
}

/** Say something in the middle of the stage; "" says nothing. */
export function sayOnStage(text) {
  if (show(note, Boolean(text))) setText(note, text);
}

/** Lay a heatmap over the picture. */
export function showHeat(url) {
  heat.src = url;
  show(heat, true);
}

/** Take the heatmap away. */
export function hideHeat() {
  show(heat, false);
  heat.removeAttribute("src");
}

function redraw() {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = stage;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (shown.frame) drawPicture(context, shown.frame, canvas);
  if (!shown.row?.faces.length || !width) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawFaces(context, shown.row, { width, height, ...shown });
}

function drawPicture(context, source, { width, height }) {
  context.save();
  if (shown.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(source, 0, 0, width, height);
  context.restore();
}

new ResizeObserver(redraw).observe(stage);

/** A copy of what is on the stage, in the picture's own size, as a PNG blob; of the webcam the frame of now. */
export function annotatedCopy() {
  const source = video.hidden ? picture : video;
  const [width, height] = [source.naturalWidth || source.videoWidth, source.naturalHeight || source.videoHeight];
  if (!width) return null; // a webcam that has not given a picture yet
  const longer = Math.max(width, height);
  const scale = Math.min(1, LARGEST_COPY / longer) * Math.max(1, Math.ceil(SMALLEST_COPY / longer));
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = copy.getContext("2d");
  drawPicture(context, shown.frame ?? source, copy);
  if (!heat.hidden) {
    context.globalAlpha = Number(getComputedStyle(heat).opacity);
    context.drawImage(heat, 0, 0, copy.width, copy.height);
    context.globalAlpha = 1;
  }
  // Lines and text as large as on a screen on which the picture is 900 units wide or high.
  const unit = Math.max(1, Math.max(copy.width, copy.height) / 900);
  context.scale(unit, unit);
  if (shown.row?.faces.length) {
    const size = { width: copy.width / unit, height: copy.height / unit };
    drawFaces(context, shown.row, { ...shown, ...size, highlight: -1, whole: true });
  }
  return new Promise((done) => copy.toBlob(done, "image/png"));
}
