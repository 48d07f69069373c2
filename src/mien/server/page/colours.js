// Colours of labels: the palette of Okabe and Ito, which is safe for colour blindness, and a grey. The same as in
// mien.viz.annotate.

const FIXED = {
  happy: "#e69f00",
  sad: "#56b4e9",
  neither: "#bbbbbb",
  neutral: "#bbbbbb",
  angry: "#d55e00",
  disgust: "#009e73",
  fear: "#cc79a7",
  surprise: "#f0e442",
};
const PALETTE = ["#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#0072b2", "#bbbbbb"];

/** Return a function from a label to its colour, for all labels of a model. */
export function colourScheme(names) {
  const known = new Map(names.filter((name) => Object.hasOwn(FIXED, name)).map((name) => [name, FIXED[name]]));
  const used = new Set(known.values());
  const rest = PALETTE.filter((colour) => !used.has(colour));
  const free = rest.length ? rest : PALETTE;
  names.filter((name) => !known.has(name)).forEach((name, n) => known.set(name, free[n % free.length]));
  return (name) => known.get(name) ?? PALETTE.at(-1);
}

/** Return all labels that answers and bars of a model can have. */
export const namesOf = (model) => [...new Set([...model.answers, ...model.labels])];

/** Return black or white, whichever has more contrast on a colour "#rrggbb". */
export function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 110 ? "#161616" : "#ffffff";
}
