// mien in the browser: read the facial expressions in images and video. Nothing leaves the page.
//
//     import { load } from "mien";
//     const reader = await load("models/mien-int8/");
//     const row = await reader.predict(file);

import { fetchConfig } from "./bundle.js";
import type { BundleConfig } from "./config.js";
import { answersOf, type Threshold } from "./decision.js";
import { firstLine, MienError } from "./errors.js";
import type { Call, Info, OpenOptions, Reply } from "./protocol.js";
import type { Explanation, FrameRow, Row } from "./results.js";
import { isUsable, toSource, type Source } from "./sources.js";
import { nextFrame } from "./video.js";

export { MienError, type ErrorCode } from "./errors.js";
export type { BundleConfig } from "./config.js";
export type { Threshold } from "./decision.js";
export type { Box, Explanation, Face, FrameRow, Heatmap, Point, Row } from "./results.js";
export type { Source } from "./sources.js";
export { heatLayer } from "./overlay.js";

/** How to open a model. */
export interface LoadOptions {
  /** Classify all faces of an image, largest first, or the largest alone [default: all]. */
  faces?: "all" | "largest";
  /** Find faces and classify each, or classify the whole image [default: as the bundle was trained]. */
  detect?: boolean;
  /** The probability from which a label is the answer, such as `{ sad: 0.6 }` [default: the bundle's own rule]. */
  threshold?: Threshold;
  /** Average the logits of each crop and its mirror image, in twice the time [default: as the bundle says]. */
  mirror?: boolean;
  /** Threads of the networks [default: up to 4, 1 if the page is not cross-origin isolated]. */
  threads?: number;
  /** The sha256 of the bundle's `config.json`, which holds that of the graph [default: any bundle is opened]. */
  sha256?: string;
  /** The folder of mien's own files: worker, detector, WebAssembly [default: that of this module]. */
  assets?: string | URL;
}

/** Options of `Reader.watch`. */
export interface WatchOptions {
  /** Ends the iteration. */
  signal?: AbortSignal;
  /** The name in every row [default: stream]. */
  source?: string;
}

/**
 * Open a bundle: a folder with `config.json` and `model.onnx`, such as the one of a training run.
 *
 * @param bundleUrl - address of the folder; relative ones count from the page.
 * @throws MienError - with a `code` and one clear sentence.
 */
export async function load(bundleUrl: string | URL, options: LoadOptions = {}): Promise<Reader> {
  const lacking = isUsable();
  if (lacking) throw new MienError("unsupported-browser", lacking);
  const assets = folderUrl(options.assets ?? new URL("./", import.meta.url));
  const worker = new Connection(new URL("worker.js", assets));
  try {
    const info = await worker.call<Info>({ kind: "open", options: checkedOptions(bundleUrl, assets, options) });
    return new Reader(worker, info);
  } catch (error) {
    worker.close();
    throw error;
  }
}

/** What a bundle says of itself: its config, and every possible answer. */
export type Description = Pick<Reader, "config" | "answers">;

/**
 * Fetch the config of a bundle without its graph.
 *
 * @param sha256 - of `config.json`: no other bundle is described [default: any].
 * @throws MienError - as `load` does.
 */
export async function describe(bundleUrl: string | URL, sha256: string | null = null): Promise<Description> {
  const config = await fetchConfig(folderUrl(bundleUrl), sha256);
  return { config, answers: answersOf(config.rule) };
}

/** Answers from images with one bundle; make it with `load`. */
export class Reader {
  readonly config: BundleConfig;
  /** Whether faces are looked for. */
  readonly detect: boolean;
  /** Whether each crop is averaged with its mirror image. */
  readonly mirror: boolean;
  /** Whether photographs are read whole, though nobody asked for that and the model may be one of faces. */
  readonly overlooksFaces: boolean;
  /** Every possible answer: the labels, or some of them and `neither`. */
  readonly answers: readonly string[];
  readonly #worker: Connection;
  #streams = 0;

  /** @internal */
  constructor(worker: Connection, { config, rule, detect, mirror, overlooksFaces }: Info) {
    this.#worker = worker;
    [this.config, this.detect, this.mirror, this.overlooksFaces] = [config, detect, mirror, overlooksFaces];
    this.answers = answersOf(rule);
  }

  /**
   * Classify one image. A file that cannot be decoded gives a row with status `unreadable`, one without a face a row
   * with status `no_face`.
   *
   * @param source - an image file (Blob, File), or the current pixels of an image, canvas, video, bitmap or ImageData.
   * @param name - the `source` of the row [default: the name of the file].
   */
  async predict(source: Source, name?: string): Promise<Row> {
    const taken = await toSource(source, name);
    return this.#worker.call<Row>({ kind: "predict", source: taken.data, name: taken.name }, taken.transfer);
  }

