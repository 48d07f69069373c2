// What a person chose: the model, and which faces are read.

import { getJson } from "./api.js";
import { colourScheme, namesOf } from "./colours.js";
import { byId, make, show } from "./dom.js";

const modelChoice = byId("model");
const scopeChoice = byId("scope");

/** Tells by a "change" event that pictures are to be read anew. */
export const settings = new EventTarget();

/** The model in use, as GET /v1/models describes it; null until it is known. */
export let model = null;
/** The colour of each of its answers. */
export let colourOf = () => "#bbbbbb";

let models = [];

/** Ask the server for its models, and offer them. */
export async function loadModels() {
  const found = await getJson("v1/models");
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
  show(byId("scope-field"), model.framing === "face");
}

/** The query of a request about pictures, as chosen. */
export function query() {
  const asked = { model: models.length > 1 ? model.name : "" };
  if (model.framing !== "face") return asked;
  const scope = scopeChoice.value;
  return { ...asked, faces: scope === "largest" ? scope : "", detect: scope === "whole" ? "false" : "" };
}

/** Read whole pictures from now on, as a person does whose pictures are faces already cut out. */
export function readWhole() {
  scopeChoice.value = "whole";
  settings.dispatchEvent(new Event("change"));
}

/** Whether faces are looked for at all. */
export const looksForFaces = () => model?.framing === "face" && scopeChoice.value !== "whole";

modelChoice.addEventListener("change", () => {
  use(modelChoice.value);
  settings.dispatchEvent(new Event("change"));
});
scopeChoice.addEventListener("change", () => settings.dispatchEvent(new Event("change")));
