// Requests to the server. They wait while it is busy or unreachable, and ask for the API key if it needs one.

import { Problem } from "./problem.js";

/** URL of the server: the folder above this file, so the application can be mounted under any path. */
export const BASE = new URL("../", import.meta.url);

const MAX_WAIT = 15; // seconds between two tries
const STORAGE_KEY = "mien-key";

/** Sends "state" events: `state` is "ready", "busy" or "unreachable"; `seconds` is the time to the next try. */
export const server = new EventTarget();
let state = "ready";
function setState(next, seconds = 0) {
  const event = new Event("state");
  Object.assign(event, { state: next, seconds, before: state });
  state = next;
  server.dispatchEvent(event);
}

const sleep = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
const backOff = (tries) => Math.min(MAX_WAIT, 2 ** tries);

let tryNow = () => {};
let waiting = null;
/** Try again now. */
export const retryNow = () => tryNow();

/** Wait until the server answers again. All callers share the same tries. */
export function whenReachable() {
  waiting ??= (async () => {
    for (let tries = 0; ; tries += 1) {
      setState("unreachable", backOff(tries));
      await Promise.race([sleep(backOff(tries)), new Promise((done) => { tryNow = done; })]);
      if (await isReachable()) break;
    }
    waiting = null;
    setState("ready");
  })();
  return waiting;
}

async function isReachable() {
  try {
    return (await fetch(new URL("healthz", BASE), { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Show that the server is busy, and wait for the next try. `retryAfter` is the header of its answer, in seconds. */
export async function whenFree(tries, retryAfter = 0) {
  const seconds = Math.max(Number(retryAfter) || 0, Math.min(10, 2 ** tries / 2)) * (1 + Math.random() / 4);
  setState("busy", seconds);
  await sleep(seconds);
}

/** Show that the server is no longer busy. */
export const setReady = () => state === "busy" && setState("ready");

let key = storedKey();
let askForKey = async () => null;
let asking = null;

/** The API key of this tab, or null. */
export const currentKey = () => key;

/** Use a key without storing it. */
export function useKey(given) {
  key = given;
}

/** Set the function that asks the user for the key. Its argument says whether the last key was wrong. */
export function onKeyNeeded(question) {
  askForKey = question;
}

/** Ask the user for the key, once for all waiting requests. Return whether one was entered. */
export function needKey(wrong) {
  asking ??= askForKey(wrong).then((entered) => {
    asking = null;
    if (entered) storeKey(entered);
    return Boolean(entered);
  });
  return asking;
}

function storedKey() {
  try {
    return sessionStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function storeKey(newKey) {
  key = newKey;
  try {
    sessionStorage.setItem(STORAGE_KEY, newKey);
  } catch {
    // Without storage the key lasts until the page is reloaded.
  }
}

/** Send a request. Return the successful Response; throw a Problem if trying again would not help. */
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
      await whenReachable();
      continue;
    }
    if (response.ok) {
      setReady();
      return response;
    }
    if (response.status === 401) {
      // Another request may have stored the right key meanwhile.
      if (key !== used || (await needKey(Boolean(used)))) continue;
    } else if (response.status === 503 || response.status === 429) {
      await whenFree(tries, response.headers.get("Retry-After"));
      continue;
    }
    setReady();
    throw await problemOf(response);
  }
}

/** Send a request and parse the JSON answer. */
export const getJson = async (path, options) => (await request(path, options)).json();

async function problemOf(response) {
  const problem = { status: response.status, title: response.statusText };
  try {
    Object.assign(problem, await response.json());
  } catch {
    // Not a problem document: a proxy answered.
  }
  return new Problem(problem);
}
