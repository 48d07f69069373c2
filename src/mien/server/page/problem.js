// What went wrong, in words for the user.

/** A problem document (RFC 9457) as an error. `code` is stable, see docs/http.md. */
export class Problem extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || `status ${problem.status}`);
    Object.assign(this, { code: "", detail: "", title: "", status: 0 }, problem);
  }
}
