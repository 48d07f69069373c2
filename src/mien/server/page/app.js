// The page: what a person does, and what is shown for it.

import { Problem, currentKey, getJson, hurry, needKey, onAsk, server } from "./api.js";
import { csvText } from "./csv.js";
import { announce, byId, setText, show } from "./dom.js";
import { keepDrops } from "./drops.js";
import { askKey } from "./key.js";
import { cameras, openLive } from "./live.js";
import { addFiles, album, limitTo, photos, readAgain, removePhoto, rows, startAfter } from "./photos.js";
import { saveText } from "./save.js";
import { loadModels, settings } from "./settings.js";
import { keepStrip, markShown } from "./strip.js";
import { current, leavePhotos, view } from "./viewer.js";
import { cameraWords, counted, rowWords } from "./words.js";

let live = null;
let opening = false;

// --- what is shown -------------------------------------------------------------------------------------------------

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

function choose(photo) {
  live?.end();
  trouble("");
  view(photo);
  arrange();
}

function trouble(text) {
  const element = byId("trouble");
  if (show(element, Boolean(text))) setText(element, text);
}

// --- photos --------------------------------------------------------------------------------------------------------

function take(files, fromClipboard = false) {
  if (!files.length) return;
  live?.end();
  trouble("");
  const [first] = addFiles(files, fromClipboard);
  view(first);
  arrange();
}

function finished() {
  arrange();
  const done = photos.filter((photo) => photo.row || photo.fault);
  if (live || !done.length) return;
  if (done.length === 1) announce(`${done[0].name}: ${done[0].row ? rowWords(done[0].row) : done[0].fault}`);
  else {
    const found = done.filter((photo) => photo.row?.faces.length).length;
    announce(`${counted(done.length, "picture")} read, ${found} with faces`);
  }
}

keepStrip(choose);
album.addEventListener("changed", ({ photo }) => photo === current && view(photo));
album.addEventListener("removed", () => requestAnimationFrame(arrange));
album.addEventListener("finished", finished);
settings.addEventListener("change", () => {
  if (live) live.connect();
  readAgain();
});
keepDrops(take, trouble);
byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = ""; // so that the same file can be chosen again
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
  trouble("");
  live?.end();
  try {
    await ready;
    leavePhotos();
    live = await openLive(deviceId, ended);
    setText(byId("title"), "Webcam");
    setText(byId("faces-title"), "Faces");
    arrange();
    announce("The webcam is open.");
    await offerCameras();
  } catch (error) {
    view(photos.at(-1) ?? null);
    arrange();
    trouble(cameraWords(error));
  } finally {
    opening = false;
  }
}

function ended(text) {
  live = null;
  show(byId("camera-field"), false);
  view(photos.at(-1) ?? null);
  arrange();
  trouble(text);
}

async function offerCameras() {
  const found = await cameras();
  const choice = byId("camera");
  choice.replaceChildren(...found.map((camera, n) => new Option(camera.label || `Camera ${n + 1}`, camera.deviceId)));
  choice.value = live?.track.getSettings().deviceId ?? "";
  show(byId("camera-field"), Boolean(live) && found.length > 1);
}

byId("webcam").addEventListener("click", () => (live ? live.end() : openWebcam()));
byId("camera").addEventListener("change", (event) => openWebcam(event.target.value));
byId("snapshot").addEventListener("click", async () => {
  const frame = await live?.snapshot();
  if (frame) take([frame]);
});

// --- the connection ------------------------------------------------------------------------------------------------

let countdown = 0;
server.addEventListener("state", ({ state, seconds, before }) => {
  clearInterval(countdown);
  if (!show(byId("banner"), state !== "ready")) {
    if (before === "gone") announce("The server is back.");
    return;
  }
  const gone = state === "gone";
  const text = gone ? "The server does not answer." : "The server is busy; this goes on by itself.";
  if (state !== before) announce(gone ? `${text} Trying again until it does.` : text);
  setText(byId("banner-text"), text);
  byId("banner").dataset.state = state;
  if (show(byId("banner-button"), gone)) setText(byId("banner-button"), "Try now");
  const until = performance.now() + 1000 * seconds;
  const count = () => {
    const left = Math.max(1, Math.ceil((until - performance.now()) / 1000));
    setText(byId("banner-count"), gone ? `Next try in ${left} s.` : "");
  };
  count();
  countdown = setInterval(count, 500);
});

onAsk(askKey);

async function start() {
  const config = await getJson("v1/config");
  limitTo(config.limits?.body_bytes);
  const open = !config.auth || currentKey() || (await needKey(false));
  if (!open) throw new Problem({ code: "unauthorized" });
  await loadModels();
}

const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
if (!local) setText(byId("where"), `Pictures go to ${location.hostname} and are not kept there.`);

let ready = null;
function begin() {
  ready = start();
  startAfter(ready);
  ready.catch(refused);
}

function refused(error) {
  byId("banner").dataset.state = "key";
  show(byId("banner"), true);
  const key = error.code === "unauthorized";
  const text = key ? "This server asks for a key." : `The server does not do what this page needs: ${error.message}`;
  announce(text);
  setText(byId("banner-text"), text);
  setText(byId("banner-count"), "");
  if (show(byId("banner-button"), key)) setText(byId("banner-button"), "Enter the key");
}

byId("banner-button").addEventListener("click", () => {
  if (byId("banner").dataset.state !== "key") {
    hurry();
    return;
  }
  show(byId("banner"), false);
  begin();
  readAgain();
});

arrange();
begin();
