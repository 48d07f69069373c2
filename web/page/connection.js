// The banner: the model is loading, or why it cannot be. The page of `mien serve` has another module of this name.

import { problemOf, siteSettings, warmUp } from "./backend.js";
import { announce, byId, setText, show } from "./dom.js";
import { keepOffline, useNewVersion } from "./offline.js";

const PATIENCE = 400; // milliseconds before the page says that it is loading
let again = () => {};

/**
 * Load the model, after `use({maxBytes, notice})`: files may be of any size. If either fails, the banner says why, and
 * `retry` is called once the user asks for that.
 */
export async function connect(use, retry) {
  again = retry;
  useNewVersion();
  const timer = setTimeout(() => say("Loading the model. This is needed once.", "busy"), PATIENCE);
  try {
    await use({ maxBytes: 0, ...(await siteSettings()) });
    await warmUp();
    clearTimeout(timer);
    show(byId("banner"), false);
    keepOffline();
  } catch (error) {
    clearTimeout(timer);
    const problem = problemOf(error);
    say(`This page cannot read images here: ${problem.message}`, "failed");
    const lasting = problem.code === "unsupported-browser";
    if (show(byId("banner-button"), !lasting)) setText(byId("banner-button"), "Try again");
    if (!lasting) keepOffline(); // a version that fails must not keep the next one out
    throw problem;
  }
}

function say(text, state) {
  byId("banner").dataset.state = state;
  show(byId("banner"), true);
  setText(byId("banner-text"), text);
  announce(text);
}

byId("banner-button").addEventListener("click", () => {
  show(byId("banner-button"), false);
  show(byId("banner"), false);
  again();
});
