// Rows as CSV, with the columns of `mien predict --csv`; made so that a spreadsheet runs nothing that a name holds.

const FACE = ["x", "y", "width", "height", "score", "answer", "probability", "why"];

/** The text of a CSV: a line per face, and one for a picture without; `film` adds time and person. */
export function csvText(rows, film = false) {
  const labels = [...new Set(rows.flatMap((row) => row.faces.flatMap((face) => Object.keys(shares(face)))))];
  const heading = ["source", ...(film ? ["time", "person"] : []), "status", "reason", ...FACE];
  const lines = [[...heading, ...labels.map((label) => `p_${label}`)]];
  for (const row of rows) {
    for (const face of row.faces.length ? row.faces : [null]) lines.push(line(row, face, labels, film));
  }
  return lines.map((cells) => cells.map(cell).join(",") + "\n").join("");
}

function line(row, face, labels, film) {
  const head = [row.source, ...(film ? [row.time, face?.person] : []), row.status, row.reason];
  if (!face) return [...head, ...FACE.map(() => null), ...labels.map(() => null)];
  const { box } = face;
  const known = shares(face);
  const about = [box.x, box.y, box.width, box.height, face.score, face.answer, rounded(face.probability), face.why];
  return [...head, ...about, ...labels.map((label) => rounded(known[label]))];
}

const shares = (face) => ({ ...face.probabilities, ...face.expressions });
const rounded = (value) => (value === undefined ? null : Math.round(value * 1e6) / 1e6);

/** One cell: quoted where it must be; text that a spreadsheet would take for a formula gets an apostrophe before it. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[\s]*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
