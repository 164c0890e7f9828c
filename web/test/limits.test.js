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

test('the JavaScript that a page loads has 8 KB at most, and what a worker has besides half of one', () => {
  assert.ok(weight('index.js') <= 8_000, weight('index.js'));
  assert.ok(weight('worker.js') <= 500, weight('worker.js'));
  assert.deepEqual(readdirSync(DIST).filter((name) => name.endsWith('.js')), ['index.js', 'worker.js']);
});
