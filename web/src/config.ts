// The `config.json` of a bundle: its fields and their checks, as src/mien/inference/bundle_config.py has them.

import type { CropShape } from "./crop.js";
import { NEITHER, type Rule } from "./decision.js";
import { MienError } from "./errors.js";
import { type Fit, FITS, RESIZE_METHODS } from "./resize.js";

const FORMAT = "mien-bundle";
const VERSION = 1;
const MAX_INPUT_SIZE = 1024;
const MAX_LETTERS = 255;
const USABLE_TEMPERATURES = [0.01, 100] as const;

/** What the images of training show. */
export type Content = "photos" | "crops" | "other";

/** What a bundle states of its model. */
export interface BundleConfig {
  readonly name: string;
  /** In the order of the logits. */
  readonly labels: readonly string[];
  /** Side of the square input in pixels. */
  readonly inputSize: number;
  /** 1 (grey) or 3 (RGB). */
  readonly inputChannels: number;
  readonly framing: "whole" | "face";
  readonly content: Content | null;
  readonly resize: string;
  readonly fit: Fit;
  readonly temperature: number;
  readonly rule: Rule;
  /** Whether the graph gives class activation maps. */
  readonly maps: boolean;
  /** Whether logits and maps of each crop and its mirror image are averaged. */
  readonly mirror: boolean;
  /** sha256 of `model.onnx`. */
  readonly sha256: string;
  readonly about: Readonly<Record<string, unknown>>;
}

export const cropShape = (config: BundleConfig): CropShape => ({
  size: config.inputSize, channels: config.inputChannels, resize: config.resize, fit: config.fit,
});

/** Parse the text of a `config.json`; `name` is what errors call it. */
export function parseConfig(text: string, name: string): BundleConfig {
  const raw = parseObject(text, name);
  if (raw["format"] !== FORMAT) {
    throw new MienError("foreign-bundle", `${name}: was not written by mien; make a bundle with mien export`);
  }
  if (raw["version"] !== VERSION) {
    throw new MienError(
      "foreign-bundle",
      `${name}: bundle version ${String(raw["version"]).slice(0, 20)}, this page reads version ${VERSION}; ` +
        "update the page, or export the model again",
    );
  }
  try {
    return checked(new Fields(raw));
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new MienError("damaged-bundle", `${name}: ${error.message}; export the model again`);
  }
}

function parseObject(text: string, name: string): Record<string, unknown> {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    // A host that has no such file may answer with a page of its own.
    throw new MienError("foreign-bundle", `${name}: is not valid JSON; give the folder of a bundle`);
  }
  return isTable(raw) ? raw : {};
}

/** Says what of a config is wrong. */
class Wrong extends Error {}

type Table = Record<string, unknown>;
const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The fields of a table, each of the type that is asked for. */
class Fields {
  readonly #raw: Table;

  constructor(raw: Table) {
    this.#raw = raw;
  }

  has = (name: string): boolean => Object.hasOwn(this.#raw, name);
  text = (name: string): string => this.#get(name, "text", (value) => typeof value === "string");
  number = (name: string): number => this.#get(name, "a number", Number.isFinite);
  whole = (name: string): number => this.#get(name, "a whole number", Number.isInteger);
  flag = (name: string): boolean => this.#get(name, "true or false", (value) => typeof value === "boolean");
  table = (name: string): Table => this.#get(name, "a table", isTable);
  list = (name: string): unknown[] => this.#get(name, "a list", Array.isArray);

  numbers(name: string): Map<string, number> {
    const table = new Fields(this.table(name));
    return new Map(Object.keys(this.table(name)).map((key) => [key, table.number(key)]));
  }

  /** One of some words; `otherwise` if the field is missing. */
  choice<Word extends string, Default>(name: string, known: readonly string[], otherwise: Default): Word | Default {
    if (!this.has(name)) return otherwise;
    const word = this.text(name);
    if (!known.includes(word)) throw new Wrong(`${name} '${word.slice(0, 20)}': this page knows ${known.join(", ")}`);
    return word as Word;
  }

  #get<Value>(name: string, kind: string, is: (value: unknown) => boolean): Value {
    if (!this.has(name)) throw new Wrong(`the field '${name}' is missing`);
    const value = this.#raw[name];
    if (!is(value)) throw new Wrong(`${name} ${String(JSON.stringify(value)).slice(0, 60)}: must be ${kind}`);
    return value as Value;
  }
}

