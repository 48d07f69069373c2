// Write rows as CSV with the columns of `mien predict --csv`. Spreadsheets run no formula from a file name.

const IMAGE = ["status", "reason", "model", "detect", "image_width", "image_height"];
const FACE = ["face", "x", "y", "width", "height", "score", "answer", "probability", "why"];

/** Return CSV text: a line per face, or one for an image without faces. `video` adds the place of a frame. */
export function csvText(rows, video = false) {
  const labels = [...new Set(rows.flatMap((row) => row.faces.flatMap((face) => Object.keys(probabilities(face)))))];
  const heading = ["source", ...(video ? ["time", "frame", "scene", "person"] : []), ...IMAGE, ...FACE];
  const lines = [[...heading, ...labels.map((label) => `p_${label}`)]];
  for (const row of rows) {
    const faces = row.faces.length ? row.faces : [null];
    faces.forEach((face, place) => lines.push(line(row, face, place + 1, labels, video)));
  }
  return lines.map((cells) => cells.map(cell).join(",") + "\n").join("");
}

function line(row, face, number, labels, video) {
  const when = video ? [row.time, row.frame, row.scene, face?.person] : [];
  const head = [row.source, ...when, row.status, row.reason, row.model, row.detect, row.width, row.height];
  if (!face) return [...head, ...FACE.map(() => null), ...labels.map(() => null)];
  const { box } = face;
  const known = probabilities(face);
  const place = [number, box.x, box.y, box.width, box.height];
  const about = [face.score, face.answer, rounded(face.probability), face.why];
  return [...head, ...place, ...about, ...labels.map((label) => rounded(known[label]))];
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
