// The photo on the stage: its answers, heatmap and errors.

import { FaceCards } from "./cards.js";
import { byId, setText, show } from "./dom.js";
import { save, stem } from "./download.js";
import { heatOf, photos, removePhoto, useCopy } from "./photos.js";
import { colourOf, detectsFaces, model, useWholeImages } from "./settings.js";
import * as stage from "./stage.js";
import { counted, problemText, rowText, unreadableText } from "./text.js";

/** The cards, for a photo or for the webcam. */
export const cards = new FaceCards(byId("faces"), stage.highlight);

const heatOn = byId("heat-on");
const heatLabel = byId("heat-label");

/** The photo on the stage, or null. */
export let current = null;
let showable = true; // whether the browser can show its format

/** Show a photo, or show it again after a change. null clears the stage. */
export function view(photo) {
  if (photo !== current) {
    cards.clear();
    stage.showRow(null, colourOf);
  }
  current = photo;
  if (!photo) return;
  setText(byId("title"), photo.name);
  byId("title").title = photo.name;
  paint(photo);
}

async function paint(photo) {
  const described = `${photo.name}: ${photo.row ? rowText(photo.row) : photo.error || "in progress"}`;
  if (photo.row?.status === "unreadable" || photo.state === "failed") showable = false;
  else showable = await stage.showImage(photo.url, described);
  const mayCopy = photo.state === "done" && photo.row.status !== "unreadable";
  if (!showable && mayCopy && (await useCopy(photo)) && photo === current) {
    showable = await stage.showImage(photo.url, described);
  }
  if (photo !== current) return;
  const { row } = photo; // read last: the answer may have come while the image was shown
  if (!showable) stage.showBlank(row?.width, row?.height);
  stage.showRow(row, colourOf);
  stage.showNote(stageNote(photo));
  cards.update(row?.faces ?? [], colourOf);
  const waiting = photo.state === "waiting" || photo.state === "running";
  setText(byId("faces-title"), waiting ? "Working …" : foundText(row));
  showFacesNote(photo);
  show(byId("png"), showable && Boolean(row));
  offerHeat(photo);
  await showHeat(photo);
}

function foundText(row) {
  if (row && !row.detect) return row.faces.length ? "Whole image" : "No answer";
  return row?.faces.length ? counted(row.faces.length, "face") : "No faces";
}

function stageNote(photo) {
  if (photo.state === "failed" || photo.row?.status === "unreadable") return "No image";
  return showable ? "" : "This browser cannot show files of this kind. The answers are in the list.";
}

function showFacesNote(photo) {
  const { row, error } = photo;
  let text = error;
  if (row?.status === "unreadable") text = unreadableText(row);
  if (row?.status === "no_face") {
    text = "No face was found. It may be too small, covered, or turned away.";
    if (detectsFaces()) text += " If the image is already a cropped face, use the whole image.";
  }
  if (show(byId("faces-note"), Boolean(text))) setText(byId("faces-note-text"), text);
  const button = byId("faces-note-button");
  if (show(button, row?.status === "no_face" && detectsFaces())) setText(button, "Use whole images");
}

function offerHeat(photo) {
  const possible = showable && Boolean(photo.row?.faces.length) && model.explains;
  show(byId("heat-field"), possible);
  const labels = Object.keys(photo.row?.faces[0]?.expressions ?? photo.row?.faces[0]?.probabilities ?? {});
  const wanted = ["", ...labels];
  if (wanted.join() !== [...heatLabel.options].map((option) => option.value).join()) {
    heatLabel.replaceChildren(...wanted.map((label) => new Option(label || "the answer", label)));
  }
  show(byId("heat-label-field"), possible && heatOn.checked);
}

async function showHeat(photo) {
  const wanted = heatOn.checked && !byId("heat-field").hidden;
  const label = heatLabel.value;
  show(byId("heat-legend"), wanted);
  if (!wanted) {
    stage.hideHeat();
    return;
  }
  setText(byId("heat-text"), "Working …");
  try {
    const url = await heatOf(photo, label);
    if (!url || photo !== current || !heatOn.checked || label !== heatLabel.value) return;
    stage.showHeat(url);
    setText(byId("heat-text"), `Bright: evidence for ${label ? `“${label}”` : photo.row.detect ? "each face's answer" : "the answer"}`);
  } catch (error) {
    if (photo === current) setText(byId("heat-text"), `No heatmap: ${problemText(error)}`);
  }
}

/** Hide the controls of photos, for the webcam. */
export function leavePhotos() {
  view(null);
  for (const id of ["heat-field", "heat-label-field", "heat-legend", "faces-note", "remove"]) show(byId(id), false);
  show(byId("png"), true);
  byId("title").title = "";
}

heatOn.addEventListener("change", () => current && paint(current));
heatLabel.addEventListener("change", () => current && paint(current));
byId("faces-note-button").addEventListener("click", useWholeImages);
byId("remove").addEventListener("click", () => {
  const place = photos.indexOf(current);
  removePhoto(current);
  view(photos[Math.min(place, photos.length - 1)] ?? null);
  byId("result").focus();
});
byId("png").addEventListener("click", async () => {
  const name = current ? stem(current.name) : "webcam";
  const copy = await stage.annotatedCopy();
  if (copy) save(copy, `${name}-mien.png`);
});
