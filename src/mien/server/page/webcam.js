// The webcam: send frames as fast as they are answered, draw boxes over the video, fill the timeline.

import { Stream } from "./backend.js";
import { announce, byId, setText, show } from "./dom.js";
import { KeptRows } from "./kept-rows.js";
import { choice, colourOf } from "./settings.js";
import * as stage from "./stage.js";
import { faceText, problemText, rowText } from "./text.js";
import { Timeline, showTimeline } from "./timeline.js";
import { cards } from "./viewer.js";

const SIDES = [640, 480, 320]; // longest side of a sent frame in pixels, largest first
const SLOW = 400; // round trip in milliseconds above which frames become smaller
const LATE = 150; // round trip in milliseconds above which the answered frame is shown, not the live video
const STEADY = 1200; // milliseconds that an answer must last before it is announced
const CARD_INTERVAL = 100; // milliseconds between updates of the cards

/** A running webcam. Made by `openWebcamStream`. */
class Webcam {
  /** `onEnd(text)` is called when the webcam ends; `text` is the reason, "" if the user closed it. */
  constructor(media, onEnd) {
    Object.assign(this, { media, onEnd, rows: new KeptRows(), arrivals: [], roundTrips: [], inferenceTimes: [], side: 0, busy: false, slow: 0 });
    this.canvas = document.createElement("canvas");
    this.started = performance.now();
    this.timeline = new Timeline();
    this.answers = new Map(); // person → {answer, since, announced}
    this.cardsAt = 0;
    this.video = stage.showVideo();
    this.video.srcObject = media;
    this.facing = media.getVideoTracks()[0].getSettings().facingMode !== "environment";
    this.video.classList.toggle("mirror", this.facing);
    this.video.onresize = stage.fitVideo;
    this.track = media.getVideoTracks()[0];
    this.track.onended = () => this.end("The webcam was unplugged or switched off.");
    this.connect();
    stage.showNote("Waiting for the first answer …");
    showTimeline(true);
    this.video.play().catch(() => {});
    this.scheduleFrame();
  }

  connect() {
    this.stream?.close();
    this.stream = new Stream(choice(), {
      onAnswer: (answer, trip, frame) => this.onAnswer(answer, trip, frame),
      onTooLarge: () => this.shrinkFrames(),
      onProblem: (problem) => this.end(problemText(problem)),
    });
  }

  scheduleFrame() {
    if (!this.media) return;
    const next = () => this.sendFrame();
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  sendFrame() {
    this.scheduleFrame();
    if (this.busy || !this.media || !this.stream.ready || !this.video.videoWidth) return;
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, SIDES[this.side] / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, width, height);
    this.busy = true;
    const { stream } = this;
    Promise.all([stream.encode(this.canvas), createImageBitmap(this.canvas)]).then(([encoded, frame]) => {
      this.busy = false;
      if (!encoded || !this.media || !stream.send(encoded, frame)) frame.close();
    });
  }

  shrinkFrames() {
    this.side = Math.min(this.side + 1, SIDES.length - 1);
    this.slow = 0;
  }

  onAnswer({ row, milliseconds }, trip, frame) {
    if (!this.media) {
      frame?.close();
      return;
    }
    const now = performance.now();
    this.rows.add({ ...row, time: Math.round(now - this.started) / 1000, source: "webcam" });
    this.measure(now, trip, milliseconds);
    stage.showNote(row.faces.length ? "" : "No face in this frame");
    const late = frame && trip > LATE;
    if (frame && !late) frame.close();
    stage.showRow(row, colourOf, this.facing, late ? frame : null);
    this.timeline.add(now, row.faces, colourOf);
    if (now - this.cardsAt >= CARD_INTERVAL) {
      this.cardsAt = now;
      cards.update(row.faces, colourOf);
      this.announceChanges(now, row);
    }
  }

  measure(now, trip, milliseconds) {
    this.arrivals.push(now);
    while (this.arrivals[0] < now - 2000) this.arrivals.shift();
    pushRecent(this.inferenceTimes, milliseconds);
    if (trip !== null) {
      pushRecent(this.roundTrips, trip);
      this.slow = trip > SLOW ? this.slow + 1 : 0;
      if (this.slow > 15) this.shrinkFrames();
    }
    if (now - (this.statsAt ?? 0) < 500) return;
    this.statsAt = now;
    const span = now - this.arrivals[0];
    setText(byId("fps"), span > 300 ? (((this.arrivals.length - 1) * 1000) / span).toFixed(0) : "–");
    setText(byId("latency"), this.roundTrips.length ? median(this.roundTrips).toFixed(0) : "–");
    setText(byId("inference"), median(this.inferenceTimes).toFixed(0));
  }

  /** Announce a changed answer once it has lasted. */
  announceChanges(now, row) {
    let changed = false;
    const faces = new Map(row.faces.map((face) => [face.person ?? 1, face]));
    for (const person of this.answers.keys()) if (!faces.has(person)) this.answers.delete(person);
    for (const [person, face] of faces) {
      const known = this.answers.get(person);
      if (known?.answer !== face.answer) {
        this.answers.set(person, { answer: face.answer, since: now, announced: known?.announced });
      } else if (known.announced !== face.answer && now - known.since > STEADY) {
        known.announced = face.answer;
        changed = true;
      }
    }
    if (changed) announce(row.faces.length > 1 ? rowText(row) : faceText(row.faces[0]));
  }

  /** Return the current frame as a file, not mirrored; null before the first frame. */
  async snapshot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    return new File([blob], `webcam ${time}.jpg`, { type: "image/jpeg" });
  }

  /** Stop the webcam. `text` is the reason, "" if the user closed it. */
  end(text = "") {
    if (!this.media) return;
    for (const track of this.media.getTracks()) track.stop();
    this.media = null;
    this.stream.close();
    this.video.srcObject = null;
    this.video.onresize = null;
    stage.showRow(null, colourOf);
    stage.showNote("");
    cards.clear();
    showTimeline(false);
    show(this.video, false);
    this.onEnd(text);
  }
}

/** Add a value to the latest 30. */
function pushRecent(values, value) {
  values.push(value);
  if (values.length > 30) values.shift();
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Throw if the browser allows no page from here to use a webcam. */
export function requireCameras() {
  if (!navigator.mediaDevices?.getUserMedia) throw Object.assign(new Error(), { name: "InsecureContext" });
}

/** Ask the browser for the webcam and start it. Throws the browser's error. */
export async function openWebcamStream(deviceId, onEnd) {
  const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  const video = { ...wanted, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  return new Webcam(await navigator.mediaDevices.getUserMedia({ video, audio: false }), onEnd);
}

/** Return all cameras. Their names are known once the user has allowed one. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}
