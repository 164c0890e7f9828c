// What the tests share: the built package, and the files that cases.py wrote.
import { readFileSync } from 'node:fs';

export const DIST = process.env.LCNET_WEB_DIST ?? new URL('../dist/', import.meta.url).pathname;
export const CASES = process.env.LCNET_WEB_CASES ?? new URL('../../build/web-cases/', import.meta.url).pathname;

export const lcnet = await import(`file://${DIST.replace(/\/?$/, '/')}index.js`);
export const cases = JSON.parse(readFileSync(`${CASES}/cases.json`));
export const bytesOf = (name) => new Uint8Array(readFileSync(`${CASES}/${name}`));
export const floatsOf = (name) => new Float32Array(bytesOf(name).buffer);
export const pictureOf = ({ data, width, height }) => ({ data: bytesOf(data), width, height });

// How many numbers have other bits.
export function differences(a, b) {
  const [x, y] = [a, b].map((v) => new Uint32Array(v.buffer, v.byteOffset, v.length));
  return x.length === y.length ? x.reduce((n, bits, i) => n + (bits !== y[i]), 0) : Infinity;
}

// The arithmetics that this program has.
export const relaxed = WebAssembly.validate(
  new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 19, 1, 17, 0,
    0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x85, 2, 0x0b]));
export const families = relaxed ? ['fma', 'plain'] : ['plain'];
