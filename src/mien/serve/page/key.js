// The question for the API key.

import { byId, setText, show } from "./dom.js";

const dialog = byId("key-dialog");
const field = byId("key");

/** Ask a person; returns the key, or null where they would rather not. `wrong` says that the last one was. */
export function askKey(wrong) {
  const sentence = "The server does not take this key. Look for a letter too many or too few.";
  if (show(byId("key-wrong"), wrong)) setText(byId("key-wrong"), sentence);
  field.value = "";
  field.setAttribute("aria-invalid", String(wrong));
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
      if (field.value.trim()) answer(field.value.trim());
    };
    byId("key-later").onclick = () => answer(null);
    dialog.oncancel = () => answer(null);
  });
}
