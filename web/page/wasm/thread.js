// The page's side of engine.js: questions, and which answer is whose.

import { Refused } from "../refused.js";

const waiting = new Map(); // a question's number to who asked it
let asked = 0;
let worker = null;
let failed = null;

/** Have something done. `progress` hears what is told meanwhile. Raises Refused; what comes after `signal` is dropped. */
export function ask(act, given, { signal, progress } = {}) {
  worker ??= started();
  const id = (asked += 1);
  return new Promise((resolve, reject) => {
    if (failed) return reject(failed);
    waiting.set(id, { resolve, reject, progress });
    signal?.addEventListener("abort", () => reject(new Refused("cancelled")));
    worker.postMessage({ id, act, given });
  });
}

function started() {
  const made = new Worker(new URL("engine.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data }) => hear(data);
  made.onerror = (event) => {
    event.preventDefault();
    failed = new Refused("unsupported", { said: `The network's thread ended: ${event.message ?? "its program cannot be loaded"}.` });
    for (const { reject } of waiting.values()) reject(failed);
    waiting.clear();
  };
  return made;
}

function hear({ id, progress, value, error }) {
  const one = waiting.get(id);
  if (progress) return one?.progress?.(...progress);
  waiting.delete(id);
  if (error) one?.reject(new Refused(error.code, { said: error.message }));
  else one?.resolve(value);
}
