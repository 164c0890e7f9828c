// What a worker of the package does: one model, whose methods the page calls by messages.
import { load } from './classifier.js';
import { node } from './host.js';

const port = typeof self !== 'undefined' && self.postMessage ? self : (await node('worker_threads')).parentPort;
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
    port.postMessage({ id, error: error.code ? { code: error.code, message: error.message } : { value: error } });
  }
}

if (port.on) port.on('message', heard);
else port.onmessage = ({ data }) => heard(data);
