// From a model file to a network in the module, which knows the families and what their tensors must be: native/wasm/described.h.
import { configOf, CROP_MODES, FAMILIES, INTERPOLATIONS } from './config.js';
import { coreFor } from './core.js';
import { damaged, shown } from './errors.js';
import { readFile } from './file.js';

const SIZES = { '0.75,2,2,4,2': 'small', '1,2,2,6,2': 'base', '1.25,2,2,8,2': 'large' };

// lcnet_050, lcnetv2_base, or the family with the width.
function nameOf({ family, width, depths }) {
  const size = family === 'lcnet' ? String(Math.round(width * 100)).padStart(3, 0) : SIZES[[width, ...depths]];
  return size ? `${family}_${size}` : `${family} (width ${width}, depths ${depths.join(' ')})`;
}

function linesOf(tensors, { architecture: a, quantization }) {
  const lines = [...tensors].map(([name, { dtype, shape, begin }]) => [name, dtype, shape, begin]);
  if (!a.head_channels) lines.push(...a.classifier_input.map((name) => [name, 'read']));
  if (quantization) lines.push(...quantization.float_layers.map((name) => [name, 'kept']));
  for (const [name] of lines) if (!/^[\w.]+$/.test(name)) damaged(`${shown(name)} does not belong to the network`);
  return new TextEncoder().encode(`${lines.map((line) => `${line.join('\t')}\n`).join('')}\0`);
}

const listed = (values) => [values.length, ...values];

function numbersOf({ architecture: a, preprocessing: p, quantization }) {
  const flags = [a.head_bias, a.activation === 'relu', a.gate === 'sigmoid', a.head_activation === 'none', Boolean(quantization)];
  return Float64Array.from([
    FAMILIES.indexOf(a.family), a.width, a.in_chans, a.num_classes, a.head_channels, ...flags, ...a.stem_stride, ...p.input_size.slice(1),
    ...listed(a.stage_strides?.flat() ?? []), ...listed(a.depths), ...listed(p.mean.map((m) => 255 * m)),
  ]);
}

function pictureNumbers(p) {
  const [channels, height, width] = p.input_size, opencv = p.resize === 'opencv', filter = opencv ? 6 : INTERPOLATIONS.indexOf(p.interpolation);
  return Float64Array.of(
    height, width, p.crop_pct, CROP_MODES.indexOf(p.crop_mode), opencv, filter, channels, p.channel_order === 'bgr', p.alpha === 'composite',
    ...p.background, ...p.mean, ...p.std);
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
  core.given(pictureNumbers(config.preprocessing), (at) => core.call('pictures', at));
  const maps = Array.from({ length: count }, (_, i) => sizes.slice(3 * i, 3 * i + 3));
  return { core, config, name: nameOf(config.architecture), embedding, maps };
}
