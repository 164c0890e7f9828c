// A model at work in this thread.
import { build } from './build.js';
import { resultOf, rulesOf } from './decision.js';
import { argument, damaged, shown, tooLarge } from './errors.js';
import { bytesOf, sha256Of } from './host.js';
import { pixelsOf } from './pictures.js';

export async function load(source, options = {}) {
  const bytes = await bytesOf(source, options), sha256 = sha256Of(bytes), built = await build(bytes, options);
  options.signal?.throwIfAborted();
  return new Classifier(built, await sha256);
}

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

class Classifier {
  #core;
  #config;
  #rules;
  #maps;

  constructor({ core, config, name, embedding, maps }, sha256) {
    const { architecture: arch, labels, decision, preprocessing, quantization } = config;
    this.#core = core;
    this.#config = config;
    this.#rules = rulesOf(config);
    this.#maps = maps;
    this.info = {
      architecture: name, input_size: preprocessing.input_size, num_classes: arch.num_classes, embedding_size: embedding, labels: labels && labels.names,
      multi_label: decision.multi_label, precision: quantization ? 'int8' : 'fp32', isa: core.isa, sha256, preprocessing, decision,
    };
  }

  async classify(pictures, { topK = 5, signal } = {}) {
    if (!Number.isInteger(topK) || topK < 1) argument(`topK is ${shown(topK)}, not a whole number above 0`);
    const { data, shape: [n, classes] } = await this.logits(pictures, { signal });
    return Array.from({ length: n }, (_, i) => resultOf(data.subarray(i * classes, (i + 1) * classes), this.#config, this.#rules, topK));
  }

  async logits(x, options) {
    const n = this.info.num_classes;
    if (!n) argument('this model has no classifier');
    return (await this.#run(x, options, () => [[n]], (out) => [out, 0, 0]))[0];
  }

  async embeddings(x, options) {
    return (await this.#run(x, options, () => [[this.info.embedding_size]], (out) => [0, out, 0]))[0];
  }

  // With the addresses of the maps behind the maps.
  featureMaps(x, options) {
    const maps = this.#maps, shapes = (h, w) => maps.map(([channels, down, across]) => [channels, Math.ceil(h / down), Math.ceil(w / across)]);
    return this.#run(x, options, shapes, (...outs) => {
      const list = outs.pop();
      new Uint32Array(this.#core.exports.memory.buffer, list, maps.length).set(outs);
      return [0, 0, list];
    });
  }

  async preprocess(x, { signal } = {}) {
    const inputs = [], size = this.info.input_size;
    for (const picture of Array.isArray(x) ? x : [x]) {
      signal?.throwIfAborted();
      inputs.push(await this.#prepared(picture));
    }
    return joined(inputs, size);
  }

  // Its memory goes with it.
  dispose() {
    this.#core = undefined;
  }

  get #alive() {
    return this.#core ?? argument('the model was disposed of: load it again');
  }

  // Tensors of the shapes, each for all images, which the module writes to `places` of them.
  async #run(x, { signal } = {}, shapes, places) {
    const ready = readyOf(x, this.info.input_size[0]), [, rows, columns] = this.info.input_size, { h, w } = ready ?? { h: rows, w: columns };
    const sizes = shapes(h, w).map(sizeOf), found = sizes.map(() => []);
    for (const one of ready?.images ?? (Array.isArray(x) ? x : [x])) {
      signal?.throwIfAborted();
      const input = ready ? one : await this.#prepared(one), core = this.#alive;
      core.given(input, (at, ...outs) => {
        core.call('run', at, h, w, ...places(...outs));
        sizes.forEach((size, i) => found[i].push(finite(core.floats(outs[i], size), input)));
      }, ...sizes.map((size) => 4 * size), 64);
    }
    return shapes(h, w).map((shape, i) => joined(found[i], shape));
  }

  // The network's input of one picture.
  async #prepared(picture) {
    const { data, width, height } = await pixelsOf(picture, this.#config.preprocessing), core = this.#alive, count = sizeOf(this.info.input_size);
    return core.given(data, (at, out) => {
      if (!core.call('prepare', at, height, width, data.length / (width * height), out)) tooLarge(`a picture of ${width} x ${height} pixels is too narrow`);
      return core.floats(out, count);
    }, 4 * count);
  }
}

// { data: Float32Array, shape: [N, C, H, W] } as a list of images; anything else is pictures.
function readyOf(x, channels) {
  if (!(x?.data instanceof Float32Array)) return null;
  const { data, shape } = x, [n, c, h, w] = shape ?? [];
  if (shape?.length !== 4 || c !== channels || !(h >= 32 && w >= 32 && n >= 0) || sizeOf(shape) !== data.length || !shape.every(Number.isInteger))
    argument(`input has shape ${shown(shape)} and ${data.length} numbers, expected [N, ${channels}, H, W] with H and W from 32 up`);
  return { h, w, images: Array.from({ length: n }, (_, i) => data.subarray((i * data.length) / n, ((i + 1) * data.length) / n)) };
}

function joined(parts, shape) {
  const size = sizeOf(shape), data = new Float32Array(parts.length * size);
  parts.forEach((part, i) => data.set(part, i * size));
  return { data, shape: [parts.length, ...shape] };
}

// NaN or Inf that a network has made of finite numbers would be sorted and shown as answers are.
function finite(out, input) {
  return out.every(Number.isFinite) || !input.every(Number.isFinite) ? out : damaged('the network gives NaN or Inf');
}
