// The user's settings: the model, and which faces to answer.

import { listModels } from "./backend.js";
import { colourScheme, namesOf } from "./colours.js";
import { byId, make, setText, show } from "./dom.js";

const FACES = "Reads the expression on a face. An expression is not a feeling.";
const modelChoice = byId("model");
const scopeChoice = byId("scope");

/** Sends a "change" event when the settings have changed. */
export const settings = new EventTarget();

/** The chosen model as in GET /v1/models; null until it is known. */
export let model = null;
/** Return the colour of a label of the chosen model. */
export let colourOf = () => "#bbbbbb";

let models = [];

/** Load the list of models. */
export async function loadModels() {
  const found = await listModels();
  const wanted = model?.name ?? found.default;
  models = found.models;
  modelChoice.replaceChildren(...models.map(({ name }) => make("option", "", name)));
  modelChoice.value = models.some(({ name }) => name === wanted) ? wanted : found.default;
  show(byId("model-field"), models.length > 1);
  use(modelChoice.value);
}

function use(name) {
  model = models.find((one) => one.name === name) ?? models[0];
  colourOf = colourScheme(namesOf(model));
  const faces = model.framing === "face";
  show(byId("scope-field"), faces);
  const unsought = model.content === "other" ? "" : " It does not look for faces.";
  setText(byId("whole-banner"), `This model reads each image whole.${unsought}`);
  show(byId("whole-banner"), !faces);
  setText(byId("reads"), faces ? FACES : "Reads images.");
}

/** Return the chosen settings: {model, faces, detect}, "" for the usual one. */
export function choice() {
  const chosen = { model: models.length > 1 ? model.name : "", faces: "", detect: "" };
  if (model.framing !== "face") return chosen;
  const scope = scopeChoice.value;
  return { ...chosen, faces: scope === "largest" ? scope : "", detect: scope === "whole" ? "false" : "" };
}

/** Answer whole images from now on, for images that are already cropped faces. */
export function useWholeImages() {
  scopeChoice.value = "whole";
  settings.dispatchEvent(new Event("change"));
}

/** Return whether faces are detected. */
export const detectsFaces = () => model?.framing === "face" && scopeChoice.value !== "whole";

modelChoice.addEventListener("change", () => {
  use(modelChoice.value);
  settings.dispatchEvent(new Event("change"));
});
scopeChoice.addEventListener("change", () => settings.dispatchEvent(new Event("change")));
