// Connect the parts of the page: user actions in, changes of what is shown out.

import { Problem, currentKey, getJson, needKey, onKeyNeeded, retryNow, server } from "./api.js";
import { csvText } from "./csv.js";
import { announce, byId, setText, show } from "./dom.js";
import { saveText } from "./download.js";
import { onDrop } from "./drop.js";
import { askKey } from "./key-dialog.js";
import { addFiles, album, setMaxBytes, photos, predictAgain, removePhoto, rows, startAfter } from "./photos.js";
import { detectsFaces, loadModels, settings } from "./settings.js";
import { cameraErrorText, counted, rowText } from "./text.js";
import { markShown, onChoosePhoto } from "./thumbnails.js";
import { current, leavePhotos, view } from "./viewer.js";
import { listCameras, openWebcamStream } from "./webcam.js";

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
byId("csv").addEventListener("click", () => {
  const text = live ? csvText(live.rows, true) : csvText(rows());
  saveText(text, live ? "webcam-mien.csv" : "photos-mien.csv", "text/csv");
});

// --- the webcam ----------------------------------------------------------------------------------------------------

async function openWebcam(deviceId = "") {
  if (opening) return;
  opening = true;
  showAlert("");
  live?.end();
  try {
    await ready;
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

// --- the connection ------------------------------------------------------------------------------------------------

let countdown = 0;
server.addEventListener("state", ({ state, seconds, before }) => {
  clearInterval(countdown);
  if (!show(byId("banner"), state !== "ready")) {
    if (before === "unreachable") announce("The server is back.");
    return;
  }
  const unreachable = state === "unreachable";
  const text = unreachable ? "The server does not answer." : "The server is busy. Retrying automatically.";
  if (state !== before) announce(unreachable ? `${text} Trying again until it does.` : text);
  setText(byId("banner-text"), text);
  byId("banner").dataset.state = state;
  if (show(byId("banner-button"), unreachable)) setText(byId("banner-button"), "Try now");
  const until = performance.now() + 1000 * seconds;
  const count = () => {
    const left = Math.max(1, Math.ceil((until - performance.now()) / 1000));
    setText(byId("banner-count"), unreachable ? `Next try in ${left} s.` : "");
  };
  count();
  countdown = setInterval(count, 500);
});

onKeyNeeded(askKey);

async function connect() {
  const config = await getJson("v1/config");
  setMaxBytes(config.limits?.body_bytes);
  const open = !config.auth || currentKey() || (await needKey(false));
  if (!open) throw new Problem({ code: "unauthorized" });
  await loadModels();
}

const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
if (!local) setText(byId("where"), `Images go to ${location.hostname} and are not stored there.`);

let ready = null;
function start() {
  ready = connect();
  startAfter(ready);
  ready.catch(showConnectError);
}

function showConnectError(error) {
  byId("banner").dataset.state = "key";
  show(byId("banner"), true);
  const key = error.code === "unauthorized";
  const text = key ? "This server needs an API key." : `The page cannot use this server: ${error.message}`;
  announce(text);
  setText(byId("banner-text"), text);
  setText(byId("banner-count"), "");
  if (show(byId("banner-button"), key)) setText(byId("banner-button"), "Enter the key");
}

byId("banner-button").addEventListener("click", () => {
  if (byId("banner").dataset.state !== "key") {
    retryNow();
    return;
  }
  show(byId("banner"), false);
  start();
  predictAgain();
});

arrange();
start();
