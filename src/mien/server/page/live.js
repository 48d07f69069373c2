// The webcam: frames to the server as fast as it answers, boxes over the picture, the last minute below.

import { announce, byId, setText, show } from "./dom.js";
import { colourOf, query } from "./settings.js";
import * as stage from "./stage.js";
import { Stream } from "./stream.js";
import { Timeline, showTimeline } from "./timeline.js";
import { faceWords, problemWords, rowWords } from "./words.js";
import { cards } from "./viewer.js";

const SIDES = [640, 480, 320]; // pixels of the longer side of what is sent, the largest first
const SLOW = 400; // milliseconds there and back, above which frames become smaller
const LATE = 150; // milliseconds there and back, above which the frame that was read is shown, not the one of now
const KEPT = 36_000; // rows that are kept for the CSV
const STEADY = 1200; // milliseconds that an answer must last before it is said aloud
const CARDS_EVERY = 100; // milliseconds

/** A running webcam. Make it with `openLive`. */
export class Live {
  /** `onEnd(text)` is called when it ends by itself, with why. */
  constructor(media, onEnd) {
    Object.assign(this, { media, onEnd, rows: [], arrivals: [], trips: [], readings: [], side: 0, busy: false, slow: 0 });
    this.canvas = document.createElement("canvas");
    this.started = performance.now();
    this.timeline = new Timeline();
    this.answers = new Map(); // person → {answer, since, said}
    this.cardsAt = 0;
    this.video = stage.showVideo();
    this.video.srcObject = media;
    this.facing = media.getVideoTracks()[0].getSettings().facingMode !== "environment";
    this.video.classList.toggle("mirror", this.facing);
    this.video.onresize = stage.fitVideo;
    this.track = media.getVideoTracks()[0];
    this.track.onended = () => this.end("The webcam was unplugged or switched off.");
    this.connect();
    stage.sayOnStage("Waiting for the first answer …");
    showTimeline(true);
    this.video.play().catch(() => {});
    this.nextFrame();
  }

  connect() {
    this.stream?.close();
    this.stream = new Stream(query(), {
      onAnswer: (answer, trip, frame) => this.answered(answer, trip, frame),
      onTooLarge: () => this.smaller(),
      onFault: (problem) => this.end(problemWords(problem)),
    });
  }

  nextFrame() {
    if (!this.media) return;
    const next = () => this.tick();
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  tick() {
    this.nextFrame();
    if (this.busy || !this.media || !this.stream.ready || !this.video.videoWidth) return;
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, SIDES[this.side] / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, width, height);
    this.busy = true;
    const kept = createImageBitmap(this.canvas);
    this.canvas.toBlob(async (blob) => {
      const frame = await kept;
      this.busy = false;
      if (!blob || !this.media || !this.stream.send(blob, frame)) frame.close();
    }, "image/jpeg", 0.8);
  }

  smaller() {
    this.side = Math.min(this.side + 1, SIDES.length - 1);
    this.slow = 0;
  }

  answered({ row, milliseconds }, trip, frame) {
    if (!this.media) {
      frame?.close();
      return;
    }
    const now = performance.now();
    this.rows.push({ ...row, time: Math.round(now - this.started) / 1000, source: "webcam" });
    if (this.rows.length > KEPT) this.rows.splice(0, KEPT / 10);
    this.measure(now, trip, milliseconds);
    stage.sayOnStage(row.faces.length ? "" : "No face in the picture");
    const late = frame && trip > LATE;
    if (frame && !late) frame.close();
    stage.showRow(row, colourOf, this.facing, late ? frame : null);
    this.timeline.add(now, row.faces, colourOf);
    if (now - this.cardsAt >= CARDS_EVERY) {
      this.cardsAt = now;
      cards.update(row.faces, colourOf);
      this.say(now, row);
    }
  }

  measure(now, trip, milliseconds) {
    this.arrivals.push(now);
    while (this.arrivals[0] < now - 2000) this.arrivals.shift();
    keep(this.readings, milliseconds);
    if (trip !== null) {
      keep(this.trips, trip);
      this.slow = trip > SLOW ? this.slow + 1 : 0;
      if (this.slow > 15) this.smaller();
    }
    if (now - (this.statsAt ?? 0) < 500) return;
    this.statsAt = now;
    const span = now - this.arrivals[0];
    setText(byId("fps"), span > 300 ? (((this.arrivals.length - 1) * 1000) / span).toFixed(0) : "–");
    setText(byId("latency"), this.trips.length ? median(this.trips).toFixed(0) : "–");
    setText(byId("reading"), median(this.readings).toFixed(0));
  }

  /** Announce an answer that has changed, once it has lasted. */
  say(now, row) {
    let changed = false;
    const faces = new Map(row.faces.map((face) => [face.person ?? 1, face]));
    for (const person of this.answers.keys()) if (!faces.has(person)) this.answers.delete(person);
    for (const [person, face] of faces) {
      const known = this.answers.get(person);
      if (known?.answer !== face.answer) {
        this.answers.set(person, { answer: face.answer, since: now, said: known?.said });
      } else if (known.said !== face.answer && now - known.since > STEADY) {
        known.said = face.answer;
        changed = true;
      }
    }
    if (changed) announce(row.faces.length > 1 ? rowWords(row) : faceWords(row.faces[0]));
  }

  /** The frame of now as a file, not mirrored; null before the first one. */
  async snapshot() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width) return null;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
    return new File([blob], `webcam ${time}.jpg`, { type: "image/jpeg" });
  }

  /** End it, and say why where it was not a person's wish. */
  end(text = "") {
    if (!this.media) return;
    for (const track of this.media.getTracks()) track.stop();
    this.media = null;
    this.stream.close();
    this.video.srcObject = null;
    this.video.onresize = null;
    stage.showRow(null, colourOf);
    stage.sayOnStage("");
    cards.clear();
    showTimeline(false);
    show(this.video, false);
    this.onEnd(text);
  }
}

/** Add to the newest values that are kept. */
function keep(values, value) {
  values.push(value);
  if (values.length > 30) values.shift();
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Ask for the webcam and start; throws what the browser says where it cannot be had. */
export async function openLive(deviceId, onEnd) {
  if (!navigator.mediaDevices?.getUserMedia) throw Object.assign(new Error(), { name: "InsecureContext" });
  const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  const video = { ...wanted, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  return new Live(await navigator.mediaDevices.getUserMedia({ video, audio: false }), onEnd);
}

/** The cameras there are, once one was allowed. */
export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}
