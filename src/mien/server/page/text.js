// Format numbers, rows and errors as text.

/** Format a fraction: 0.976 → "98%". */
export const percent = (fraction) => `${Math.round(100 * fraction)}%`;

/** Format a number of bytes: 3e6 → "3.0 MB". */
export function bytes(count) {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
}

/** Format a count: "1 face", "3 faces". */
export const counted = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/** Format the answer of a face: "happy 98%". */
export const faceText = (face) => `${face.answer} ${percent(face.probability)}`;

/** Format the reason of an unreadable row as a verb phrase. Most reasons are one: "is not an image ...". */
const problemPhrase = ({ reason }) =>
  /^(is|has|holds|takes|unpacks|cannot|could)\b/.test(reason) ? reason : `could not be read: ${reason}`;

/** Format the reason of an unreadable row as a sentence. */
export const unreadableText = (row) => `This file ${problemPhrase(row)}.`;

/** Describe a row in words that follow the name of its file, for screen readers and as the image's alternative text. */
export function rowText(row) {
  if (row.status === "unreadable") return problemPhrase(row);
  if (!row.faces.length) return "no face found";
  if (!row.detect) return faceText(row.faces[0]);
  const answers = row.faces.slice(0, 6).map(faceText).join(", ");
  return `${counted(row.faces.length, "face")}: ${answers}${row.faces.length > 6 ? " and more" : ""}`;
}

const PROBLEMS = {
  too_large: "The file is too large for this server.",
  too_many_pixels: "The image has too many pixels for this server.",
  unsupported_media_type: "This server does not support files of this kind.",
  unreadable_image: "The file cannot be read as an image.",
  no_file: "The file is empty.",
  timeout: "The request took longer than this server allows.",
  unknown_model: "The server no longer has this model.",
  forbidden_host: "The server does not accept this address.",
  forbidden_origin: "The server does not accept pages from this address.",
  unauthorized: "The server needs an API key.",
};

/** Format a problem document (RFC 9457): a sentence for a known code, then the server's detail. */
export function problemText(problem) {
  const known = PROBLEMS[problem.code];
  const detail = problem.detail && problem.detail !== known ? problem.detail : "";
  return [known, detail].filter(Boolean).join(" ") || problem.title || `The server answered ${problem.status}.`;
}

/** Say why the camera did not open, and what to do. */
export function cameraErrorText(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The webcam was refused. Allow it for this page (the icon beside the address), then open it again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No webcam was found. Connect one, then open it again. Photos work without a webcam.";
    case "NotReadableError":
    case "AbortError":
      return "The webcam did not start. Another program may be using it: close that, then open the webcam again.";
    case "InsecureContext":
      return "Browsers allow the webcam only on pages from this machine or over HTTPS. Photos work here too.";
    default:
      return `The webcam did not start: ${error?.message || "unknown reason"}.`;
  }
}
