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

// As in `mien.io.cells`, which reads every name back: what no terminal may obey, and what looks as if it were escaped.
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]/gu;
const CODES =
  "00(?:0[0-8b-f]|1[0-9a-f]|7f|[89][0-9a-f])|061c|200[ef]|202[89a-e]|206[6-9]|fff[9ab]|d[89a-f][0-9a-f]{2}|005c";
const LOOKS_ESCAPED = new RegExp(`\\\\(?=u(?:${CODES}))`, "g");
const FORMULA = /^'*(?:[\s\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫]|[\t\n])/u;

/** Return one cell, quoted if needed. Text that a spreadsheet would run as a formula starts with an apostrophe. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const shown = value
    .replace(LOOKS_ESCAPED, "\\u005c")
    .replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const text = FORMULA.test(shown) ? `'${shown}` : shown;
  return /[",;\t\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
