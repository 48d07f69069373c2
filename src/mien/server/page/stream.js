// The WebSocket: send frames, receive answers, reconnect if it breaks.

import { BASE, currentKey, needKey, setReady, whenFree, whenReachable } from "./api.js";

const ANSWER_TIMEOUT = 8000; // milliseconds to wait for an answer before reconnecting
const PERMANENT = ["unknown_model", "bad_parameter", "forbidden_origin", "forbidden_host"];

/**
 * A stream for the `choice` of settings. `onAnswer(answer, milliseconds, frame)` gets each answer, its round trip, and
 * its frame (both null for an unknown frame). `onTooLarge()` should make frames smaller. `onProblem(problem)` gets a
 * problem that a new connection would not solve.
 */
export class Stream {
  constructor(choice, { onAnswer, onTooLarge, onProblem }) {
    Object.assign(this, { onAnswer, onTooLarge, onProblem, closed: false, tries: 0, socket: null });
    this.url = new URL("v1/stream", BASE);
    this.url.protocol = BASE.protocol === "https:" ? "wss:" : "ws:";
    for (const [name, value] of Object.entries(choice)) if (value) this.url.searchParams.set(name, value);
    this.open();
  }

  open() {
    if (this.closed) return;
    this.dropFrames();
    this.count = 0;
    this.limit = 1;
    this.steady = 0;
    this.problem = null;
    this.used = currentKey();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.used && socket.send(JSON.stringify({ key: this.used }));
    socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.socket && this.onClose(event);
  }

  /** Whether to send a frame now: at most one or two are unanswered at a time. */
  get ready() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.problem) return false;
    const [oldest] = this.sent.values();
    if (oldest && performance.now() - oldest.time > ANSWER_TIMEOUT) this.socket.close();
    return this.sent.size < this.limit;
  }

  /** Return the pixels of a canvas as they are sent: a JPEG Blob, or null. */
  encode(canvas) {
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
  }

  /** Send a JPEG Blob and keep its `frame` (ImageBitmap) until the answer. Return whether it was sent. */
  send(blob, frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.count += 1;
    this.sent.set(this.count, { time: performance.now(), frame });
    this.socket.send(blob);
    return true;
  }

  /** Drop all unanswered frames. */
  dropFrames() {
    for (const { frame } of this.sent?.values() ?? []) frame.close();
    this.sent = new Map(); // number of a frame → {time, frame}
  }

  receive(answer) {
    if (this.closed) return; // an answer for earlier settings
    if (answer.row === undefined) {
      this.problem = answer;
      return;
    }
    const sent = this.sent.get(answer.frame);
    for (const [number, { frame }] of this.sent) {
      if (number < answer.frame) frame.close();
      if (number <= answer.frame) this.sent.delete(number);
    }
    this.tries = 0;
    setReady();
    // The server dropped frames: send one at a time until it has kept up for a while.
    this.steady = answer.dropped ? 0 : this.steady + 1;
    this.limit = this.steady > 10 ? 2 : 1;
    this.onAnswer(answer, sent ? performance.now() - sent.time : null, sent?.frame ?? null);
  }

  async onClose(event) {
    if (this.closed) return;
    const code = this.problem?.code;
    this.dropFrames();
    if (PERMANENT.includes(code)) {
      this.close();
      this.onProblem(this.problem);
      return;
    }
    this.tries += 1;
    // A hidden page sends no frames, so the server closes the stream. Reconnect when the page is visible again.
    while (document.hidden) await visibilityChange();
    if (code === "unauthorized") {
      if (currentKey() === this.used && !(await needKey(Boolean(this.used)))) {
        this.close();
        this.onProblem(this.problem);
        return;
      }
    } else if (code === "busy") await whenFree(this.tries);
    else if (event.code === 1009 || code === "too_large" || code === "too_many_pixels") this.onTooLarge();
    else if (code !== "timeout") await whenReachable();
    // The server answers but keeps closing the stream: wait before the next try.
    if (this.tries > 2) await new Promise((done) => setTimeout(done, Math.min(10_000, 250 * 2 ** this.tries)));
    this.open();
  }

  close() {
    this.closed = true;
    this.dropFrames();
    this.socket?.close(1000);
  }
}

const visibilityChange = () => new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
