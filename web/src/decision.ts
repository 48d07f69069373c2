// Decide the answer from calibrated probabilities, as src/mien/inference/decision.py does.

import { MienError } from "./errors.js";
import { fixed, general } from "./numbers.js";

/** The answer of a model with an answer rule if none of its labels meets the rule. */
export const NEITHER = "neither";

/** By label: the least probability at which it is the answer. Of two labels, a number is that of the second. */
export type Threshold = number | Readonly<Record<string, number>>;

/** How a model answers; the fields of a bundle's config. */
export interface Rule {
  readonly labels: readonly string[];
  readonly threshold: number;
  readonly answerFrom: ReadonlyMap<string, number> | null;
  readonly answerOver: ReadonlyMap<string, ReadonlyMap<string, number>> | null;
}

export interface Answer {
  readonly label: string;
  readonly probability: number;
  readonly probabilities: Record<string, number>;
  readonly why: string | null;
}

/** The probability of a label must be at least `least`, or `least` times that of the label `of`. */
interface Condition {
  readonly label: string;
  readonly least: number;
  readonly of: string | null;
}

/** Return the softmax of logits divided by the temperature (Guo et al., 2017). */
export function probabilitiesOf(logits: ArrayLike<number>, temperature: number): number[] {
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const top = Math.max(...scaled);
  const exponentials = scaled.map((value) => Math.exp(value - top));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/** Every possible answer: the labels, or those that `answerFrom` names and `neither`. */
export const answersOf = ({ labels, answerFrom }: Rule): string[] =>
  answerFrom ? [...answerFrom.keys(), NEITHER] : [...labels];

/** Return the answer to the probability of each label, with its reason. */
export function decide(rule: Rule, row: readonly number[]): Answer {
  const of = (label: string): number => row[rule.labels.indexOf(label)]!;
  const conditions = conditionsOf(rule);
  const isMet = ({ label, least, of: other }: Condition): boolean =>
    of(label) >= least * (other === null ? 1 : of(other));
  const candidates = [...new Set(conditions.map(({ label }) => label))];
  const reached = candidates.filter((label) => conditions.every((one) => one.label !== label || isMet(one)));
  const otherwise = rule.answerFrom ? NEITHER : rule.labels[0]!;
  const label = reached.length ? likeliest(reached, of) : otherwise;
  const left = rule.labels.filter((name) => !rule.answerFrom?.has(name)).reduce((sum, name) => sum + of(name), 0);
  const named = (name: string): number => (rule.answerFrom && name === NEITHER ? Math.min(left, 1) : of(name));
  const probabilities = Object.fromEntries(answersOf(rule).map((name) => [name, named(name)]));
  const why = reasonOf(rule, row, label, conditions.find((one) => one.label === topLabel(rule, row) && !isMet(one)));
  return { label, probability: named(label), probabilities, why };
}

const likeliest = (labels: readonly string[], of: (label: string) => number): string =>
  labels.reduce((best, label) => (of(label) > of(best) ? label : best));

const topLabel = (rule: Rule, row: readonly number[]): string => rule.labels[row.indexOf(Math.max(...row))]!;

/** All that a label must meet to be the answer, label by label. */
function conditionsOf(rule: Rule): Condition[] {
  const { labels, threshold, answerFrom, answerOver } = rule;
  if (!answerFrom) {
    if (labels.length === 2) return [{ label: labels[1]!, least: threshold, of: null }];
    return labels.map((label) => ({ label, least: 0, of: null }));
  }
  return [...answerFrom].flatMap(([label, least]) => [
    { label, least, of: null },
    ...[...(answerOver?.get(label) ?? [])].map(([of, times]) => ({ label, least: times, of })),
  ]);
}

/** Say why the answer is not the most probable label; null if it is. */
function reasonOf(rule: Rule, row: readonly number[], answer: string, missed: Condition | undefined): string | null {
  const top = Math.max(...row);
  const column = rule.labels.indexOf(answer);
  if (column >= 0 && row[column]! >= top) return null;
  if (!rule.answerFrom) return `threshold ${general(rule.threshold)} for ${rule.labels[1]}`;
  const best = topLabel(rule, row);
  if (missed) return shortfall(missed, top, missed.of === null ? null : row[rule.labels.indexOf(missed.of)]!);
  if (answer === NEITHER) return `most probable is ${best} ${fixed(top, 2)}`;
  return `${answer} reaches ${general(rule.answerFrom.get(answer)!)}, though ${best} is ${fixed(top, 2)}`;
}

function shortfall({ label, least, of }: Condition, value: number, other: number | null): string {
  if (other !== null) return `${label} ${fixed(value, 2)} is below ${general(least)} times ${of} ${fixed(other, 2)}`;
  // Rounded up, it might seem to reach the limit that it is below.
  const shown = Number(fixed(value, 2)) < least ? value : Math.floor(value * 100) / 100;
  return `${label} ${fixed(shown, 2)} is below ${general(least)}`;
}

/** Return the rule with other thresholds, as Python's `mien.load(threshold=...)`. */
export function withThreshold(rule: Rule, threshold: Threshold): Rule {
  const known = rule.answerFrom ? [...rule.answerFrom.keys()] : rule.labels.length === 2 ? [...rule.labels] : [];
  if (!known.length) {
    throw new MienError("bad-option", "threshold: this model answers the most probable label, without thresholds");
  }
  if (typeof threshold === "number" && rule.answerFrom) {
    throw new MienError("bad-option", `threshold ${threshold}: name the answer, such as { ${known.at(-1)}: 0.5 }`);
  }
  const given = typeof threshold === "number" ? [[rule.labels[1]!, threshold] as const] : Object.entries(threshold);
  for (const [label, value] of given) {
    if (!known.includes(label)) {
      throw new MienError("bad-option", `threshold ${label}: this model has thresholds for ${known.join(" and ")}`);
    }
    if (!(value > 0 && value < 1)) {
      throw new MienError("bad-option", `threshold ${label} ${value}: give a number between 0 and 1`);
    }
  }
  if (rule.answerFrom) {
    const names = new Map(given);
    const answerFrom = new Map([...rule.answerFrom].map(([label, least]) => [label, names.get(label) ?? least]));
    const left = [...(rule.answerOver ?? [])].filter(([label]) => !names.has(label));
    return { ...rule, answerFrom, answerOver: left.length ? new Map(left) : null };
  }
  const [only, more] = given;
  if (!only) return rule;
  if (more) {
    throw new MienError("bad-option", "threshold: give one of the two labels, the other answer is all the rest");
  }
  return { ...rule, threshold: only[0] === rule.labels[1] ? only[1] : 1 - only[1] };
}
