// The program for Node: its lines, its JSON, and what it says of what it cannot read.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { CASES, DIST, cases, lcnet, pictureOf } from './files.mjs';

const folder = mkdtempSync(join(tmpdir(), 'lcnet-web-')), model = join(CASES, 'unknown.safetensors');
const run = (...given) => spawnSync(process.execPath, [...process.execArgv.filter((a) => a.startsWith('--experimental-wasm')), join(DIST, 'bin/lcnet-web.js'), ...given], { encoding: 'utf8' });

const { data, width, height } = pictureOf(cases.models.unknown.pictures[0]), ppm = join(folder, 'a picture.ppm');
writeFileSync(ppm, Buffer.concat([Buffer.from(`P6\n# drawn\n${width} ${height}\n255\n`), data]));

test('a line and an object a picture', async () => {
  const network = await lcnet.load(model), [expected] = await network.classify({ data, width, height });
  const json = run('classify', ppm, ppm, '-m', model, '-f', 'json');
  assert.deepEqual(json.stdout.trim().split('\n').map(JSON.parse), Array(2).fill({ image: ppm, ...expected }));
  const text = run('classify', ppm, '-m', model, '-k', '1');
  assert.equal(text.stdout, `${ppm}: ${expected.known ? '' : 'unknown, '}${expected.top[0].label} ${(100 * expected.top[0].probability).toFixed(1)}%\n`);
  assert.equal(text.status, 0);
});

test('JPEG files, in colour and grey, turned as they say, have the answers of Python', () => {
  const names = cases.files.map(({ file }) => join(CASES, file)), found = run('classify', ...names, '-m', join(CASES, 'bundled.safetensors'), '-f', 'json');
  assert.equal(found.stderr, '');
  found.stdout.trim().split('\n').map(JSON.parse).forEach(({ top }, i) =>
    top.forEach(({ label, probability }, j) => {
      const expected = cases.files[i].result.top[j];
      assert.equal(label, expected.label, cases.files[i].file);
      assert.ok(Math.abs(probability - expected.probability) <= 3e-5 * expected.probability, `${cases.files[i].file}: ${probability}, ${expected.probability}`);
    }));
});

test('what is wrong is said in a line', () => {
  writeFileSync(join(folder, 'short.ppm'), 'P6\n100 100\n255\nabc');
  writeFileSync(join(folder, 'text.ppm'), 'hello');
  writeFileSync(join(folder, 'short.jpg'), readFileSync(join(CASES, 'turned1.jpg')).subarray(0, 900));
  for (const [given, words, status] of [
    [['classify', join(folder, 'none.ppm'), '-m', model], /none.ppm: it cannot be read: ENOENT/, 1],
    [['classify', join(folder, 'short.ppm'), '-m', model], /cut short/, 1],
    [['classify', join(folder, 'short.jpg'), '-m', model], /short.jpg: it is/, 1],
    [['classify', join(folder, 'text.ppm'), '-m', model], /decode it first/, 1],
    [['classify', ppm, '-m', ppm], /the model file/, 1],
    [['classify', ppm, '-m', model, '-k', '0'], /topK/, 1],
    [['classify', ppm], /no model is named/, 2],
    [['classify', ppm, '-m', model, '--fast'], /--fast/, 2],
    [['train'], /no command/, 2],
  ]) {
    const done = run(...given);
    assert.match(done.stderr, words);
    assert.equal(done.status, status, done.stderr);
    assert.equal(done.stdout, '');
    assert.doesNotMatch(done.stderr, /\n +at /);
  }
});
