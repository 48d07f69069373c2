// Write rows as CSV with the columns of `mien predict --csv`. Spreadsheets run no formula from a file name.

const FACE = ["x", "y", "width", "height", "score", "answer", "probability", "why"];

/** Return CSV text: a line per face, or one for an image without faces. `video` adds time and person. */
export function csvText(rows, video = false) {
  const labels = [...new Set(rows.flatMap((row) => row.faces.flatMap((face) => Object.keys(probabilities(face)))))];
  const heading = ["source", ...(video ? ["time", "person"] : []), "status", "reason", "detect", ...FACE];
  const lines = [[...heading, ...labels.map((label) => `p_${label}`)]];
  for (const row of rows) {
    for (const face of row.faces.length ? row.faces : [null]) lines.push(line(row, face, labels, video));
  }
  return lines.map((cells) => cells.map(cell).join(",") + "\n").join("");
}

function line(row, face, labels, video) {
  const head = [row.source, ...(video ? [row.time, face?.person] : []), row.status, row.reason, row.detect];
  if (!face) return [...head, ...FACE.map(() => null), ...labels.map(() => null)];
  const { box } = face;
  const known = probabilities(face);
  const about = [box.x, box.y, box.width, box.height, face.score, face.answer, rounded(face.probability), face.why];
  return [...head, ...about, ...labels.map((label) => rounded(known[label]))];
}

const probabilities = (face) => ({ ...face.probabilities, ...face.expressions });
const rounded = (value) => (value === undefined ? null : Math.round(value * 1e6) / 1e6);

/** Return one cell, quoted if needed. Text that a spreadsheet would run as a formula starts with an apostrophe. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = /^[\s]*[=+\-@]|^[\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
