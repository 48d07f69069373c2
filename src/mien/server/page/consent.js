// The notice before the camera opens: whoever may be seen knows what happens, and agrees.
//
// The EU AI Act, Article 50(3), has those who use emotion recognition inform the people exposed to it.

import { byId, setText } from "./dom.js";
import { model } from "./settings.js";

const FACES =
  "A program will look for faces in front of the camera and read their expressions, until you close the webcam. " +
  "Tell everyone who may be seen. Open it only if all of them agree.";
const IMAGES =
  "A program will read what the camera sees, until you close the webcam. Tell everyone who may be seen. Open it only " +
  "if all of them agree.";

const dialog = byId("consent-dialog");
let notice = "";

/** Set the text of the notice: "" is that of this page, null asks nobody. */
export function setNotice(text) {
  notice = text;
}

/** Show the notice. Return whether the user agreed. */
export function askConsent() {
  if (notice === null) return true;
  setText(byId("consent-text"), notice || (model.content === "other" ? IMAGES : FACES));
  setText(byId("consent-where"), byId("where").textContent);
  dialog.showModal();
  return new Promise((done) => {
    const answer = (agreed) => {
      dialog.close();
      done(agreed);
    };
    byId("consent-agree").onclick = () => answer(true);
    byId("consent-refuse").onclick = dialog.oncancel = () => answer(false);
  });
}
