// What a model file says besides its weights, with what is left out put in. Refused is what is unknown, of another type or out of its
// range; of the architecture only what the module
// does not refuse for its tensors.
import { damaged, shown } from './errors.js';

export const FAMILIES = ['lcnet', 'lcnetv2'];
export const INTERPOLATIONS = ['nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'], CROP_MODES = ['center', 'squash', 'border'];

// Of each part its fields: [the usual value, if it is no string the type of every other; whether a value is good, if not all are]. A list
// of texts has all that there may be, the usual one first. A field behind a name and a colon has that need,
// behind a colon alone the one of its own name.
const within = (low, high) => (v) => v >= low && v <= high;
const whole = (low, high) => (v) => Number.isInteger(v) && v >= low && v <= high;
const all = (good) => (v) => v.every(good);
const three = (good) => (v) => v.length === 3 && v.every(good);
const pair = (v) => v?.length === 2 && v.every(whole(1, 2));
const text = (v) => typeof v === 'string' && !v.includes('\0');
const texts = (v) => Array.isArray(v) && v.every(text);
const once = (v) => texts(v) && new Set(v).size === v.length;
const some = (v) => text(v) && v && !/[\0-\x1f\x7f]/.test(v);
const divisor = within(1e-6, 1e6);
const maybe = (good) => [null, (v) => v === null || good(v)];
const record = (v) => Object(v) === v && !Array.isArray(v);

const PARTS = {
  architecture: {
    family: [FAMILIES], width: [1], in_chans: [3, whole(1, 1024)], num_classes: [1000, whole(0, 2 ** 20)], bn_eps: [1e-5, (v) => v > 0 && v < 1],
    'strides:stem_stride': [[2, 2], pair], 'strides:stage_strides': maybe((v) => Array.isArray(v) && v.every(pair)), 'head:head_channels': [1280, whole(0, 65536)],
    ':activation': [['hard_swish', 'relu']], 'hard_sigmoid:hard_sigmoid_slope': [1 / 6, (v) => v > 0 && v <= 1],
    ':classifier_input': [null, once], 'family:depths': [[], all(whole(1, 64))], ':gate': [['hard_sigmoid', 'sigmoid']],
    ':head_bias': [true], ':head_activation': [['same', 'none']],
  },
  preprocessing: {
    input_size: [[3, 224, 224], three(whole(1, 65536))], interpolation: [['bicubic', ...INTERPOLATIONS]], crop_pct: [0.875, within(0.01, 8)], crop_mode: [CROP_MODES],
    mean: [[0.485, 0.456, 0.406], all(within(-1e6, 1e6))], std: [[0.229, 0.224, 0.225], all(divisor)], exif: [true],
    background: [[255, 255, 255], three(whole(0, 255))], ':resize': [['pillow', 'opencv']], ':alpha': [['composite', 'drop']],
    ':channel_order': [['rgb', 'bgr']],
  },
  decision: {
    temperature: maybe(divisor), thresholds: maybe((v) => record(v) && Object.values(v).every(within(0, 1))), multi_label: [false], ':default': maybe(text),
    ':groups': maybe((v) => Array.isArray(v) && whole(1, 1024)(v.length)), 'turns:turns_temperature': maybe(divisor),
  },
  labels: { names: [null, texts], ids: maybe(texts) },
  quantization: { scheme: [['u8s8']], float_layers: [null, once], verdict: [null, record] },
};
const GROUP = {
  name: [null, some], labels: [null, (v) => once(v) && v.length], take: [['best', 'each']], at_least_one: [false], otherwise: maybe(some),
  names: maybe((v) => texts(v) && v.every(Boolean)),
};
const MODEL = {
  format_version: [0, whole(1, 2)], architecture: [null, record], labels: maybe(record), preprocessing: [{}, record], decision: [{}, record],
  provenance: [{}, record], quantization: maybe(record), needs: [{}, record],
};

function check(good, name, found) {
  if (!good) damaged(`${name} is ${shown(found)}, which it cannot be`);
}

