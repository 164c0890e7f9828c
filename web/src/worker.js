// What a worker of the package does: one model, whose methods the page calls by messages.
import { load } from './index.js';

// A name that is made is none that a bundler or minifier looks for.
const port = globalThis.postMessage ? globalThis : (await import(['node', 'worker_threads'].join(':'))).parentPort;
let model;

async function answer(id, method, [x, { progress, ...options }]) {
  if (method !== 'load') return model[method](x, options);
  const onProgress = progress ? (...given) => port.postMessage({ progress: given }) : undefined;
  model = await load(x, { ...options, onProgress });
  return model.info;
}

async function heard({ id, method, given }) {
  try {
    const value = await answer(id, method, given);
    const buffers = (Array.isArray(value) ? value : [value]).flatMap((v) => (v.data ? [v.data.buffer] : []));
    port.postMessage({ id, value }, buffers);
  } catch (error) {
    port.postMessage({ id, error: [error.code ?? 'internal', error.message] });
  }
}

if (port.on) port.on('message', heard);
else port.onmessage = ({ data }) => heard(data);
