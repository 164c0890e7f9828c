// A safetensors file, read without trust: what its header says, and where its tensors are. docs/model-file.md is the specification.
import { damaged, shown } from './errors.js';

const SIZES = { F32: 4, I64: 8, I8: 1, U8: 1 };
const ROOM = 2 ** 20, DEPTH = 32;
const CUT = 'it is cut short or damaged: get it again';

// { description, tensors: name -> { dtype, shape, begin, end }, data } of a file's bytes.
export function readFile(bytes) {
  const length = bytes.length < 10 ? 0 : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)), start = 8 + length;
  if (!length || start > bytes.length || bytes[8] !== 0x7b) damaged('it is no safetensors file, or cut short: `lcnet convert` writes one');
  const data = bytes.subarray(start);
  if (length > 2 * (ROOM + data.length)) damaged(`its header has ${length} bytes, more than its tensors warrant`);
  const { __metadata__: metadata, ...entries } = strictJson(unicode(bytes.subarray(8, start)));
  const tensors = new Map(Object.entries(entries));
  let at = 0;
  for (const [name, tensor] of [...tensors].sort(([, a], [, b]) => begin(a) - begin(b) || end(a) - end(b))) {
    const { dtype, shape } = Object(tensor);
    if (!SIZES[dtype] || !Array.isArray(shape) || !shape.every((n) => Number.isSafeInteger(n) && n >= 0)) damaged(`${shown(name)} is none of a model's tensors`);
    if (begin(tensor) !== at || end(tensor) - at !== shape.reduce((n, d) => n * d, SIZES[dtype])) damaged(CUT);
    tensors.set(name, { dtype, shape, begin: at, end: (at = end(tensor)) });
  }
  if (at !== data.length) damaged(CUT);
  const text = metadata?.lcnet, most = ROOM + 1024 * (tensors.get('classifier.weight')?.shape[0] ?? 0);
  if (typeof text !== 'string') damaged('it has no description: `lcnet convert` writes a file that has one');
  if (text.length > most || length > 3 * most) damaged(`its description has more than ${most} bytes`);
  return { description: strictJson(text), tensors, data };
}

const begin = (tensor) => Object(tensor?.data_offsets)[0];
const end = (tensor) => Object(tensor?.data_offsets)[1];

function unicode(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    return damaged('its header is no Unicode', error);
  }
}

// An object of JSON in which no key is there twice, no number is infinite, and all text is Unicode.
function strictJson(source) {
  const keys = [];
  let value;
  try {
    value = JSON.parse(source, (key, v) => {
      if (Math.abs(v) === Infinity || !`${key}${typeof v === 'string' ? v : ''}`.isWellFormed()) throw new RangeError(key);
      return v;
    });
  } catch (error) {
    damaged('its description or its header is not JSON', error);
  }
  for (const [, token, colon] of source.matchAll(/("(?:[^"\\]|\\.)*"|[{}[\]])\s*(:?)/g)) {
    if (/[{[]/.test(token[0])) keys.push(new Set());
    else if (/[}\]]/.test(token[0])) keys.pop();
    else if (colon) {
      const key = JSON.parse(token), seen = keys.at(-1);
      if (seen.has(key)) damaged(`the key ${shown(key)} is there twice in one object`);
      seen.add(key);
    }
    if (keys.length > DEPTH) damaged(`it is nested more than ${DEPTH} levels deep`);
  }
  return value;
}
