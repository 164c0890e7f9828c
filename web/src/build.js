// From a model file to a network in the module, which knows the families and what their tensors must be: native/wasm/described.h.
import { configOf, CROP_MODES, FAMILIES, INTERPOLATIONS } from './config.js';
import { coreFor } from './core.js';
import { damaged, shown } from './errors.js';
import { readFile } from './file.js';

function linesOf(tensors, { architecture: a, quantization }) {
  const lines = [...tensors].map(([name, tensor]) => [name, ...tensor]);
  if (!a.head_channels) lines.push(...a.classifier_input.map((name) => [name, 'read']));
  if (quantization) lines.push(...quantization.float_layers.map((name) => [name, 'kept']));
  for (const [name] of lines) if (!/^[\w.]+$/.test(name)) damaged(`${shown(name)} does not belong to the network`);
  return new TextEncoder().encode(`${lines.map((line) => `${line.join('\t')}\n`).join('')}\0`);
}

function numbersOf({ architecture: a, preprocessing: p, quantization }) {
  const [channels, ...size] = p.input_size, opencv = p.resize === 'opencv', listed = (values) => [values.length, ...values];
  return Float64Array.from([
    FAMILIES.indexOf(a.family), a.width, a.in_chans, a.num_classes, a.head_channels, a.head_bias, a.activation === 'relu', a.gate === 'sigmoid',
    a.head_activation === 'none', Boolean(quantization), ...a.stem_stride, ...listed(a.stage_strides?.flat() ?? []), ...listed(a.depths),
    ...size, p.crop_pct, CROP_MODES.indexOf(p.crop_mode), opencv, opencv ? 6 : INTERPOLATIONS.indexOf(p.interpolation), channels,
    p.channel_order === 'bgr', p.alpha === 'composite', ...p.background, ...p.mean, ...p.std,
  ]);
}

// { core, config, name, embedding, maps } of a model file's bytes. Raises LcnetError for what Python's reader refuses.
export async function build(bytes, options) {
  const { description, tensors, data } = readFile(bytes), config = configOf(description), { bn_eps: eps, hard_sigmoid_slope: slope } = config.architecture;
  const lines = linesOf(tensors, config), core = await coreFor(config.quantization ? '.int8' : '', options);
  const [embedding, count, ...sizes] = core.given(data, (base) =>
    core.given(lines, (text) =>
      core.given(numbersOf(config), (numbers, out) => {
        core.call('load', numbers, text, base, eps, slope, out);
        return new Float64Array(core.exports.memory.buffer, out, 32).slice();
      }, 256)));
  const maps = Array.from({ length: count }, (_, i) => sizes.slice(3 * i, 3 * i + 3));
  return { core, config, name: core.text(core.call('name')), embedding, maps };
}
