// The colour of each answer: Okabe and Ito's palette and a grey, which are told apart with every common kind of
// colour blindness. The same as in annotated copies (mien.annotate).

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

/** A function from a name to its colour, for all names of a model. */
export function colourScheme(names) {
  const known = new Map(names.filter((name) => Object.hasOwn(FIXED, name)).map((name) => [name, FIXED[name]]));
  const used = new Set(known.values());
  const rest = PALETTE.filter((colour) => !used.has(colour));
  const free = rest.length ? rest : PALETTE;
  names.filter((name) => !known.has(name)).forEach((name, n) => known.set(name, free[n % free.length]));
  return (name) => known.get(name) ?? PALETTE.at(-1);
}

/** All names that answers and bars of a model can have. */
export const namesOf = (model) => [...new Set([...model.answers, ...model.labels])];

/** Black or white, whichever is read better on a colour "#rrggbb". */
export function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 110 ? "#161616" : "#ffffff";
}
