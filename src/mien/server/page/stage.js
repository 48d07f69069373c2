// The stage: a photo or the webcam, with the heatmap, boxes and answers over it.

import { byId, setText, show } from "./dom.js";
import { drawFaces } from "./draw.js";

const stage = byId("stage");
const image = byId("photo");
const video = byId("video");
const heat = byId("heat");
const canvas = byId("boxes");
const note = byId("stage-note");
const MAX_COPY = 4096; // longest side of a saved copy in pixels: browsers limit the size of a canvas
const MIN_COPY = 320; // a smaller image is enlarged to make room for text

let shown = { row: null, colourOf: null, mirror: false, highlight: -1, frame: null };

/** Give the stage the aspect ratio of an image of this size in pixels. */
function setShape(width, height) {
  stage.style.setProperty("--ratio", String(width / height));
  stage.style.setProperty("--natural", String(width));
}

/** Show an image from a URL once it is decoded. Return whether the browser can show it. */
export async function showImage(url, description) {
  show(video, false);
  hideHeat();
  image.alt = description;
  if (image.src !== url) {
    image.src = url;
    shown.row = null;
    redraw();
  }
  try {
    await image.decode();
  } catch {
    if (image.src !== url) return true; // another image is shown by now
    show(image, false);
    return false;
  }
  if (image.src === url) {
    setShape(image.naturalWidth, image.naturalHeight);
    show(image, true);
    redraw();
  }
  return true;
}

/** Show an empty stage of this size, for an image that the browser cannot show. */
export function showBlank(width, height) {
  show(image, false);
  setShape(width || 4, height || 3);
}

/** Show the webcam. Return the video element. */
export function showVideo() {
  show(image, false);
  hideHeat();
  image.removeAttribute("src");
  show(video, true);
  return video;
}

/** Give the stage the aspect ratio of the webcam. */
export const fitVideo = () => setShape(video.videoWidth || 4, video.videoHeight || 3);

/**
 * Draw the faces of a row; null draws nothing. A `frame` (ImageBitmap) is drawn below them, over a video that has
 * moved on.
 */
export function showRow(row, colourOf, mirror = false, frame = null) {
  if (shown.frame !== frame) shown.frame?.close();
  shown = { ...shown, row, colourOf, mirror, frame };
  redraw();
}

/** Highlight one face; -1 is none. */
export function highlight(number) {
  if (shown.highlight === number) return;
  shown.highlight = number;
  redraw();
}

/** Show text in the middle of the stage; "" hides it. */
export function showNote(text) {
  if (show(note, Boolean(text))) setText(note, text);
}

/** Show a heatmap over the image. */
export function showHeat(url) {
  heat.src = url;
  show(heat, true);
}

/** Hide the heatmap. */
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
  if (shown.frame) drawSource(context, shown.frame, canvas);
  if (!shown.row?.faces.length || !width) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawFaces(context, shown.row, { width, height, ...shown });
}

function drawSource(context, source, { width, height }) {
  context.save();
  if (shown.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
  context.drawImage(source, 0, 0, width, height);
  context.restore();
}

new ResizeObserver(redraw).observe(stage);

/** Return a PNG blob of the stage in the size of the image; of the webcam, its current frame. */
export function annotatedCopy() {
  const source = video.hidden ? image : video;
  const [width, height] = [source.naturalWidth || source.videoWidth, source.naturalHeight || source.videoHeight];
  if (!width) return null; // the webcam has no frame yet
  const longer = Math.max(width, height);
  const scale = Math.min(1, MAX_COPY / longer) * Math.max(1, Math.ceil(MIN_COPY / longer));
  const copy = document.createElement("canvas");
  Object.assign(copy, { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = copy.getContext("2d");
  drawSource(context, shown.frame ?? source, copy);
  if (!heat.hidden) {
    context.globalAlpha = Number(getComputedStyle(heat).opacity);
    context.drawImage(heat, 0, 0, copy.width, copy.height);
    context.globalAlpha = 1;
  }
  // Draw lines and text as large as on a screen where the longest side has 900 units.
  const unit = Math.max(1, Math.max(copy.width, copy.height) / 900);
  context.scale(unit, unit);
  if (shown.row?.faces.length) {
    const size = { width: copy.width / unit, height: copy.height / unit };
    drawFaces(context, shown.row, { ...shown, ...size, highlight: -1, fullLabels: true });
  }
  return new Promise((done) => copy.toBlob(done, "image/png"));
}
