#!/usr/bin/env node
// classify PICTURE... -m MODEL.safetensors: the answers of a model file, one line a picture, or as JSON.
import { parseArgs } from 'node:util';
import { LcnetError, load } from '../index.js';
import { pixelsOf } from './decode.js';

const USAGE = `Usage: lcnet-web classify PICTURE... -m MODEL.safetensors [-k CLASSES] [-f text|json]

Print the most probable classes of pictures: of JPEG files, whose pixels are Pillow's to the bit,
and of PPM and PGM files. Others have to be decoded first: \`lcnet classify\` of the Python package reads them all,
and in a page the browser does. Relaxed SIMD, which is faster, needs Node 22, or Node 20 with
NODE_OPTIONS=--experimental-wasm-relaxed-simd.
`;

class Usage extends Error {}

function given() {
  const options = { model: { type: 'string', short: 'm' }, top: { type: 'string', short: 'k', default: '5' }, format: { type: 'string', short: 'f', default: 'text' }, help: { type: 'boolean', short: 'h' } };
  try {
    const { values, positionals: [command, ...pictures] } = parseArgs({ options, allowPositionals: true });
    if (values.help) return { help: true };
    if (command !== 'classify') throw new Usage(`'${command ?? ''}' is no command: expected classify`);
    if (!values.model) throw new Usage('no model is named: add -m MODEL.safetensors');
    if (!pictures.length) throw new Usage('no picture is named');
    if (!['text', 'json'].includes(values.format)) throw new Usage(`format is '${values.format}', expected text or json`);
    return { ...values, top: Number(values.top), pictures };
  } catch (error) {
    throw error instanceof Usage ? error : new Usage(error.message);
  }
}

const printable = (text) => text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');

async function classified(model, name, top) {
  const pixels = await pixelsOf(name, model.info.preprocessing);
  try {
    return (await model.classify(pixels, { topK: top }))[0];
  } catch (error) {
    throw new LcnetError(error.code, `${name}: ${error.message}`);
  }
}

function line(name, { known, labels, top }) {
  return `${name}: ${known ? '' : 'unknown, '}${top.map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`).join(', ')}`;
}

async function main() {
  const { help, pictures, model: path, top, format } = given();
  if (help) return process.stdout.write(USAGE);
  const model = await load(path);
  for (const name of pictures) {
    const result = await classified(model, name, top);
    process.stdout.write(format === 'json' ? `${JSON.stringify({ image: name, ...result })}\n` : `${printable(line(name, result))}\n`);
  }
}

main().catch((error) => {
  const usage = error instanceof Usage;
  process.stderr.write(`lcnet-web: ${printable(usage || error instanceof LcnetError ? error.message : String(error))}\n${usage ? USAGE : ''}`);
  process.exitCode = usage ? 2 : 1;
});
