// What a model file says besides its weights, checked as Python's lcnet.config does, with what is left out put in.
import { FAMILIES, networkOf } from './arch.js';
import { damaged, shown } from './errors.js';

export const INTERPOLATIONS = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'], CROP_MODES = ['center', 'squash', 'border'];

// What a value must be: functions that are true of it, or give in words what was expected.
const is = (good, expected) => (v) => good(v) || expected;
const among = (...values) => is((v) => values.includes(v), values.map(shown).join(' or '));
const range = (low, high) => is((v) => typeof v === 'number' && v >= low && v <= high, `a number from ${low} to ${high}`);
const whole = (low, high) => is((v) => Number.isInteger(v) && v >= low && v <= high, `a whole number from ${low} to ${high}`);
const boolean = among(true, false);
const list = (of, n) => is((v) => Array.isArray(v) && v.every((one) => of(one) === true) && (!n || v.length === n), `a list${n ? ` of ${n}, each` : ' of which each is'} ${of()}`);
const text = is((v) => typeof v === 'string' && !v.includes('\0'), 'a text');
const some = is((v) => v && text(v) === true && !/[\0-\x1f\x7f]/.test(v), 'a text');
const object = is((v) => Object(v) === v && !Array.isArray(v), 'an object');
const maybe = (of) => (v) => v === null || of(v);
const once = (v) => new Set(v).size === v.length;
const divisor = range(1e-6, 1e6), stride = list(whole(1, 2), 2);

// Of each part its fields: what a value must be, the usual one (none: the field is required), and the need that must be listed.
const PREPROCESSING = {
  input_size: [list(whole(1, 65536), 3), [3, 224, 224]],
  interpolation: [among(...INTERPOLATIONS), 'bicubic'],
  crop_pct: [range(0.01, 8), 0.875],
  crop_mode: [among(...CROP_MODES), 'center'],
  mean: [list(range(-1e6, 1e6)), [0.485, 0.456, 0.406]],
  std: [list(divisor), [0.229, 0.224, 0.225]],
  exif: [boolean, true],
  background: [list(whole(0, 255), 3), [255, 255, 255]],
  resize: [among('pillow', 'opencv'), 'pillow', 'resize'],
  alpha: [among('composite', 'drop'), 'composite', 'alpha'],
  channel_order: [among('rgb', 'bgr'), 'rgb', 'channel_order'],
};
const ARCHITECTURE = {
  family: [among(...Object.keys(FAMILIES))],
  width: [range(0, 3)],
  in_chans: [whole(1, 1024)],
  num_classes: [whole(0, 2 ** 20)],
  bn_eps: [is((v) => v > 0 && v < 1, 'a number between 0 and 1'), 1e-5],
  stem_stride: [stride, [2, 2], 'strides'],
  stage_strides: [maybe(list(stride)), null, 'strides'],
  head_channels: [whole(0, 65536), 1280, 'head'],
  activation: [among('hard_swish', 'relu'), 'hard_swish', 'activation'],
  hard_sigmoid_slope: [is((v) => v > 0 && v <= 1, 'a number above 0, at most 1'), 1 / 6, 'hard_sigmoid'],
  classifier_input: [list(text), ['embeddings'], 'classifier_input'],
  depths: [list(whole(1, 64)), [], 'family'],
  gate: [among('hard_sigmoid', 'sigmoid'), 'hard_sigmoid', 'gate'],
  head_bias: [boolean, true, 'head_bias'],
  head_activation: [among('same', 'none'), 'same', 'head_activation'],
};
const DECISION = {
  temperature: [maybe(divisor), null],
  thresholds: [maybe(is((v) => object(v) === true && list(range(0, 1))(Object.values(v)) === true, 'numbers from 0 to 1')), null],
  multi_label: [boolean, false],
  default: [maybe(text), null, 'default'],
  groups: [maybe(is((v) => Array.isArray(v) && v.length && v.length <= 1024, '1 to 1024 groups')), null, 'groups'],
  turns_temperature: [maybe(divisor), null, 'turns'],
};
const LABELS = { names: [list(text)], ids: [maybe(list(text)), null] };
const GROUP = {
  name: [some],
  labels: [is((v) => list(text)(v) === true && v.length && once(v), 'labels that are there once')],
  take: [among('best', 'each'), 'best'],
  at_least_one: [boolean, false],
  otherwise: [maybe(some), null],
  names: [maybe(list(some)), null],
};
const QUANTIZATION = {
  scheme: [among('u8s8'), 'u8s8'],
  float_layers: [is((v) => list(text)(v) === true && once(v), 'different texts'), []],
  verdict: [object, {}],
};
const MODEL = {
  format_version: [among(1, 2)],
  architecture: [object],
  labels: [maybe(object), null],
  preprocessing: [object, {}],
  decision: [object, {}],
  provenance: [object, {}],
  quantization: [maybe(object), null],
  needs: [object, {}],
};
const PARTS = { architecture: ARCHITECTURE, preprocessing: PREPROCESSING, decision: DECISION };

const check = (good, name, found, expected) => good === true || damaged(`${name} is ${shown(found)}, expected ${expected ?? good}`);