  /**
   * Classify one image and show which parts of each face are evidence for a label; for models with `config.maps`.
   *
   * @param label - one of the labels [default: the answer for each face, or its most probable label].
   */
  async explain(source: Source, label?: string, name?: string): Promise<Explanation> {
    const taken = await toSource(source, name);
    const call: Call = { kind: "explain", source: taken.data, name: taken.name, label: label ?? null };
    return this.#worker.call<Explanation>(call, taken.transfer);
  }

  /**
   * Classify the frames of a video or webcam as they are shown, track the people in them and smooth their
   * probabilities. A frame that comes while another is read is left out. Ends with the video, or if `signal` says so.
   */
  async *watch(video: HTMLVideoElement, { signal, source = "stream" }: WatchOptions = {}): AsyncGenerator<FrameRow> {
    const stream = this.stream(source);
    const onSeek = (): void => stream.cut();
    video.addEventListener("seeking", onSeek);
    try {
      while (await nextFrame(video, signal)) yield await stream.predict(video);
    } finally {
      video.removeEventListener("seeking", onSeek);
      stream.close();
    }
  }

  /** Begin a stream of frames that you take yourself; `source` is the name in every row. */
  stream(source = "stream"): FrameStream {
    return new FrameStream(this.#worker, (this.#streams += 1), source);
  }

  /** End the worker and free its memory; calls that wait are rejected. */
  close(): void {
    this.#worker.close();
  }
}

/** Frames of one video or webcam, in order: people are tracked and their probabilities smoothed. */
export class FrameStream {
  readonly #worker: Connection;
  readonly #number: number;
  readonly #source: string;
  #begin: number | null = null;
  #cut = false;

  /** @internal */
  constructor(worker: Connection, number: number, source: string) {
    [this.#worker, this.#number, this.#source] = [worker, number, source];
  }

  /** Classify a frame as it is now: a video, canvas, bitmap or ImageData. */
  async predict(frame: Exclude<Source, Blob>): Promise<FrameRow> {
    const now = performance.now();
    this.#begin ??= now;
    const time = (now - this.#begin) / 1000;
    const { data, transfer } = await toSource(frame);
    const call: Call = {
      kind: "frame", stream: this.#number, bitmap: data as ImageBitmap, time, source: this.#source, cut: this.#cut,
    };
    this.#cut = false;
    return this.#worker.call<FrameRow>(call, transfer);
  }

  /** The next frame is of another scene: whoever is in it is somebody new. */
  cut(): void {
    this.#cut = this.#begin !== null;
  }

  /** Forget the people. */
  close(): void {
    if (!this.#worker.closed) void this.#worker.call({ kind: "end", stream: this.#number }).catch(() => undefined);
  }
}

function checkedOptions(bundleUrl: string | URL, assets: string, options: LoadOptions): OpenOptions {
  const { faces = "all", detect = null, mirror = null, threshold = null, threads = usualThreads() } = options;
  const { sha256 = null } = options;
  if (faces !== "all" && faces !== "largest") throw new MienError("bad-option", `faces ${faces}: give all or largest`);
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new MienError("bad-option", `threads ${threads}: give a whole number from 1 to 256`);
  }
  if (sha256 !== null && !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new MienError("bad-option", `sha256 ${String(sha256).slice(0, 20)}: give 64 hexadecimal digits`);
  }
  const count = globalThis.crossOriginIsolated ? threads : 1;
  return { folder: folderUrl(bundleUrl), sha256, assets, threads: count, threshold, faces, detect, mirror };
}

const usualThreads = (): number => Math.min(4, Math.max(1, navigator.hardwareConcurrency || 1));

/** The whole address of a folder, with a slash at its end. */
function folderUrl(address: string | URL): string {
  let url: URL;
  try {
    url = new URL(address, document.baseURI);
  } catch {
    throw new MienError("bad-option", `${String(address)}: is not an address; give the folder of a bundle`);
  }
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url.href;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: MienError): void;
}

/** The worker, and the calls that wait for its reply. */
class Connection {
  closed = false;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor(url: URL) {
    try {
      this.#worker = new Worker(url, { type: "module", name: "mien" });
    } catch (error) {
      const why = firstLine(error);
      throw new MienError("failed", `${url.href}: the worker cannot be started (${why}); serve it beside the page`);
    }
    this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#settle(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const why = event.message || "it was not found, or the page's policy forbids it";
      this.#fail(new MienError("failed", `${url.href}: the worker has failed (${firstLine(why)})`));
    };
  }

  call<Result>(call: Call, transfer: Transferable[] = []): Promise<Result> {
    if (this.closed) return Promise.reject(new MienError("closed", "the reader was closed; load the model again"));
    const id = (this.#calls += 1);
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting["resolve"], reject });
      this.#worker.postMessage({ id, call }, transfer);
    });
  }

  close(): void {
    this.#fail(new MienError("closed", "the reader was closed; load the model again"));
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(new MienError(reply.error.code, reply.error.message));
    else waiting?.resolve(reply.result);
  }

  #fail(error: MienError): void {
    this.closed = true;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