function checked(fields: Fields): BundleConfig {
  const shape = new Fields(fields.table("input"));
  const labels = checkedLabels(fields.list("labels"));
  const sha256 = fields.text("sha256");
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Wrong(`sha256 '${sha256.slice(0, 20)}': must be 64 hexadecimal digits`);
  const [inputSize, inputChannels] = [shape.whole("size"), shape.whole("channels")];
  if (inputChannels !== 1 && inputChannels !== 3) {
    throw new Wrong(`input channels ${inputChannels}: 1 (grey) or 3 (RGB)`);
  }
  if (!(inputSize >= 8 && inputSize <= MAX_INPUT_SIZE)) {
    throw new Wrong(`input size ${inputSize}: between 8 and ${MAX_INPUT_SIZE}`);
  }
  const framing = shape.choice<BundleConfig["framing"], null>("framing", ["whole", "face"], null);
  // A bundle with another framing must not be used as if it had one of these.
  if (framing === null) throw new Wrong("the field 'framing' is missing");
  const temperature = fields.number("temperature");
  const [low, high] = USABLE_TEMPERATURES;
  if (!(temperature >= low && temperature <= high)) {
    throw new Wrong(`temperature ${temperature}: between ${low} and ${high}`);
  }
  return {
    name: fields.text("name"),
    labels,
    inputSize,
    inputChannels,
    framing,
    content: shape.choice<Content, null>("content", ["photos", "crops", "other"], null),
    resize: shape.choice("resize", RESIZE_METHODS, "pil-bilinear"),
    fit: shape.choice<Fit, Fit>("fit", FITS, "squash"),
    temperature,
    rule: checkedRule(fields, labels),
    maps: fields.flag("maps"),
    mirror: fields.has("mirror") && fields.flag("mirror"),
    sha256,
    about: fields.table("about"),
  };
}

function checkedLabels(list: readonly unknown[]): string[] {
  const labels = list.filter((label): label is string => typeof label === "string");
  if (labels.length !== list.length || labels.length < 2 || !labels.every((label) => label.trim())) {
    throw new Wrong("labels: must be at least two names");
  }
  if (new Set(labels).size !== labels.length) throw new Wrong("labels: a name is repeated");
  const long = labels.find((label) => [...label].length > MAX_LETTERS);
  if (long) throw new Wrong(`labels '${long.slice(0, 20)}…': at most ${MAX_LETTERS} letters`);
  return labels;
}

function checkedRule(fields: Fields, labels: readonly string[]): Rule {
  const threshold = fields.number("threshold");
  if (!(threshold > 0 && threshold < 1)) throw new Wrong(`threshold ${threshold}: between 0 and 1`);
  const answerFrom = fields.has("answer_from") ? fields.numbers("answer_from") : null;
  const answerOver = fields.has("answer_over") ? checkedOver(fields.table("answer_over"), labels, answerFrom) : null;
  if (!answerFrom) return { labels, threshold, answerFrom, answerOver };
  const names = [...answerFrom.keys()];
  if (!names.length || names.length >= labels.length || !names.every((name) => labels.includes(name))) {
    const given = names.join(", ").slice(0, 60);
    throw new Wrong(`answer_from ${given}: name some of the labels (${labels.join(", ")}), not all`);
  }
  if (labels.includes(NEITHER)) {
    throw new Wrong(`answer_from: a model with the label '${NEITHER}' cannot have such a rule`);
  }
  for (const [name, least] of answerFrom) {
    if (!(least > 0 && least < 1)) throw new Wrong(`answer_from ${name} ${least}: between 0 and 1`);
  }
  if (threshold !== 0.5) throw new Wrong(`threshold ${threshold}: cannot stand beside answer_from; leave it at 0.5`);
  return { labels, threshold, answerFrom, answerOver };
}

function checkedOver(table: Table, labels: readonly string[], from: ReadonlyMap<string, number> | null) {
  const fields = new Fields(table);
  const over = new Map(Object.keys(table).map((name) => [name, fields.numbers(name)]));
  for (const [name, ratios] of over) {
    if (!from?.has(name)) throw new Wrong(`answer_over '${name.slice(0, 60)}': answer_from does not name it`);
    for (const [other, times] of ratios) {
      if (!labels.includes(other) || other === name) {
        throw new Wrong(`answer_over ${name} '${other.slice(0, 60)}': name another of the labels`);
      }
      if (!(times > 0)) throw new Wrong(`answer_over ${name} ${other} ${times}: a number above 0`);
    }
  }
  return over;
}
