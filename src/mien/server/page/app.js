// Connect the parts of the page: user actions in, changes of what is shown out.

import { connect } from "./connection.js";
import { askConsent, setNotice } from "./consent.js";
import { csvText } from "./csv.js";
import { announce, byId, setText, show } from "./dom.js";
import { saveText } from "./download.js";
import { onDrop } from "./drop.js";
import { MOST } from "./kept-rows.js";
import { addFiles, album, photos, predictAgain, removePhoto, rows, setMaxBytes, startAfter } from "./photos.js";
import { detectsFaces, loadModels, settings } from "./settings.js";
import { cameraErrorText, counted, rowText } from "./text.js";
import { markShown, onChoosePhoto } from "./thumbnails.js";
import { current, leavePhotos, view } from "./viewer.js";
import { listCameras, openWebcamStream, requireCameras } from "./webcam.js";

let live = null;
let opening = false;

// --- layout -----------------------------------------------------------------------------------------------------------

function arrange() {
  const any = Boolean(live || photos.length);
  document.body.dataset.mode = live ? "live" : any ? "photos" : "empty";
  show(byId("result"), any);
  show(byId("stats"), Boolean(live));
  show(byId("snapshot"), Boolean(live));
  show(byId("remove"), !live);
  show(byId("csv"), any);
  byId("csv").title = live ? `The latest ${MOST.toLocaleString("en")} frames` : "";
  show(byId("clear"), photos.length > 0 && !live);
  setText(byId("webcam"), live ? "Close the webcam" : "Open the webcam");
  setText(byId("choose"), photos.length ? "Add photos" : "Choose photos");
  markShown(live ? null : current);
}

function showPhoto(photo) {
  live?.end();
  showAlert("");
  view(photo);
  arrange();
}

function showAlert(text) {
  const element = byId("alert");
  if (show(element, Boolean(text))) setText(element, text);
}

// --- photos --------------------------------------------------------------------------------------------------------

function addPhotos(files, fromClipboard = false) {
  if (!files.length) return;
  live?.end();
  showAlert("");
  const [first] = addFiles(files, fromClipboard);
  view(first);
  arrange();
}

function announceResults() {
  arrange();
  const done = photos.filter((photo) => photo.row || photo.error);
  if (live || !done.length) return;
  if (done.length === 1) announce(`${done[0].name}: ${done[0].row ? rowText(done[0].row) : done[0].error}`);
  else {
    const found = done.filter((photo) => photo.row?.faces.length).length;
    announce(`${counted(done.length, "photo")} done${detectsFaces() ? `, ${found} with faces` : ""}`);
  }
}

onChoosePhoto(showPhoto);
album.addEventListener("changed", ({ photo }) => photo === current && view(photo));
album.addEventListener("removed", () => requestAnimationFrame(arrange));
album.addEventListener("finished", announceResults);
settings.addEventListener("change", () => {
  if (live) live.connect();
  predictAgain();
});
onDrop(addPhotos, showAlert);
byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  addPhotos([...event.target.files]);
  event.target.value = ""; // lets the user choose the same file again
});
byId("clear").addEventListener("click", () => {
  view(null);
  [...photos].forEach(removePhoto);
  arrange();
  byId("choose").focus();
});
byId("csv").addEventListener("click", async () => {
  if (live) saveText(csvText(await live.rows.all(), true), "webcam-mien.csv", "text/csv");
  else saveText(csvText(rows()), "photos-mien.csv", "text/csv");
});

// --- the webcam ----------------------------------------------------------------------------------------------------

async function openWebcam(deviceId = "") {
  if (opening) return;
  opening = true;
  showAlert("");
  try {
    await ready;
    requireCameras();
    // Who changes the camera has agreed already.
    if (!live && !(await askConsent())) return;
    live?.end();
    leavePhotos();
    live = await openWebcamStream(deviceId, onWebcamEnd);
    setText(byId("title"), "Webcam");
    setText(byId("faces-title"), detectsFaces() ? "Faces" : "Whole image");
    arrange();
    announce("The webcam is open.");
    await offerCameras();
  } catch (error) {
    view(photos.at(-1) ?? null);
    arrange();
    showAlert(cameraErrorText(error));
  } finally {
    opening = false;
  }
}

function onWebcamEnd(text) {
  live = null;
  show(byId("camera-field"), false);
  view(photos.at(-1) ?? null);
  arrange();
  showAlert(text);
}

async function offerCameras() {
  const found = await listCameras();
  const choice = byId("camera");
  choice.replaceChildren(...found.map((camera, n) => new Option(camera.label || `Camera ${n + 1}`, camera.deviceId)));
  choice.value = live?.track.getSettings().deviceId ?? "";
  show(byId("camera-field"), Boolean(live) && found.length > 1);
}

byId("webcam").addEventListener("click", () => (live ? live.end() : openWebcam()));
byId("camera").addEventListener("change", (event) => openWebcam(event.target.value));
byId("snapshot").addEventListener("click", async () => {
  const frame = await live?.snapshot();
  if (frame) addPhotos([frame]);
});

// --- what computes the answers -------------------------------------------------------------------------------------

let ready = null;
function start() {
  ready = connect(async ({ maxBytes, notice }) => {
    setMaxBytes(maxBytes);
    setNotice(notice);
    await loadModels();
  }, retry);
  startAfter(ready);
  ready.catch(() => {}); // `connect` has said so
}

function retry() {
  start();
  predictAgain();
}

arrange();
start();
