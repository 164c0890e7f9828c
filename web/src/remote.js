// The same interface, answered by a module worker: the page stays free while pictures are decoded and classified.
import { LcnetError } from './errors.js';
import { addressOf, node } from './host.js';

const METHODS = ['classify', 'logits', 'embeddings', 'featureMaps', 'preprocess'];

async function started() {
  if (typeof Worker !== 'undefined') return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const { Worker: Thread } = await node('worker_threads'), name = './worker.js';
  return new Thread(new URL(name, import.meta.url));
}

export async function loadInWorker(source, { onProgress, signal, ...options } = {}) {
  signal?.throwIfAborted();
  const thread = new Remote(await started(), onProgress), stop = () => thread.dispose(signal.reason);
  signal?.addEventListener('abort', stop);
  try {
    const wasm = typeof options.wasm === 'string' ? addressOf(options.wasm) : options.wasm;
    thread.info = await thread.ask('load', [plain(addressOf(source)), { ...options, wasm: plain(wasm), progress: Boolean(onProgress) }]);
    return thread;
  } catch (error) {
    thread.dispose();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

const plain = (value) => (value instanceof URL ? value.href : value);

class Remote {
  #worker;
  #waiting = new Map();
  #asked = 0;

  constructor(worker, onProgress) {
    this.#worker = worker;
    const died = (what) => this.dispose(new LcnetError('internal', `the worker ended: ${what}`));
    const answered = ({ id, value, error, progress }) => {
      if (progress) return onProgress(...progress);
      const { resolve, reject } = this.#waiting.get(id) ?? {};
      this.#waiting.delete(id);
      return error ? reject?.(new LcnetError(...error)) : resolve?.(value);
    };
    if (worker.on) {
      worker.on('message', answered).on('error', (error) => died(error.message)).on('exit', () => died('it was stopped'));
    } else {
      worker.onmessage = ({ data }) => answered(data);
      worker.onerror = ({ message }) => died(message);
    }
  }

  ask(method, given) {
    if (!this.#worker) return Promise.reject(new LcnetError('argument', 'the model was disposed of: load it again'));
    const id = ++this.#asked;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      try {
        this.#worker.postMessage({ id, method, given });
      } catch (error) {
        this.#waiting.delete(id);
        reject(new LcnetError('argument', `this cannot go to a worker: ${error.message}`, { cause: error }));
      }
    });
  }

  // Ends the worker, also in the middle of a call, which is then an error.
  dispose(reason = new LcnetError('argument', 'the model was disposed of before it answered')) {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

for (const method of METHODS) {
  Remote.prototype[method] = async function (x, { signal, ...options } = {}) {
    signal?.throwIfAborted();
    let stop;
    const aborted = new Promise((_, reject) => signal?.addEventListener('abort', (stop = () => reject(signal.reason))));
    return Promise.race([this.ask(method, [x, options]), aborted]).finally(() => signal?.removeEventListener('abort', stop));
  };
}
