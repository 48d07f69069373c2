// Keep this page in the browser, so that it works without a network, and offer new versions of it.

import { announce, byId, make, setText, show } from "./dom.js";

const ROOT = new URL("../", import.meta.url);
const worker = navigator.serviceWorker; // none on plain HTTP from another machine, and in some private windows
const status = make("span");
const note = Object.assign(make("div", "note"), { id: "update", hidden: true });
const noteText = make("p");
const button = Object.assign(make("button", "", "Load it now"), { type: "button", hidden: true });
note.setAttribute("role", "status");
note.append(noteText, button);
byId("where").after(" ", status);
byId("alert").before(note);

const PAUSE = 500; // milliseconds before a new version is asked again whether the other tabs are closed

let waiting = null; // the worker of a new version
let wanted = false; // whether to load again once it has taken over
let asked = false;

function say(text, offered = false) {
  setText(noteText, text);
  show(note, true);
  show(button, offered);
}

/** Begin with a new version that was fetched earlier, if no other tab has the old one: nothing is lost yet. */
export async function useNewVersion() {
  const found = await worker?.getRegistration(ROOT).catch(() => null);
  if (!found?.waiting || !worker.controller) return;
  waiting = found.waiting;
  takeOver();
}

function takeOver() {
  wanted = asked = true;
  waiting.postMessage("take over");
}

/** Keep the page, or the new version of it that the host has by now. */
export async function keepOffline() {
  wanted = false; // from now on the user may have photos here
  const version = worker && (await hostVersion());
  if (!version) return;
  const address = new URL(`service-worker.js?files=${version}`, ROOT).href;
  try {
    const found = await worker.register(address, { scope: ROOT.pathname, updateViaCache: "none" });
    const own = [found.installing, found.waiting, found.active].find((one) => one?.scriptURL === address);
    own.addEventListener("statechange", () => follow(own, found));
    follow(own, found);
  } catch (error) {
    fail(`service-worker.js cannot be used (${error.message})`);
  }
}

/** Return the sha256 of the host's list of files; null if there is none, or no secure way to check it. */
async function hostVersion() {
  try {
    const text = await (await fetch(new URL("files.json", ROOT), { cache: "no-store" })).text();
    JSON.parse(text); // a host may answer with a page of its own
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}

function follow(own, registration) {
  if (own.state === "activated") setText(status, "Works offline.");
  if (own.state !== "installed" || !registration.active) return;
  const text = "A new version of this page is ready. Loading it clears the photos of this tab.";
  waiting = own;
  say(text, true);
  announce(text);
}

function fail(reason) {
  const kept = Boolean(worker.controller);
  say(kept ? `The new version of this page cannot be used: ${reason}. This one stays.`
    : `This page cannot be kept for use without a network: ${reason}.`);
}

button.addEventListener("click", takeOver);
worker?.addEventListener("message", ({ data }) => {
  // A network that fails while a new version is fetched may be back at the next visit.
  if (data.failed && !(worker.controller && data.code === "unreachable")) fail(data.failed);
  if (!data.others || !wanted) return;
  if (!note.hidden) say("Close the other tabs with this page: they have the old version."); // the user has asked
  setTimeout(() => wanted && takeOver(), PAUSE);
});
worker?.addEventListener("controllerchange", () => asked && location.reload());
