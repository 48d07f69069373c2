// One photo on the stage: its answers, its heatmap, its faults.

import { byId, setText, show } from "./dom.js";
import { FaceCards } from "./faces.js";
import { heatOf, photos, removePhoto } from "./photos.js";
import { save, stem } from "./save.js";
import { colourOf, looksForFaces, model, readWhole } from "./settings.js";
import * as stage from "./stage.js";
import { counted, problemWords, rowWords, unreadableWords } from "./words.js";

/** The cards, of a photo or of the webcam. */
export const cards = new FaceCards(byId("faces"), stage.highlight);

const heatOn = byId("heat-on");
const heatLabel = byId("heat-label");

/** The photo on the stage; null where there is none. */
export let current = null;
let showable = true; // whether the browser can show it

/** Show a photo, or after a change show it anew; null leaves the stage to others. */
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
  const { row } = photo;
  const described = `${photo.name}: ${row ? rowWords(row) : photo.fault || "being read"}`;
  if (row?.status === "unreadable" || photo.state === "failed") showable = false;
  else showable = await stage.showPicture(photo.url, described);
  if (photo !== current) return;
  if (!showable) stage.showBlank(row?.width, row?.height);
  stage.showRow(row, colourOf);
  stage.sayOnStage(noteOnStage(photo));
  cards.update(row?.faces ?? [], colourOf);
  const waiting = photo.state === "waiting" || photo.state === "reading";
  const found = row?.faces.length ? counted(row.faces.length, "face") : "No faces";
  setText(byId("faces-title"), waiting ? "Reading …" : found);
  noteBeside(photo);
  show(byId("png"), showable && Boolean(row));
  offerHeat(photo);
  await showHeat(photo);
}

function noteOnStage(photo) {
  if (photo.state === "failed" || photo.row?.status === "unreadable") return "No picture";
  return showable ? "" : "This browser cannot show files of this kind; what was read stands beside.";
}

function noteBeside(photo) {
  const { row, fault } = photo;
  let text = fault;
  if (row?.status === "unreadable") text = unreadableWords(row);
  if (row?.status === "no_face") {
    text = "No face was found. It may be too small, covered, or turned away.";
    if (looksForFaces()) text += " If the picture is a face already cut out, read the whole picture.";
  }
  if (show(byId("faces-note"), Boolean(text))) setText(byId("faces-note-text"), text);
  const button = byId("faces-note-button");
  if (show(button, row?.status === "no_face" && looksForFaces())) setText(button, "Read whole pictures");
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
  setText(byId("heat-text"), "looking …");
  try {
    const url = await heatOf(photo, label);
    if (!url || photo !== current || !heatOn.checked || label !== heatLabel.value) return;
    stage.showHeat(url);
    setText(byId("heat-text"), `bright: what speaks for ${label ? `“${label}”` : "each face's answer"}`);
  } catch (error) {
    if (photo === current) setText(byId("heat-text"), `No heatmap: ${problemWords(error)}`);
  }
}

/** Hide what belongs to photos, for the webcam. */
export function leavePhotos() {
  view(null);
  for (const id of ["heat-field", "heat-label-field", "heat-legend", "faces-note", "remove"]) show(byId(id), false);
  show(byId("png"), true);
  byId("title").title = "";
}

heatOn.addEventListener("change", () => current && paint(current));
heatLabel.addEventListener("change", () => current && paint(current));
byId("faces-note-button").addEventListener("click", readWhole);
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
