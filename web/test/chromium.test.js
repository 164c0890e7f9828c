// The same bits and answers in a page and in a module worker of Chromium, served without special headers.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CASES, DIST } from './files.mjs';
import { chromium, missing, resultOf, served } from './served.mjs';

const here = (path) => new URL(path, import.meta.url).pathname;

test('a page and a worker', { skip: missing }, async () => {
  const server = await served({ dist: DIST, cases: CASES, test: here('.'), golden: here('../../tests/golden') }), browser = await chromium();
  try {
    const found = await resultOf(browser, `${server.address}/test/page.html`);
    assert.equal(found.error, undefined, found.error);
    assert.deepEqual(found.golden, { networks: 5, wrong: [] });
    for (const where of ['page', 'worker'])
      for (const [name, { isa, same, result, expected }] of Object.entries(found[where])) {
        assert.equal(isa, 'wasm_relaxed');
        assert.ok(same, `${name} in a ${where}`);
        assert.deepEqual(result.top.map((one) => one.label), expected.top.map((one) => one.label));
      }
    assert.deepEqual(found.decoded, { same: [true, true, true], wrong: 'damaged' });
    assert.deepEqual(found.progress.end[0], found.progress.end[1]);
    assert.equal(found.progress.labels, 1000);
  } finally {
    await browser.close();
    server.close();
  }
});
