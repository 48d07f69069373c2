// Track faces over frames and smooth their probabilities, as src/mien/faces/tracker.py does (SORT's loop).

import { resizePillow } from "./pillow.js";
import { type Raster, toGrey } from "./raster.js";
import type { Box, Point } from "./results.js";

// A person who is out of sight is forgotten after so many seconds and frames, whichever is later.
const MAX_GAP_SECONDS = 2;
const MAX_GAP_FRAMES = 2;
const LONGEST_GAP_SECONDS = 30;
const SMOOTHING_SECONDS = 0.15;
const MAX_DISTANCE = 1;
const MORE_PER_SECOND = 2;
const FARTHEST = 4;
const MAX_GROWTH = 2;
const MIN_CORRELATION = 0;
const MIN_CORRELATION_AFTER_GAP = 0.3;
const GAP_SECONDS = 0.5;
const ESTABLISHED_SECONDS = 1;
const NEW_TRACK_COST = 0.3;
const VELOCITY_SECONDS = 0.3;
const APPEARANCE_SIDE = 12;

/** A face in one frame: centre and side in pixels, appearance, and probabilities. */
interface Observation {
  readonly centre: Point;
  readonly side: number;
  readonly appearance: readonly number[];
  readonly probabilities: readonly number[];
}

/** One person: since `start`, last seen at `time` (seconds), `missed` frames ago; velocity in pixels per second. */
interface Track extends Observation {
  readonly person: number;
  readonly start: number;
  readonly time: number;
  readonly missed: number;
  readonly velocity: Point;
}

/** A face's person, counted from 1, and its smoothed probabilities. */
export interface Tracked {
  readonly person: number;
  readonly probabilities: readonly number[];
}

/** Numbers the people in one video and smooths their probabilities. */
export class Tracker {
  #tracks: Track[] = [];
  #people = 0;
  /** The number of the scene, from 1. */
  scene = 1;

  /** Match the faces of one frame with people; `time` is in seconds and never goes back. */
  update(
    time: number, boxes: readonly Box[], crops: readonly Raster[], rows: readonly (readonly number[])[],
  ): Tracked[] {
    const kept = this.#tracks.filter((track) => isRemembered(track, time));
    const seen = boxes.map((box, n) => observe(box, crops[n]!, rows[n]!));
    const matched = match(time, seen, kept);
    kept.forEach((track, place) => (kept[place] = { ...track, missed: track.missed + 1 }));
    const found = seen.map((one, n) => {
      const place = matched.get(n);
      if (place !== undefined) return (kept[place] = continued(kept[place]!, time, one));
      this.#people += 1;
      const track = { ...one, person: this.#people, start: time, time, missed: 0, velocity: [0, 0] as Point };
      kept.push(track);
      return track;
    });
    this.#tracks = kept;
    return found.map(({ person, probabilities }) => ({ person, probabilities }));
  }

  /** Begin a new scene: whoever is seen from now is somebody new. */
  cut(): void {
    this.#tracks = [];
    this.scene += 1;
  }
}

function observe(box: Box, crop: Raster, probabilities: readonly number[]): Observation {
  const centre: Point = [box.x + box.width / 2, box.y + box.height / 2];
  return { centre, side: Math.sqrt(box.width * box.height), appearance: appearanceOf(crop), probabilities };
}

/** Return a face as a small grey vector of length 1, free of brightness and contrast. */
export function appearanceOf(crop: Raster): number[] {
  const small = resizePillow(toGrey(crop), APPEARANCE_SIDE, APPEARANCE_SIDE, "bilinear");
  return normalized(Array.from(small.data));
}

/** Whether a face at this time may be this person's: seconds alone would forget everybody on a slow machine. */
function isRemembered(track: Track, time: number): boolean {
  const gap = time - track.time;
  return gap <= MAX_GAP_SECONDS || (track.missed < MAX_GAP_FRAMES && gap <= LONGEST_GAP_SECONDS);
}

/** Pair faces with tracks, the least cost first: the place of a face's track by the number of the face. */
function match(time: number, seen: readonly Observation[], tracks: readonly Track[]): Map<number, number> {
  const pairs: [number, number, number][] = [];
  tracks.forEach((track, place) => {
    seen.forEach((one, number) => {
      const cost = costOf(track, time, one);
      if (cost !== null) pairs.push([cost, number, place]);
    });
  });
  pairs.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  const matched = new Map<number, number>();
  const taken = new Set<number>();
  for (const [, number, place] of pairs) {
    if (matched.has(number) || taken.has(place)) continue;
    matched.set(number, place);
    taken.add(place);
  }
  return matched;
}

function continued(track: Track, time: number, seen: Observation): Track {
  const gap = Math.max(time - track.time, 1e-3);
  const weight = 1 - Math.exp(-gap / VELOCITY_SECONDS);
  const speed = (axis: 0 | 1): number =>
    track.velocity[axis] + weight * ((seen.centre[axis] - track.centre[axis]) / gap - track.velocity[axis]);
  const share = 1 - Math.exp(-gap / SMOOTHING_SECONDS);
  return {
    ...track,
    time,
    missed: 0,
    centre: seen.centre,
    side: seen.side,
    velocity: [speed(0), speed(1)],
    appearance: normalized(between(track.appearance, seen.appearance, weight)),
    probabilities: between(track.probabilities, seen.probabilities, share),
  };
}

/** Return how far a face is from what its track expects; null if it cannot be the same person. */
function costOf(track: Track, time: number, seen: Observation): number | null {
  const gap = time - track.time;
  const reach = Math.min(MAX_DISTANCE + MORE_PER_SECOND * gap, FARTHEST);
  // The velocity decays while the face is unseen.
  const decayed = VELOCITY_SECONDS * (1 - Math.exp(-gap / VELOCITY_SECONDS));
  const off = (axis: 0 | 1): number => seen.centre[axis] - (track.centre[axis] + track.velocity[axis] * decayed);
  const distance = Math.hypot(off(0), off(1)) / ((seen.side + track.side) / 2);
  const growth = Math.abs(Math.log(seen.side / track.side) / Math.log(MAX_GROWTH));
  const alike = seen.appearance.reduce((sum, value, n) => sum + value * track.appearance[n]!, 0);
  if (distance > reach || growth > 1) return null;
  if (alike < (gap < GAP_SECONDS ? MIN_CORRELATION : MIN_CORRELATION_AFTER_GAP)) return null;
  const extra = track.time - track.start < ESTABLISHED_SECONDS ? NEW_TRACK_COST : 0;
  return distance / reach + growth + 1.5 * (1 - alike) + extra;
}

const between = (from: readonly number[], to: readonly number[], share: number): number[] =>
  from.map((value, n) => value + share * (to[n]! - value));

/** The values less their mean, of length 1; an even surface is all zeros. */
function normalized(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const centred = values.map((value) => value - mean);
  const length = Math.sqrt(centred.reduce((sum, value) => sum + value * value, 0));
  return centred.map((value) => (length > 1e-6 ? value / length : 0));
}