// A part with its defaults.
function part(fields, data, where, needs) {
  check(record(data), where, data);
  const left = new Set(Object.keys(data)), out = {};
  for (const [field, [usual, good = () => true]] of Object.entries(fields)) {
    const [name, other] = field.split(':').reverse(), need = other === '' ? name : other, choices = typeof usual?.[0] === 'string' && usual;
    const there = left.delete(name), value = there ? data[name] : choices ? choices[0] : usual;
    if (there && need && !Object.hasOwn(needs, need)) damaged(`${where}.${name} is there, but '${need}' is not among the needs`);
    const alike = choices ? choices.includes(value) : usual === null || (typeof usual === typeof value && Array.isArray(usual) === Array.isArray(value));
    check(alike && (good(value) || (!there && usual === null)), `${where}.${name}`, value);
    out[name] = value;
  }
  for (const name of left) damaged(`${where} has an unknown key ${shown(name)}`);
  return out;
}

function checkNeeds({ needs, format_version: version }) {
  const known = Object.values(PARTS).flatMap(Object.keys).map((field) => field.replace(/^:|:.*/, '')), names = Object.keys(needs);
  check(version === 2 || !names.length, 'needs', needs);
  for (const need of names) if (!known.includes(need)) damaged(`it needs ${shown(need)}, which this lcnet does not know: lcnet ${shown(needs[need])} brings it`);
}

function finishArchitecture(a) {
  const where = (good, name) => check(good, `architecture.${name}`, a[name]);
  a.classifier_input ??= ['embeddings'];
  where(!a.head_channels || String(a.classifier_input) === 'embeddings', 'classifier_input');
  where(a.gate === 'hard_sigmoid' || a.hard_sigmoid_slope === 1 / 6, 'hard_sigmoid_slope');
}

function checkPreprocessing(p, channels) {
  const [c, h, w] = p.input_size, where = (good, name) => check(good, `preprocessing.${name}`, p[name]);
  where(c === channels && h >= 32 && w >= 32 && h * w <= 2 ** 24 && c * h * w <= 2 ** 26, 'input_size');
  where(p.mean.length === c, 'mean');
  where(p.std.length === c, 'std');
  where(p.resize === 'pillow' || p.interpolation === 'bilinear', 'interpolation');
  where(p.channel_order === 'rgb' || c === 3, 'channel_order');
}

function checkDecision(d, names) {
  d.groups &&= d.groups.map((group) => part(GROUP, group, 'decision.groups'));
  const groups = d.groups ?? [], alone = d.default === null ? groups.flatMap((g) => g.labels) : [d.default];
  const sound = (g) => !(g.otherwise && g.at_least_one) && (!g.names || g.names.length === g.labels.length);
  check(groups.every(sound) && once(groups.map((g) => g.name)) && once(alone) && (d.multi_label || !d.groups), 'decision.groups', groups);
  check(d.default === null || !d.multi_label, 'decision.default', d.default);
  for (const label of [...Object.keys(d.thresholds ?? {}), ...alone]) check(names.includes(label), 'a label of the decision', label);
  for (const label of alone) check(names.indexOf(label) === names.lastIndexOf(label), 'a label of the decision', label);
}

// The description of a model file with its defaults. Raises LcnetError naming the field.
export function configOf(data) {
  const config = part(MODEL, data, 'the description');
  checkNeeds(config);
  for (const [name, fields] of Object.entries(PARTS)) config[name] &&= part(fields, config[name], name, config.needs);
  const { architecture: arch, labels, quantization } = config;
  check(arch, 'architecture', arch);
  finishArchitecture(arch);
  checkPreprocessing(config.preprocessing, arch.in_chans);
  for (const list of labels ? [labels.names, labels.ids ?? labels.names] : []) check(list?.length === arch.num_classes, 'labels, one for each class,', list);
  checkDecision(config.decision, labels?.names ?? []);
  if (quantization) {
    quantization.float_layers ??= [];
    check(config.preprocessing.mean.every(within(0, 1)), 'preprocessing.mean', config.preprocessing.mean);
  }
  return config;
}
