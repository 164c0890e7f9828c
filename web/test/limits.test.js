// What the package weighs, as a server sends it: gzip.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { DIST } from './files.mjs';

const weight = (name) => gzipSync(readFileSync(`${DIST}/${name}`), { level: 9 }).length;

for (const kind of ['simd', 'relaxed']) {
  test(`lcnet.${kind}.wasm has 45 KB at most`, () => assert.ok(weight(`lcnet.${kind}.wasm`) <= 45_000, weight(`lcnet.${kind}.wasm`)));
  test(`lcnet.${kind}.int8.wasm has 70 KB at most`, () => assert.ok(weight(`lcnet.${kind}.int8.wasm`) <= 70_000, weight(`lcnet.${kind}.int8.wasm`)));
}

test('all JavaScript has 8 KB at most', () => {
  const weights = readdirSync(DIST).filter((name) => name.endsWith('.js')).map(weight);
  assert.ok(weights.reduce((a, b) => a + b) <= 8_000, String(weights));
});
