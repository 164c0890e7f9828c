// A safetensors file, read without trust: what its header says, and where its tensors are. docs/model-file.md is the specification.
import { damaged, shown } from './errors.js';

const SIZES = { F32: 4, I64: 8, I8: 1, U8: 1 }, ROOM = 2 ** 20, DEPTH = 32;
const cut = () => damaged('it is damaged, cut short or no safetensors file: get it again');

// { description, tensors: name -> [dtype, shape, begin], data } of a file's bytes.
export function readFile(bytes) {
  const length = bytes.length < 10 ? 0 : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)), start = 8 + length;
  if (!length || start > bytes.length || bytes[8] !== 0x7b) cut();
  const data = bytes.subarray(start);
  if (length > 2 * (ROOM + data.length)) cut();
  const { __metadata__: metadata, ...entries } = strictJson(unicode(bytes.subarray(8, start))), tensors = new Map(Object.entries(entries));
  const span = (tensor) => Object(tensor?.data_offsets), middle = (tensor) => span(tensor)[0] + span(tensor)[1];
  let at = 0;
  for (const [name, tensor] of [...tensors].sort(([, a], [, b]) => middle(a) - middle(b))) {
    const { dtype, shape } = Object(tensor), size = SIZES[dtype];
    if (!size || !Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 0)) damaged(`${shown(name)} is none of a model's tensors`);
    const next = at + shape.reduce((n, d) => n * d, size);
    if (span(tensor)[0] !== at || span(tensor)[1] !== next) cut();
    tensors.set(name, [dtype, shape, at]);
    at = next;
  }
  if (at !== data.length) cut();
  const text = metadata?.lcnet, most = ROOM + 1024 * (tensors.get('classifier.weight')?.[1][0] ?? 0);
  if (typeof text !== 'string' || text.length > most || length > 3 * most) damaged('it has no description: `lcnet convert` writes one');
  return { description: strictJson(text), tensors, data };
}

function unicode(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return cut();
  }
}

// An object of JSON in which no key is there twice, no number is infinite, and all text is Unicode.
function strictJson(source) {
  const keys = [];
  try {
    for (const [, token, colon] of source.matchAll(/("(?:[^"\\]|\\.)*"|[{}[\]])\s*(:?)/g)) {
      if ('{['.includes(token[0])) keys.push(new Set());
      else if ('}]'.includes(token[0])) keys.pop();
      else if (colon && keys.at(-1).size === keys.at(-1).add(JSON.parse(token)).size) throw new RangeError(token);
      if (keys.length > DEPTH) throw new RangeError(token);
    }
    return JSON.parse(source, (key, v) => {
      if (Math.abs(v) === Infinity || !`${key}${typeof v === 'string' ? v : ''}`.isWellFormed()) throw new RangeError(key);
      return v;
    });
  } catch (error) {
    return damaged(`its header or description is no strict JSON: ${shown(error.message)}`, error);
  }
}
