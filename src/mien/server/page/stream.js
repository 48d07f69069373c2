// A stream of frames to the server and of answers back, which opens again where it breaks.

import { BASE, allWell, currentKey, needKey, whenBack, whenFree } from "./api.js";

const PATIENCE = 8000; // milliseconds without an answer to a frame, after which the connection is given up
const LASTING = ["unknown_model", "bad_parameter", "forbidden_origin", "forbidden_host"];

/**
 * Open it with the query's parameters. `onAnswer(answer, milliseconds, frame)` gets each answer, how long it took
 * there and back, and the frame that was kept with it (or null, twice); `onTooLarge()` is to make frames smaller;
 * `onFault(problem)` gets what trying again does not mend.
 */
export class Stream {
  constructor(query, { onAnswer, onTooLarge, onFault }) {
    Object.assign(this, { onAnswer, onTooLarge, onFault, closed: false, tries: 0, socket: null });
    this.url = new URL("v1/stream", BASE);
    this.url.protocol = BASE.protocol === "https:" ? "wss:" : "ws:";
    for (const [name, value] of Object.entries(query)) if (value) this.url.searchParams.set(name, value);
    this.open();
  }

  open() {
    if (this.closed) return;
    this.forget();
    this.count = 0;
    this.limit = 1;
    this.calm = 0;
    this.problem = null;
    this.used = currentKey();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.used && socket.send(JSON.stringify({ key: this.used }));
    socket.onmessage = (event) => this.read(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.socket && this.broken(event);
  }

  /** Whether a frame would be taken now: one or two are on their way at a time. */
  get ready() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.problem) return false;
    const [oldest] = this.sent.values();
    if (oldest && performance.now() - oldest.time > PATIENCE) this.socket.close();
    return this.sent.size < this.limit;
  }

  /** Send a Blob of JPEG, and keep its `frame` (ImageBitmap) until the answer; returns whether it was sent. */
  send(blob, frame) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.count += 1;
    this.sent.set(this.count, { time: performance.now(), frame });
    this.socket.send(blob);
    return true;
  }

  /** Forget the frames that are on their way. */
  forget() {
    for (const { frame } of this.sent?.values() ?? []) frame.close();
    this.sent = new Map(); // number of a frame → when it was sent, and the frame
  }

  read(answer) {
    if (this.closed) return; // one that was on its way when other settings were chosen
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
    allWell();
    // Frames that the server passed over were sent in vain: one at a time, until all is calm again.
    this.calm = answer.dropped ? 0 : this.calm + 1;
    this.limit = this.calm > 10 ? 2 : 1;
    this.onAnswer(answer, sent ? performance.now() - sent.time : null, sent?.frame ?? null);
  }

  async broken(event) {
    if (this.closed) return;
    const code = this.problem?.code;
    this.forget();
    if (LASTING.includes(code)) {
      this.close();
      this.onFault(this.problem);
      return;
    }
    this.tries += 1;
    // A hidden page sends nothing, so the server ends the stream after a while: go on when it is seen again.
    while (document.hidden) await seen();
    if (code === "unauthorized") {
      if (currentKey() === this.used && !(await needKey(Boolean(this.used)))) {
        this.close();
        this.onFault(this.problem);
        return;
      }
    } else if (code === "busy") await whenFree(this.tries);
    else if (event.code === 1009 || code === "too_large" || code === "too_many_pixels") this.onTooLarge();
    else if (code !== "timeout") await whenBack();
    // A server that lives but does not keep the stream is not asked without pause.
    if (this.tries > 2) await new Promise((done) => setTimeout(done, Math.min(10_000, 250 * 2 ** this.tries)));
    this.open();
  }

  close() {
    this.closed = true;
    this.forget();
    this.socket?.close(1000);
  }
}

const seen = () => new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
