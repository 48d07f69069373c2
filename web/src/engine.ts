// Decode, detect, crop, classify, calibrate, decide: what `Reader` in Python does, inside the worker.

import { fetchBundle, fetchChecked } from "./bundle.js";
import { cropShape } from "./config.js";
import { cornersOf, cropTo, faceRegion } from "./crop.js";
import { decodeFile, MIN_DETECTION_SIDE, MIN_QUICK_SIDE, Picture, takePixels, Unreadable } from "./decode.js";
import { probabilitiesOf, withThreshold } from "./decision.js";
import { Detector, onlyTiny } from "./detector.js";
import { MienError } from "./errors.js";
import { heatmap, labelToExplain } from "./heat.js";
import { rounded } from "./methods.js";
import { joinReasons, toFace, toRow, unreadableRow } from "./postprocess.js";
import type { Info, OpenOptions } from "./protocol.js";
import type { FloatRaster, Raster } from "./raster.js";
import type { Box, Detection, Explanation, FrameRow, Heatmap, Row } from "./results.js";
import { rescaled } from "./results.js";
import { Classifier, openDetector, startRuntime } from "./runtime.js";
import { Tracker } from "./tracker.js";
import { DETECTOR_FILE, DETECTOR_SHA256 } from "./yunet.js";

/** Most faces of an image that are classified, and explained. A row says if there are more. */
const MAX_FACES = 500;
const MAX_EXPLAINED_FACES = 100;
/** A crop is taken from an image decoded for a quick look if it has this many times the pixels it needs, on a side. */
const MIN_CROP_GAIN = 1.5;

/** What the network takes of an image, and the detection that each crop shows (null: the whole image). */
interface Prepared {
  readonly width: number;
  readonly height: number;
  readonly note: string | null;
  readonly found: readonly (Detection | null)[];
  readonly inputs: readonly (Raster | FloatRaster)[];
}

/** One model with its options, and the streams that it watches. */
export class Engine {
  /** What the page may know of the model. */
  readonly info: Info;
  readonly #classifier: Classifier;
  readonly #detector: Detector | null;
  readonly #maxFaces: number | null;
  readonly #trackers = new Map<number, { tracker: Tracker; frames: number }>();

