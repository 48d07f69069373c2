// The two networks in onnxruntime-web (WebAssembly with SIMD; several threads if the page is cross-origin isolated).

import * as ort from "onnxruntime-web/wasm";

import type { BundleConfig } from "./config.js";
import { firstLine, MienError } from "./errors.js";
import type { Maps } from "./heat.js";
import { type FloatRaster, mirrored, type Raster } from "./raster.js";
import type { Network } from "./detector.js";
import { decodeOutputs, DETECTOR_OUTPUTS, type Outputs } from "./yunet.js";

/** Crops that are classified together. */
const BATCH_SIZE = 32;

type Crop = Raster | FloatRaster;

/** Say where the files of onnxruntime-web are (a folder, ending with a slash) and how many threads to use. */
export function startRuntime(assets: string, threads: number): void {
  const name = "ort-wasm-simd-threaded";
  ort.env.wasm.wasmPaths = { mjs: new URL(`${name}.mjs`, assets), wasm: new URL(`${name}.wasm`, assets) };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
}

async function open(model: Uint8Array, name: string): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  } catch (error) {
    const why = firstLine(error);
    if (/wasm|webassembly|backend/i.test(why)) {
      throw new MienError("failed", `onnxruntime-web cannot be started (${why}); are its files beside mien's?`);
    }
    throw new MienError("damaged-bundle", `${name}: the graph cannot be loaded (${why}); export the model again`);
  }
}

/** Load YuNet. */
export async function openDetector(model: Uint8Array): Promise<Network> {
  const session = await open(model, "the face detector");
  return async ({ data, width, height }, threshold) => {
    const input = new ort.Tensor("float32", data, [1, 3, height, width]);
    const found = await session.run({ input }, DETECTOR_OUTPUTS);
    const outputs: Outputs = Object.fromEntries(
      Object.entries(found).map(([name, tensor]) => [name, tensor.data as Float32Array]),
    );
    return decodeOutputs(outputs, threshold, width);
  };
}

/** A bundle's graph: square crops in, logits and class activation maps out. */
export class Classifier {
  readonly #session: ort.InferenceSession;
  readonly #config: BundleConfig;
  readonly #mirror: boolean;

  private constructor(session: ort.InferenceSession, config: BundleConfig, mirror: boolean) {
    [this.#session, this.#config, this.#mirror] = [session, config, mirror];
  }

  /** `mirror`: whether to average with mirror images. */
  static async open(model: Uint8Array, config: BundleConfig, mirror: boolean): Promise<Classifier> {
    const classifier = new Classifier(await open(model, config.name), config, mirror);
    classifier.#checkTensors();
    return classifier;
  }

  /** Return the logits of each crop. */
  async logits(crops: readonly Crop[]): Promise<number[][]> {
    const found: number[][] = [];
    for (let start = 0; start < crops.length; start += BATCH_SIZE) {
      found.push(...(await this.#batch(crops.slice(start, start + BATCH_SIZE))));
    }
    if (!found.flat().every(Number.isFinite)) {
      const { name } = this.#config;
      throw new MienError("damaged-bundle", `${name}: the network gives logits that are not numbers; train it again`);
    }
    return found;
  }

  /** With `mirror`, crops and their mirror images run in one batch and are averaged (test-time augmentation). */
  async #batch(crops: readonly Crop[]): Promise<number[][]> {
    const images = this.#mirror ? [...crops, ...crops.map(mirrored)] : crops;
    const { data } = await this.#run(images, "logits");
    const rows = images.map((_, n) => data.subarray(n * this.#labels, (n + 1) * this.#labels));
    return crops.map((_, n) => Array.from(this.#mirror ? mean(rows[n]!, rows[crops.length + n]!) : rows[n]!));
  }

  /** Return the class activation maps of a crop, whose means are its logits. */
  async maps(crop: Crop): Promise<Maps> {
    const { data, dims } = await this.#run(this.#mirror ? [crop, mirrored(crop)] : [crop], "maps");
    const [, rows = 0, columns = 0, labels] = dims;
    if (dims.length !== 4 || !rows || !columns || labels !== this.#labels) {
      throw new MienError("damaged-bundle", `${this.#config.name}: the graph gives maps of shape ${dims.join("x")}`);
    }
    if (!this.#mirror) return { data, rows, columns, labels };
    const [first, second] = [data.subarray(0, data.length / 2), data.subarray(data.length / 2)];
    const back = mirrored({ data: second, width: columns, height: rows, channels: labels });
    return { data: mean(first, back.data), rows, columns, labels };
  }

  get #labels(): number {
    return this.#config.labels.length;
  }

  async #run(crops: readonly Crop[], output: "logits" | "maps") {
    const { inputSize: size, inputChannels: channels, name } = this.#config;
    const length = size * size * channels;
    const data = new Float32Array(crops.length * length);
    crops.forEach((crop, n) => data.set(crop.data, n * length));
    const image = new ort.Tensor("float32", data, [crops.length, size, size, channels]);
    let tensor: ort.Tensor | undefined;
    try {
      tensor = (await this.#session.run({ image }, [output]))[output];
    } catch (error) {
      throw new MienError("damaged-bundle", `${name}: the graph cannot be run (${firstLine(error)})`);
    }
    if (!(tensor?.data instanceof Float32Array) || tensor.dims[0] !== crops.length) {
      const shape = tensor?.dims.join("x");
      throw new MienError("damaged-bundle", `${name}: the graph gives ${output} of ${shape} for ${crops.length} crops`);
    }
    return { data: tensor.data, dims: tensor.dims };
  }

  /** Refuse a graph whose tensors are not those that the config states. */
  #checkTensors(): void {
    const { inputSize: size, inputChannels: channels, name, maps, labels } = this.#config;
    const { inputMetadata, outputMetadata } = this.#session;
    const wanted: [string, (number | null)[]][] = [["logits", [labels.length]]];
    if (maps) wanted.push(["maps", [null, null, labels.length]]);
    const isInput = inputMetadata.length === 1 && fits(inputMetadata[0], "image", [size, size, channels]);
    const isOutput = wanted.every(([output, shape]) => outputMetadata.some((tensor) => fits(tensor, output, shape)));
    if (isInput && isOutput) return;
    throw new MienError(
      "damaged-bundle",
      `${name}: the graph takes ${describe(inputMetadata)} and gives ${describe(outputMetadata)}, the config says ` +
        `image N,${size},${size},${channels} and ${labels.length} labels; export the model again`,
    );
  }
}

type Metadata = ort.InferenceSession.ValueMetadata;

/** Whether a tensor is float (N, ...wanted): N open, and no other size known to differ (null fits any). */
function fits(tensor: Metadata | undefined, name: string, wanted: readonly (number | null)[]): boolean {
  if (!tensor?.isTensor || tensor.name !== name || tensor.type !== "float32") return false;
  if (tensor.shape.length !== wanted.length + 1 || typeof tensor.shape[0] === "number") return false;
  return wanted.every((want, n) => {
    const size = tensor.shape[n + 1];
    return want === null || typeof size !== "number" || size === want;
  });
}

/** A graph from elsewhere may have dozens of tensors: two tell which it is. */
function describe(tensors: readonly Metadata[]): string {
  const named = tensors.map((tensor) => `${tensor.name}${tensor.isTensor ? ` ${tensor.shape.join(",")}` : ""}`);
  return [...named.slice(0, 2), ...(named.length > 2 ? [`${named.length - 2} more`] : [])].join(" and ");
}

const mean = (first: Float32Array, second: Float32Array): Float32Array =>
  first.map((value, n) => Math.fround(value + second[n]!) / 2);
