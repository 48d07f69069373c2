// The dialog that asks for the API key.

import { byId, setText, show } from "./dom.js";

const dialog = byId("key-dialog");
const field = byId("key");

/** Ask the user for the key. Return null if the dialog is dismissed. `wrong` says that the last key was wrong. */
export function askKey(wrong) {
  show(byId("key-wrong"), false);
  field.value = "";
  field.setAttribute("aria-invalid", "false");
  if (wrong) showWrong();
  dialog.showModal();
  field.focus();
  return new Promise((done) => {
    const answer = (entered) => {
      byId("key-form").onsubmit = byId("key-later").onclick = dialog.oncancel = null;
      if (dialog.open) dialog.close();
      done(entered);
    };
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      const entered = field.value.trim();
      // No header can hold other letters: the browser would not send the request.
      if (/^[\x20-\x7e]+$/.test(entered)) answer(entered);
      else if (entered) showWrong();
    };
    byId("key-later").onclick = () => answer(null);
    dialog.oncancel = () => answer(null);
  });
}

function showWrong() {
  show(byId("key-wrong"), true);
  setText(byId("key-wrong"), "The server does not accept this key. Check it for missing or extra letters.");
  field.setAttribute("aria-invalid", "true");
}