  private constructor(info: Info, classifier: Classifier, detector: Detector | null, maxFaces: number | null) {
    [this.info, this.#classifier, this.#detector, this.#maxFaces] = [info, classifier, detector, maxFaces];
  }

  static async open(options: OpenOptions): Promise<Engine> {
    const { folder, sha256, assets, threads, threshold, faces, detect: asked, mirror: mirrors } = options;
    startRuntime(assets, threads);
    const { config, model } = await fetchBundle(folder, sha256);
    const rule = threshold === null ? config.rule : withThreshold(config.rule, threshold);
    const detect = asked ?? config.framing === "face";
    const overlooksFaces = asked === null && !detect && config.content !== "other";
    const mirror = mirrors ?? config.mirror;
    const classifier = await Classifier.open(model, config, mirror);
    const weights = detect ? await fetchChecked(new URL(DETECTOR_FILE, assets).href, DETECTOR_SHA256) : null;
    const detector = weights && new Detector(await openDetector(weights));
    const info = { config, rule, detect, mirror, overlooksFaces };
    return new Engine(info, classifier, detector, faces === "largest" ? 1 : null);
  }

  async predict(source: Blob | ImageBitmap, name: string): Promise<Row> {
    return this.#reading(source, name, async (picture) => {
      const prepared = await this.#prepare(picture);
      return this.#row(name, prepared, await this.#probabilities(prepared.inputs));
    });
  }

  /** Predict, and show which parts of each face are evidence for a label (null: for its answer). */
  async explain(source: Blob | ImageBitmap, name: string, label: string | null): Promise<Explanation> {
    const { config } = this.info;
    if (!config.maps) {
      throw new MienError("bad-option", `${config.name}: this model gives no class activation maps to explain it with`);
    }
    if (label !== null && !config.labels.includes(label)) {
      throw new MienError("bad-option", `label ${label}: this model has ${config.labels.join(", ")}`);
    }
    const row = await this.#reading(source, name, async (picture): Promise<Explanation> => {
      const prepared = largest(await this.#prepare(picture));
      const predicted = this.#row(name, prepared, await this.#probabilities(prepared.inputs));
      const heatmaps: Heatmap[] = [];
      for (const [n, face] of predicted.faces.entries()) {
        const shown = label ?? labelToExplain(config.labels, face);
        const maps = await this.#classifier.maps(rounded(prepared.inputs[n]!));
        const heat = heatmap(maps, config.labels.indexOf(shown), config.inputSize);
        heatmaps.push({ label: shown, method: "cam", corners: corners(prepared, n), size: config.inputSize, heat });
      }
      return { ...predicted, heatmaps };
    });
    return { heatmaps: [], ...row };
  }

  /** Predict a frame of a stream; `cut` begins a new scene. */
  async frame(stream: number, bitmap: ImageBitmap, time: number, source: string, cut: boolean): Promise<FrameRow> {
    const watched = this.#trackers.get(stream) ?? { tracker: new Tracker(), frames: 0 };
    this.#trackers.set(stream, watched);
    watched.frames += 1;
    if (cut) watched.tracker.cut();
    const picture = takePixels(bitmap);
    try {
      const prepared = await this.#prepare(picture);
      const rows = await this.#probabilities(prepared.inputs);
      const boxes = prepared.found.map((found) => boxOf(prepared, found));
      const tracked = watched.tracker.update(time, boxes, prepared.inputs.map(rounded), rows);
      const row = this.#row(source, prepared, tracked.map(({ probabilities }) => probabilities));
      row.faces.forEach((face, n) => (face.person = tracked[n]!.person));
      return { ...row, time: Math.round(time * 1000) / 1000, frame: watched.frames, scene: watched.tracker.scene };
    } finally {
      picture.close();
    }
  }

  endStream(stream: number): void {
    this.#trackers.delete(stream);
  }

  /** Decode a source and use it; a file that cannot be read is a row with the reason. */
  async #reading<Result extends Row>(
    source: Blob | ImageBitmap, name: string, use: (picture: Picture) => Promise<Result>,
  ): Promise<Result | Row> {
    let picture: Picture | null = null;
    try {
      picture = source instanceof Blob ? await decodeFile(source) : takePixels(source);
      return await use(picture);
    } catch (error) {
      if (error instanceof Unreadable) return unreadableRow(this.info, name, error.message);
      throw error;
    } finally {
      picture?.close();
    }
  }

  async #prepare(picture: Picture): Promise<Prepared> {
    const { width, height } = picture;
    const shape = cropShape(this.info.config);
    if (!this.#detector) {
      return { width, height, note: null, found: [null], inputs: [cropTo(picture.full(), shape, null)] };
    }
    const { rgb, faces, note } = await this.#detect(picture, this.#detector, shape.size);
    const sizes = [[rgb.width, rgb.height], [width, height]] as const;
    return {
      width,
      height,
      note,
      found: faces.map((face) => rescaled(face, ...sizes)),
      inputs: faces.map((face) => cropTo(rgb, shape, faceRegion(face))),
    };
  }

  /** Detect faces in as few pixels as will do, as `open_and_detect` in src/mien/inference/detection.py. */
  async #detect(picture: Picture, detector: Detector, minSide: number) {
    if (this.#maxFaces === 1) {
      const found = await this.#detectLargest(picture, detector, minSide);
      if (found) return found;
    }
    const { rgb, small } = picture.first(MIN_DETECTION_SIDE);
    const first = this.#largest(await detector.detect(rgb, !small));
    const search = onlyTiny(first.faces, [rgb.width, rgb.height]);
    if (!small || !(search || first.faces.some((face) => faceRegion(face).side < minSide))) return { rgb, ...first };
    const full = picture.full();
    if (search) return { rgb: full, ...this.#largest(await detector.detect(full)) };
    const sizes = [[rgb.width, rgb.height], [full.width, full.height]] as const;
    return { rgb: full, faces: first.faces.map((face) => rescaled(face, ...sizes)), note: first.note };
  }

  /** The largest face, if a quick look shows it for certain. */
  async #detectLargest(picture: Picture, detector: Detector, minSide: number) {
    const { rgb, small } = picture.first(MIN_QUICK_SIDE);
    const face = await detector.findLargest(rgb, [picture.width, picture.height]);
    if (!face) return null;
    const wanted = (MIN_CROP_GAIN * minSide) / faceRegion(face).side;
    if (!small || wanted <= 1) return { rgb, faces: [face], note: null };
    const closer = picture.first(Math.ceil(Math.min(rgb.width, rgb.height) * wanted)).rgb;
    const sizes = [[rgb.width, rgb.height], [closer.width, closer.height]] as const;
    return { rgb: closer, faces: [rescaled(face, ...sizes)], note: null };
  }

  #largest(faces: readonly Detection[]): { faces: readonly Detection[]; note: string | null } {
    if (this.#maxFaces !== null || faces.length <= MAX_FACES) {
      return { faces: faces.slice(0, this.#maxFaces ?? undefined), note: null };
    }
    const note = `only the largest ${MAX_FACES} of ${faces.length.toLocaleString("en")} faces were read`;
    return { faces: faces.slice(0, MAX_FACES), note };
  }

  async #probabilities(inputs: Prepared["inputs"]): Promise<number[][]> {
    const { temperature } = this.info.config;
    return (await this.#classifier.logits(inputs)).map((logits) => probabilitiesOf(logits, temperature));
  }

  #row(name: string, prepared: Prepared, rows: readonly (readonly number[])[]): Row {
    const faces = prepared.found.map((found, n) => toFace(this.info, boxOf(prepared, found), found, rows[n]!));
    return toRow(this.info, name, prepared, faces, prepared.note);
  }
}

const boxOf = ({ width, height }: Prepared, found: Detection | null): Box =>
  found?.box ?? { x: 0, y: 0, width, height };

function largest(prepared: Prepared): Prepared {
  const { found, inputs, note } = prepared;
  if (inputs.length <= MAX_EXPLAINED_FACES) return prepared;
  const more = `only the largest ${MAX_EXPLAINED_FACES} of ${inputs.length} faces were explained`;
  const kept = { found: found.slice(0, MAX_EXPLAINED_FACES), inputs: inputs.slice(0, MAX_EXPLAINED_FACES) };
  return { ...prepared, ...kept, note: joinReasons(note, more) };
}

function corners({ width, height, found }: Prepared, n: number): Heatmap["corners"] {
  const face = found[n];
  return face ? cornersOf(faceRegion(face)) : [[0, 0], [width, 0], [width, height], [0, height]];
}
