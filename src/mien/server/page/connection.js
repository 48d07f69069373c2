// The connection to the server: the banner that says if it is lost, the API key, and where images go. A page without a
// server has another module of this name.

import { currentKey, getJson, needKey, onKeyNeeded, retryNow, server } from "./api.js";
import { announce, byId, setText, show } from "./dom.js";
import { askKey } from "./key-dialog.js";
import { Problem } from "./problem.js";

let countdown = 0;
let again = () => {};

server.addEventListener("state", ({ state, seconds, before }) => {
  clearInterval(countdown);
  if (!show(byId("banner"), state !== "ready")) {
    if (before === "unreachable") announce("The server is back.");
    return;
  }
  const unreachable = state === "unreachable";
  const text = unreachable ? "The server does not answer." : "The server is busy. Retrying automatically.";
  if (state !== before) announce(unreachable ? `${text} Trying again until it does.` : text);
  setText(byId("banner-text"), text);
  byId("banner").dataset.state = state;
  if (show(byId("banner-button"), unreachable)) setText(byId("banner-button"), "Try now");
  const until = performance.now() + 1000 * seconds;
  const count = () => {
    const left = Math.max(1, Math.ceil((until - performance.now()) / 1000));
    setText(byId("banner-count"), unreachable ? `Next try in ${left} s.` : "");
  };
  count();
  countdown = setInterval(count, 500);
});

onKeyNeeded(askKey);

const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
if (!local) setText(byId("where"), `Images go to ${location.hostname} and are not stored there.`);

/**
 * Wait until the server can be used, then call `use({maxBytes, notice})` with the largest file that it takes and the
 * notice before the camera opens. If either fails, the banner says why, and `retry` is called once the user has mended that.
 */
export async function connect(use, retry) {
  again = retry;
  try {
    const config = await getJson("v1/config");
    if (config.auth && !currentKey() && !(await needKey(false))) throw new Problem({ code: "unauthorized" });
    await use({ maxBytes: config.limits?.body_bytes, notice: config.notice });
  } catch (error) {
    showConnectError(error);
    throw error;
  }
}

function showConnectError(error) {
  byId("banner").dataset.state = "key";
  show(byId("banner"), true);
  const key = error.code === "unauthorized";
  const text = key ? "This server needs an API key." : `The page cannot use this server: ${error.message}`;
  announce(text);
  setText(byId("banner-text"), text);
  setText(byId("banner-count"), "");
  if (show(byId("banner-button"), key)) setText(byId("banner-button"), "Enter the key");
}

byId("banner-button").addEventListener("click", () => {
  if (byId("banner").dataset.state !== "key") {
    retryNow();
    return;
  }
  show(byId("banner"), false);
  again();
});
