// The server: requests that wait for it where it is busy or gone, and ask for the key where it wants one.

/** Where the server is: the folder above this file, so that it may be mounted anywhere. */
export const BASE = new URL("../", import.meta.url);

const LONGEST_WAIT = 15; // seconds between two tries
const KEY = "mien-key";

/** A fault that the server named; `code` is stable, see docs/http.md. */
export class Problem extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || `status ${problem.status}`);
    Object.assign(this, { code: "", detail: "", title: "", status: 0 }, problem);
  }
}

/** What happens to the connection; `state` is "ready", "busy" or "gone", `seconds` until the next try. */
export const server = new EventTarget();
let state = "ready";
function become(next, seconds = 0) {
  const event = new Event("state");
  Object.assign(event, { state: next, seconds, before: state });
  state = next;
  server.dispatchEvent(event);
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const backOff = (tries) => Math.min(LONGEST_WAIT, 2 ** tries);

let tryNow = () => {};
let waiting = null;
/** Try at once instead of waiting on. */
export const hurry = () => tryNow();

/** Wait until the server answers again; all who wait share the same tries. */
export function whenBack() {
  waiting ??= (async () => {
    for (let tries = 0; ; tries += 1) {
      become("gone", backOff(tries));
      await Promise.race([pause(backOff(tries)), new Promise((done) => { tryNow = done; })]);
      if (await alive()) break;
    }
    waiting = null;
    become("ready");
  })();
  return waiting;
}

async function alive() {
  try {
    return (await fetch(new URL("healthz", BASE), { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Say that the server is busy, and wait for the next try. */
export async function whenFree(tries, retryAfter = 0) {
  const seconds = Math.max(Number(retryAfter) || 0, Math.min(10, 2 ** tries / 2)) * (1 + Math.random() / 4);
  become("busy", seconds);
  await pause(seconds);
}

/** Say that all is well again. */
export const allWell = () => state === "busy" && become("ready");

let key = stored();
let ask = async () => null;
let asking = null;

/** The key for this tab, or null. */
export const currentKey = () => key;

/** Name the function that asks a person for the key; it gets whether the last one was wrong. */
export function onAsk(question) {
  ask = question;
}

/** Ask for the key, once for all who need it; returns whether one was given. */
export function needKey(wrong) {
  asking ??= ask(wrong).then((given) => {
    asking = null;
    if (given) remember(given);
    return Boolean(given);
  });
  return asking;
}

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(given) {
  key = given;
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Without storage it is kept until the page is loaded again.
  }
}

/** One request; returns the Response where it succeeded, and throws a Problem for what waiting does not mend. */
export async function request(path, { query = {}, ...options } = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  for (let tries = 0; ; tries += 1) {
    const used = key;
    const headers = used ? { Authorization: `Bearer ${used}` } : {};
    let response;
    try {
      response = await fetch(url, { ...options, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      await whenBack();
      continue;
    }
    if (response.ok) {
      allWell();
      return response;
    }
    if (response.status === 401) {
      // Another request may have got the right key meanwhile.
      if (key !== used || (await needKey(Boolean(used)))) continue;
    } else if (response.status === 503 || response.status === 429) {
      await whenFree(tries, response.headers.get("Retry-After"));
      continue;
    }
    allWell();
    throw await problemOf(response);
  }
}

/** The same, read as JSON. */
export const getJson = async (path, options) => (await request(path, options)).json();

async function problemOf(response) {
  const problem = { status: response.status, title: response.statusText };
  try {
    Object.assign(problem, await response.json());
  } catch {
    // Not a problem document: something between here and the server answered.
  }
  return new Problem(problem);
}
