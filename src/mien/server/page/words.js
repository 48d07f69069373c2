// What is said: percentages, sizes, sentences about rows and about faults.

/** 0.976 → "98%". */
export const percent = (share) => `${Math.round(100 * share)}%`;

/** Bytes as a person reads them. */
export function bytes(count) {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`;
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
}

/** "1 face", "3 faces". */
export const counted = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;

/** One face in words: "happy 98%". */
export const faceWords = (face) => `${face.answer} ${percent(face.probability)}`;

/** Why a file is not a picture; reasons of the server go on after the file's name ("is not an image ..."). */
export const unreadableWords = ({ reason }) =>
  `This file ${/^(is|has|holds|cannot|could)\b/.test(reason) ? "" : "could not be read: "}${reason}.`;

/** A row in one sentence, for a screen reader and as the picture's description. */
export function rowWords(row) {
  if (row.status === "unreadable") return `could not be read: ${row.reason}`;
  if (!row.faces.length) return "no face found";
  const said = row.faces.slice(0, 6).map(faceWords).join(", ");
  return `${counted(row.faces.length, "face")}: ${said}${row.faces.length > 6 ? " and more" : ""}`;
}

const FAULTS = {
  too_large: "The file is larger than this server takes.",
  too_many_pixels: "The picture has more pixels than this server takes.",
  unsupported_media_type: "This server does not read files of this kind.",
  unreadable_image: "The file could not be read as a picture.",
  no_file: "The file is empty.",
  timeout: "Reading took longer than this server allows.",
  unknown_model: "The server does not have this model any more.",
  forbidden_host: "The server does not answer under this address.",
  forbidden_origin: "The server does not talk to pages from this address.",
  unauthorized: "The server asks for a key.",
};

/** A problem document (RFC 9457) in a sentence: ours for a known code, and the server's own detail. */
export function problemWords(problem) {
  const known = FAULTS[problem.code];
  const detail = problem.detail && problem.detail !== known ? problem.detail : "";
  return [known, detail].filter(Boolean).join(" ") || problem.title || `The server answered ${problem.status}.`;
}

/** Why the camera did not open, and what helps. */
export function cameraWords(error) {
  switch (error?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "The webcam was refused. Allow it for this page (the icon beside the address), then open it again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No webcam was found. Plug one in, then open it again; photos work without.";
    case "NotReadableError":
    case "AbortError":
      return "The webcam does not start: another program may be using it. Close that, then open it again.";
    case "InsecureContext":
      return "The browser gives a webcam only to pages from this machine or over HTTPS. Photos work here too.";
    default:
      return `The webcam does not start: ${error?.message || "unknown reason"}.`;
  }
}
