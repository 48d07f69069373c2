// The question for the API key.

import { byId, setText, show } from "./dom.js";

const dialog = byId("key-dialog");
const field = byId("key");

/** Ask a person; returns the key, or null where they would rather not. `wrong` says that the last one was. */
export function askKey(wrong) {
  show(byId("key-wrong"), false);
  field.value = "";
  field.setAttribute("aria-invalid", "false");
  if (wrong) refuse();
  dialog.showModal();
  field.focus();
  return new Promise((done) => {
    const answer = (given) => {
      byId("key-form").onsubmit = byId("key-later").onclick = dialog.oncancel = null;
      if (dialog.open) dialog.close();
      done(given);
    };
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      const given = field.value.trim();
      // Other letters cannot stand in a header: the browser would not even send the request.
      if (/^[\x20-\x7e]+$/.test(given)) answer(given);
      else if (given) refuse();
    };
    byId("key-later").onclick = () => answer(null);
    dialog.oncancel = () => answer(null);
  });
}

function refuse() {
  show(byId("key-wrong"), true);
  setText(byId("key-wrong"), "The server does not take this key. Look for a letter too many or too few.");
  field.setAttribute("aria-invalid", "true");
}
