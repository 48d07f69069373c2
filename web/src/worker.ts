// The worker: one model, one call at a time.

import { Engine } from "./engine.js";
import { asMienError, MienError } from "./errors.js";
import type { Call, Reply, Request } from "./protocol.js";

interface Scope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply): void;
}

const scope = globalThis as unknown as Scope;
let engine: Engine | null = null;
let last: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  // A session takes one run at a time: calls wait for the one before.
  last = last.then(() => reply(data));
};

async function reply({ id, call }: Request): Promise<void> {
  try {
    scope.postMessage({ id, result: await answer(call) });
  } catch (error) {
    const { code, message } = asMienError(error, "the model cannot be run");
    scope.postMessage({ id, error: { code, message } });
  }
}

async function answer(call: Call): Promise<unknown> {
  if (call.kind === "open") {
    engine = await Engine.open(call.options);
    return engine.info;
  }
  if (!engine) throw new MienError("closed", "no model is open");
  if (call.kind === "predict") return engine.predict(call.source, call.name);
  if (call.kind === "explain") return engine.explain(call.source, call.name, call.label);
  if (call.kind === "frame") return engine.frame(call.stream, call.bitmap, call.time, call.source, call.cut);
  return engine.endStream(call.stream);
}
