// The same answers in Deno, in its own thread and in a worker.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { CASES, DIST, lcnet } from './files.mjs';
import { TOOLS } from './served.mjs';

const DENO = join(TOOLS, 'node_modules/.bin/deno'), picture = { data: new Uint8Array(3 * 40 * 50).map((_, i) => i % 251), width: 50, height: 40 };
const PROGRAM = `
import { load, loadInWorker } from ${JSON.stringify(join(DIST, 'index.js'))};
const picture = { data: new Uint8Array(3 * 40 * 50).map((_, i) => i % 251), width: 50, height: 40 }, file = ${JSON.stringify(join(CASES, 'unknown.safetensors'))};
const here = await load(file), there = await loadInWorker(file);
console.log(JSON.stringify([here.info.isa, await here.classify(picture), await there.classify(picture)]));
there.dispose();
`;

test('Deno', { skip: existsSync(DENO) ? false : 'there is no Deno: make test-web installs it' }, async () => {
  const program = join(mkdtempSync(join(tmpdir(), 'lcnet-deno-')), 'main.mjs');
  writeFileSync(program, PROGRAM);
  const done = spawnSync(DENO, ['run', '--allow-read', '--allow-env', '--no-lock', program], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  const [isa, here, there] = JSON.parse(done.stdout.trim().split('\n').at(-1));
  const network = await lcnet.load(join(CASES, 'unknown.safetensors'), { exact: isa === 'wasm_relaxed' ? undefined : 'plain' });
  assert.deepEqual(here, await network.classify(picture));
  assert.deepEqual(there, here);
});
