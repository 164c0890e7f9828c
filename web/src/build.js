// From a model file to a network in the module: what the tensors must be, and the program of native/wasm/program.h.
import { configOf, CROP_MODES, INTERPOLATIONS } from './config.js';
import { coreFor } from './core.js';
import { damaged, shown } from './errors.js';
import { readFile } from './file.js';

const LARGEST = 3.4028234663852886e38, NORM = ['weight', 'bias', 'running_mean', 'running_var'];

// No map inside may be larger than what docs/model-file.md allows.
function checkMaps({ preprocessing, architecture, net }) {
  let [, h, w] = preprocessing.input_size;
  for (const { stride: [down, across], channels } of [{ stride: architecture.stem_stride, channels: net.stem.shape[0] }, ...net.blocks]) {
    h = Math.ceil(h / down);
    w = Math.ceil(w / across);
    if (channels * h * w > 2 ** 29) damaged('preprocessing.input_size is too large for the network');
  }
}

// The tensors in the module's memory, which begin at `base`. Each is checked when its address is asked for.
class Tensors {
  #left;

  constructor({ tensors, data }, core, base) {
    Object.assign(this, { all: tensors, data, core, base });
    this.#left = new Set(tensors.keys());
  }

  at(name, dtype, shape) {
    const found = this.all.get(name);
    if (found?.dtype !== dtype || String(found.shape) !== String(shape))
      damaged(`${name} is ${found ? `${found.dtype} [${found.shape}]` : 'missing'}, expected ${dtype} [${shape}]`);
    this.#left.delete(name);
    this.#check(name, found);
    return this.base + found.begin;
  }

  #check(name, { dtype, begin, end }) {
    const scale = name.endsWith('scale'), least = scale ? 1e-30 : name.endsWith('running_var') ? 0 : -LARGEST, most = name.endsWith('input_scale') ? 1e30 : LARGEST;
    const bad = dtype === 'F32' && this.core.call('outside', this.base + begin, (end - begin) / 4, least, most);
    if (bad) damaged(`${name} has ${bad} values of ${(end - begin) / 4} that are NaN, Inf or out of range`);
    if (dtype === 'I8' && new Int8Array(this.data.buffer, this.data.byteOffset + begin, end - begin).includes(-128)) damaged(`${name} has values of -128`);
  }

  floats(name) {
    const { begin, end } = this.all.get(name);
    return new Float32Array(this.data.slice(begin, end).buffer);
  }

  // What is left may count the steps of batch norms, and nothing else.
  end() {
    for (const name of this.#left) {
      const [, norm] = /(.*)\.num_batches_tracked$/.exec(name) ?? [], { dtype, shape } = this.all.get(name);
      if (!this.all.has(`${norm}.running_mean`) || dtype !== 'I64' || shape.length) damaged(`${shown(name)} does not belong to the network`);
    }
  }
}

// Appends a layer as program.h has it.
function addLayer(words, l, quantization, tensors) {
  if (!l) return words.push(0);
  const [out, of, k = 1] = l.shape, kept = /\.se\./.test(l.layer) || quantization?.float_layers.includes(l.layer.replace(/\.conv_(dw|pw2?)$/, ''));
  const name = quantization ? l.layer : l.conv, at = (key, dtype, n) => tensors.at(`${name}.${key}`, dtype, n), floats = (key, n = out) => at(key, 'F32', [n]);
  words.push(quantization && !kept ? 3 : l.norm && !quantization ? 1 : 2, out, of, k);
  if (quantization && !kept) {
    const inputs = l.layer.endsWith('conv_dw') ? out : of;
    words.push(at('weight', 'I8', l.shape), floats('scale'), floats('bias'), floats('input_scale', inputs), at('input_zero', 'U8', [inputs]));
    // Whatever the input, no layer's outputs, six times at most, may become Inf.
    const most = 127 * 255 * of * k * k, bias = tensors.floats(`${name}.bias`);
    if (tensors.floats(`${name}.scale`).some((s, i) => 6 * (s * most + Math.abs(bias[i])) > LARGEST)) damaged(`${name} can overflow float32`);
  } else {
    words.push(at('weight', 'F32', l.shape));
    if (l.norm && !quantization) words.push(...NORM.map((key) => tensors.at(`${l.norm}.${key}`, 'F32', [out])));
    else words.push(quantization || l.bias ? floats('bias') : 0);
  }
}

function programOf({ architecture: arch, quantization, net }, tensors, mean) {
  const words = [Boolean(quantization), arch.activation === 'relu', arch.gate === 'sigmoid', arch.head_activation === 'none', ...arch.stem_stride, mean];
  const layer = (l) => addLayer(words, l, quantization, tensors), list = (values) => words.push(values.length, ...values);
  layer(net.stem);
  words.push(net.blocks.length);
  for (const { stride, shortcut, layers } of net.blocks) {
    words.push(...stride, layers[1] ? 1 : 0, layers[4] ? 1 : 0, shortcut ? 1 : 0);
    layers.filter(Boolean).forEach(layer);
  }
  list(net.maps.map((map) => map.after));
  list(net.pooled);
  layer(net.head);
  layer(net.classifier);
  tensors.end();
  return Uint32Array.from(words);
}

function setPictures(core, p) {
  const [channels, height, width] = p.input_size, opencv = p.resize === 'opencv';
  const numbers = [height, width, p.crop_pct, CROP_MODES.indexOf(p.crop_mode), opencv, opencv ? 6 : [4, 0, 1, 2, 3, 5][INTERPOLATIONS.indexOf(p.interpolation)], channels];
  numbers.push(p.channel_order === 'bgr', p.alpha === 'composite', ...p.background, ...p.mean, ...p.std);
  core.given(Float64Array.from(numbers), (at) => core.call('pictures', at));
}

// { config, core } of a model file's bytes. Raises LcnetError for what Python's reader refuses.
export async function build(bytes, options) {
  const file = readFile(bytes), config = configOf(file.description), { bn_eps: eps, hard_sigmoid_slope: slope } = config.architecture;
  checkMaps(config);
  const core = await coreFor(config.quantization ? '.int8' : '', options);
  core.given(file.data, (base) =>
    core.given(Float32Array.from(config.preprocessing.mean, (m) => 255 * m), (mean) =>
      core.given(programOf(config, new Tensors(file, core, base), mean), (at) => core.call('build', at, eps, slope))));
  setPictures(core, config.preprocessing);
  return { config, core };
}
