// What computes the answers: the server. A page without a server has another module of this name, with the same exports,
// which computes in the browser; nothing but this and `connection.js` knows which it is.

import { getJson, request } from "./api.js";

export { Stream } from "./stream.js";

/** Return the models and the name of the default one, as GET /v1/models. */
export const listModels = () => getJson("v1/models");

/** Predict an image file as its `choice` {model, faces, detect} says; return its row. */
export async function predict(file, name, choice, signal) {
  const body = new FormData();
  body.append("file", file, name);
  const [row] = await (await request("v1/predict", { method: "POST", body, query: choice, signal })).json();
  return row;
}

/** Return a transparent image of the evidence for a label ("" is the answer of each face), a Blob. */
export const heatLayer = (file, choice, label) => explain(file, { ...choice, view: "heat", label });

/** Return a copy of an image file in a format that every browser shows, a Blob. */
export const showableCopy = (file, choice) => explain(file, { ...choice, view: "image" });

const explain = async (file, query) => (await request("v1/explain", { method: "POST", body: file, query })).blob();