// A part with its defaults. Raises for what is there and should not be, and for values that cannot be.
function part(fields, data, where, needs = {}) {
  check(object(data), where, data);
  for (const key of Object.keys(data)) if (!Object.hasOwn(fields, key)) damaged(`${where} has an unknown key ${shown(key)}`);
  return Object.fromEntries(Object.entries(fields).map(([name, [good, usual, need]]) => {
    const there = Object.hasOwn(data, name), value = there ? data[name] : usual;
    if (there && need && !Object.hasOwn(needs, need)) damaged(`${where}.${name} is there, but '${need}' is not among the needs`);
    check(good(value), `${where}.${name}`, value);
    return [name, value];
  }));
}

function checkNeeds({ needs, format_version: version }) {
  const known = Object.values(PARTS).flatMap((fields) => Object.values(fields).map((field) => field[2])), names = Object.keys(needs);
  check(!names.length || (version === 2 && names.length <= 64), 'format_version', version, '2, as it has needs');
  for (const name of names) if (!known.includes(name)) damaged(`it needs ${shown(name)}, which this lcnet does not know: lcnet ${shown(needs[name])} brings it`);
}

function checkArchitecture(a) {
  const { widths, stages, rows } = FAMILIES[a.family], read = a.classifier_input, where = (good, name, expected) => check(good, `architecture.${name}`, a[name], expected);
  where(widths.includes(a.width), 'width', `one of ${widths}`);
  if (!a.head_channels) Object.assign(a, { head_bias: true, head_activation: 'same' });
  a.stage_strides ??= rows.map(({ stride: n }) => [n, n]);
  const found = stages.filter((name) => read.includes(name)), sound = a.head_channels ? shown(read) === '["embeddings"]' : read.length > 0 && shown(found) === shown(read);
  where(sound, 'classifier_input', a.head_channels ? 'the embeddings, as there is a head' : `stages in their order, of ${stages}`);
  const count = a.head_channels ? stages.length : stages.indexOf(read.at(-1)) + 1, open = rows.slice(0, count).filter((r) => !r.depth).length;
  where(a.stage_strides.length === count, 'stage_strides', `${count} pairs`);
  where(a.depths.length >= open && (open > 0 || !a.depths.length), 'depths', `${open} whole numbers`);
  where(a.gate === 'hard_sigmoid' || a.hard_sigmoid_slope === 1 / 6, 'hard_sigmoid_slope', 'the usual one, as the gate is a sigmoid');
}

function checkPreprocessing(p, channels) {
  const [c, h, w] = p.input_size, where = (good, name, expected) => check(good, `preprocessing.${name}`, p[name], expected);
  where(c === channels && Math.min(h, w) >= 32 && h * w <= 2 ** 24 && c * h * w <= 2 ** 26, 'input_size', `${channels} channels, sides of at least 32 and 16777216 pixels at most`);
  where(p.mean.length === c, 'mean', `${c} numbers`);
  where(p.std.length === c, 'std', `${c} numbers`);
  where(p.resize === 'pillow' || p.interpolation === 'bilinear', 'interpolation', "'bilinear', since resize is 'opencv'");
  where(p.channel_order === 'rgb' || c === 3, 'channel_order', "'rgb', as there are not 3 channels");
}

function checkDecision(d, names) {
  if (d.groups) d.groups = d.groups.map((group) => part(GROUP, group, 'decision.groups'));
  const groups = d.groups ?? [], alone = d.default === null ? groups.flatMap((g) => g.labels) : [d.default];
  const sound = (g) => !(g.otherwise && g.at_least_one) && (!g.names || g.names.length === g.labels.length);
  check(groups.every(sound) && once(groups.map((g) => g.name)) && once(alone), 'decision.groups', groups, 'names that differ, each label once, an answer for each');
  check(d.groups ? d.multi_label : d.default === null || !d.multi_label, 'decision.multi_label', d.multi_label, 'true where there are groups, false where there is a default');
  for (const label of [...Object.keys(d.thresholds ?? {}), ...alone]) if (!names.includes(label)) damaged(`the decision has ${shown(label)}, which is none of the labels`);
  for (const label of alone) if (names.indexOf(label) !== names.lastIndexOf(label)) damaged(`the decision has ${shown(label)}, the label of several classes`);
}

function checkQuantization({ float_layers: kept }, config) {
  const parts = [...config.net.blocks.map((block) => block.name), config.net.head?.layer, config.net.classifier?.layer], { mean } = config.preprocessing;
  for (const name of kept) if (!parts.includes(name)) damaged(`quantization.float_layers has ${shown(name)}, which is no part of the network`);
  check(list(range(0, 1))(mean), 'preprocessing.mean', mean);
}

// The description of a model file with its defaults, and its network as `net`. Raises LcnetError naming the field.
export function configOf(data) {
  const config = part(MODEL, data, 'the description');
  checkNeeds(config);
  for (const [name, fields] of Object.entries(PARTS)) config[name] = part(fields, config[name], name, config.needs);
  config.labels &&= part(LABELS, config.labels, 'labels');
  config.quantization &&= part(QUANTIZATION, config.quantization, 'quantization');
  const { architecture: arch, labels } = config, names = labels?.names ?? [];
  checkArchitecture(arch);
  checkPreprocessing(config.preprocessing, arch.in_chans);
  for (const texts of [labels?.names, labels?.ids]) if (texts && texts.length !== arch.num_classes) damaged(`${texts.length} labels for ${arch.num_classes} classes: one label per class is needed`);
  checkDecision(config.decision, names);
  config.net = networkOf(arch);
  if (config.quantization) checkQuantization(config.quantization, config);
  return config;
}
