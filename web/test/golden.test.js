// The bits that every build of the core gives: tests/golden/networks.txt.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { DIST, families } from './files.mjs';
import { networksOf, resultsOf } from './golden.mjs';

const networks = networksOf(readFileSync(new URL('../../tests/golden/networks.txt', import.meta.url), 'utf8'));
const moduleOf = (name) => new WebAssembly.Module(readFileSync(`${DIST}/${name}.wasm`));

for (const family of families) {
  const kind = family === 'fma' ? 'relaxed' : 'simd', float = moduleOf(`lcnet.${kind}`), int8 = moduleOf(`lcnet.${kind}.int8`);
  for (const network of networks)
    test(`the golden bits of '${network.name}' by ${family}`, () => {
      assert.deepEqual(resultsOf(float, network, false), network[family]);
      assert.deepEqual(resultsOf(int8, network, false), network[family]);
      assert.deepEqual(resultsOf(int8, network, true), network.int8);
    });
}
