// Errors: one line that says what is wrong and what to do, and a `code` for programs.

/**
 * What went wrong.
 *
 * - `unsupported-browser`: WebAssembly with SIMD, module workers or OffscreenCanvas is missing.
 * - `unreachable`: a file of mien or of the bundle could not be fetched.
 * - `foreign-bundle`: mien did not write this `config.json`, or a later version of mien did.
 * - `damaged-bundle`: a field of `config.json` is missing or wrong, or the graph does not fit it.
 * - `wrong-hash`: a file has another sha256 than it should.
 * - `bad-option`: an argument is out of range, or does not fit the model.
 * - `bad-image`: this is not an image, or the browser does not let a page read its pixels.
 * - `closed`: the reader was closed.
 * - `failed`: anything else; the message of the browser or of onnxruntime follows.
 */
export type ErrorCode =
  | "unsupported-browser"
  | "unreachable"
  | "foreign-bundle"
  | "damaged-bundle"
  | "wrong-hash"
  | "bad-option"
  | "bad-image"
  | "closed"
  | "failed";

/** The only error that this library throws on purpose. */
export class MienError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message.replace(/\s+/g, " ").trim());
    this.name = "MienError";
    this.code = code;
  }
}

/** Return the first line of what was thrown, without a full stop. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.trim().split("\n")[0] ?? "").slice(0, 300).replace(/\.$/, "");
}

/** Return an error of ours as it is, another one as `failed`, with `what` in front of its first line. */
export function asMienError(error: unknown, what: string): MienError {
  return error instanceof MienError ? error : new MienError("failed", `${what} (${firstLine(error)})`);
}
