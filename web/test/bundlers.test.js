// What `npm pack` makes, in the bundles of Vite and webpack 5: a page that finds the modules and the worker by itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'node:test';
import { CASES, DIST } from './files.mjs';
import { TOOLS, chromium, missing, resultOf, served, toolsOf } from './served.mjs';

const without = (name) => missing || (!existsSync(join(TOOLS, 'node_modules', name)) && `there is no ${name}: make test-web installs it`);
const ENTRY = `
import { LcnetError, load, loadInWorker } from '@lcnet-cpu/lcnet';
const made = async (how) => (await how('/cases/unknown.safetensors')).logits({ data: new Uint8Array(3 * 64 * 64).map((_, i) => i % 251), width: 64, height: 64 });
window.result = (async () => ({ here: Array.from((await made(load)).data), there: Array.from((await made(loadInWorker)).data), name: LcnetError.name.length > 0 }))();
`;

// A project that has the package as npm would install it.
function project() {
  const folder = mkdtempSync(join(tmpdir(), 'lcnet-bundle-')), into = join(folder, 'node_modules/@lcnet-cpu/lcnet');
  mkdirSync(into, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: DIST, encoding: 'utf8' }).trim();
  execFileSync('tar', ['xzf', join(folder, packed), '--strip-components=1', '-C', into]);
  writeFileSync(join(folder, 'package.json'), '{"type": "module", "private": true}');
  writeFileSync(join(folder, 'main.js'), ENTRY);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><meta charset="utf-8"><script type="module" src="/main.js"></script>');
  return folder;
}

async function runs(folder) {
  const server = await served({ bundle: folder, assets: join(folder, 'assets'), cases: CASES }), browser = await chromium();
  try {
    const { error, here, there } = await resultOf(browser, `${server.address}/bundle/index.html`);
    assert.equal(error, undefined, error);
    assert.equal(here.length, 5);
    assert.deepEqual(there, here);
  } finally {
    await browser.close();
    server.close();
  }
}

test('npm pack has what is needed, and nothing else', () => {
  const files = readdirSync(join(project(), 'node_modules/@lcnet-cpu/lcnet')).sort();
  for (const name of ['index.js', 'index.d.ts', 'worker.js', 'lcnet.simd.wasm', 'lcnet.relaxed.int8.wasm', 'LICENSE', 'README.md']) assert.ok(files.includes(name), name);
  assert.ok(files.length <= 16, files);
});

test('a bundle of Vite', { skip: without('vite') }, async () => {
  const folder = project(), { build } = await import(pathToFileURL(join(TOOLS, 'node_modules/vite/dist/node/index.js')));
  await build({ root: folder, base: './', logLevel: 'error', worker: { format: 'es' } });
  await runs(join(folder, 'dist'));
});

test('a bundle of webpack', { skip: without('webpack') }, async () => {
  const folder = project(), out = join(folder, 'out');
  const stats = await new Promise((resolve, reject) =>
    toolsOf('webpack')({ mode: 'production', context: folder, entry: './main.js', output: { path: out, filename: 'main.js', publicPath: 'auto' } }, (error, made) => (error ? reject(error) : resolve(made))));
  assert.deepEqual(stats.toJson({ errors: true, warnings: false }).errors, []);
  cpSync(join(folder, 'index.html'), join(out, 'index.html'));
  writeFileSync(join(out, 'index.html'), '<!doctype html><meta charset="utf-8"><script src="main.js"></script>');
  await runs(out);
});
