// Place the labels of boxes: inside the image, never over another label, not over another face if possible.

/**
 * Return a place {x, y, width, height, choice} for each label, or null if there is no room.
 *
 * `boxes` are {x, y, width, height}. `choices` has the possible sizes {width, height} of each label, preferred first.
 * All are in units of the image. `choice` is the index of the chosen size: a smaller one if a larger one would cover
 * another face or be apart from its own box.
 */
export function placeLabels(boxes, choices, width, height) {
  const taken = [];
  return boxes.map((box, n) => {
    const others = boxes.filter((_, m) => m !== n);
    const free = choices[n].flatMap((size, choice) =>
      beside(box, size, width, height)
        .filter((place) => !taken.some((one) => overlaps(place, one)))
        .map((place) => ({ ...place, choice })));
    const clear = free.find((place) => !others.some((one) => overlaps(place, one)));
    const best = clear ?? free.at(0) ?? anywhere(box, choices[n].at(-1), width, height, taken);
    if (!best) return null;
    taken.push(best);
    return { choice: choices[n].length - 1, ...best };
  });
}

function beside(box, size, width, height) {
  const right = box.x + box.width;
  const bottom = box.y + box.height;
  const lefts = [box.x, right - size.width, box.x + (box.width - size.width) / 2];
  const places = [box.y - size.height - 2, bottom + 2].flatMap((y) => lefts.map((x) => [x, y]));
  places.push(...[box.y, bottom - size.height].flatMap((y) => lefts.slice(0, 2).map((x) => [x, y])));
  places.push(...[right + 2, box.x - size.width - 2].flatMap((x) => [[x, box.y], [x, bottom - size.height]]));
  const pushed = places.map(([x, y]) => [clamp(x, width - size.width), clamp(y, height - size.height)]);
  return [...places, ...pushed]
    .map(([x, y]) => ({ x, y, ...size }))
    .filter(({ x, y }) => x >= 0 && y >= 0 && x + size.width <= width && y + size.height <= height);
}

function anywhere(box, size, width, height, taken) {
  const steps = (end, step) => Array.from({ length: Math.max(0, Math.floor(end / step) + 1) }, (_, n) => n * step);
  const far = (place) => Math.hypot(place.x - box.x, place.y - box.y + size.height);
  let best = null;
  for (const y of steps(height - size.height, size.height / 2)) {
    for (const x of steps(width - size.width, size.width / 4)) {
      const place = { x, y, ...size };
      if ((!best || far(place) < far(best)) && !taken.some((one) => overlaps(place, one))) best = place;
    }
  }
  return best;
}

const clamp = (value, end) => Math.min(Math.max(value, 0), Math.max(end, 0));

const overlaps = (a, b) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
