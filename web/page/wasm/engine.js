// The networks at work, in a thread of their own: models by key, and what the page asks of them by messages.

import { load } from "../../lcnet/index.js";

const models = new Map();
let spare; // a module that runs every model, fetched before one asks for it: then nothing is asked of the network any more

const acts = {
  /** A model from its address or its file; `info` of it. Its first run is done: what follows takes its usual time. */
  async load({ key, source }, onProgress) {
    const model = await load(source, { onProgress, wasm: typeof source === "string" ? undefined : spare });
    const [channels, height, width] = model.info.input_size;
    await model.embeddings({ data: new Float32Array(channels * height * width), shape: [1, channels, height, width] });
    acts.drop({ key });
    models.set(key, model);
    return model.info;
  },
  async complete({ isa }) {
    const name = isa === "wasm_relaxed" ? "lcnet.relaxed.int8.wasm" : "lcnet.simd.int8.wasm";
    const response = await fetch(new URL(`../../lcnet/${name}`, import.meta.url));
    if (!response.ok) throw new Error(name);
    spare = await WebAssembly.compile(await response.arrayBuffer());
  },
  async classify({ key, file, top }) {
    const begun = performance.now();
    const input = await models.get(key).preprocess(file);
    const ready = performance.now();
    const [answer] = await models.get(key).classify(input, { topK: top });
    return { answer, timing: { decode_ms: ready - begun, network_ms: performance.now() - ready } };
  },
  async embed({ key, file }) {
    return (await models.get(key).embeddings(file)).data;
  },
  drop({ key }) {
    models.get(key)?.dispose();
    models.delete(key);
  },
};

onmessage = async ({ data: { id, act, given } }) => {
  try {
    const value = await acts[act](given, (...progress) => postMessage({ id, progress }));
    postMessage({ id, value });
  } catch ({ code = "internal", message }) {
    postMessage({ id, error: { code, message } });
  }
};
