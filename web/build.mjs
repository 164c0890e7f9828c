// Puts the package together: node web/build.mjs MODULES TOOLS DIST. MODULES has the folders wasm-simd and wasm-relaxed of the build,
// TOOLS esbuild, which leaves out what only people read. Pages load index.js and lcnet.js, workers worker.js and the same lcnet.js.
import { cp, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [modules, tools, dist] = process.argv.slice(2).map((path) => resolve(path)), here = new URL('.', import.meta.url);
const esbuild = createRequire(`${tools}/`)('esbuild');
const source = (name) => new URL(name, here).pathname;

await rm(dist, { recursive: true, force: true });
await mkdir(`${dist}/bin`, { recursive: true });
await esbuild.build({
  entryPoints: [source('src/index.js'), source('src/worker.js')], outdir: dist, bundle: true, splitting: true, minify: true,
  format: 'esm', target: 'es2022', chunkNames: 'lcnet',
});
for (const kind of ['simd', 'relaxed'])
  for (const which of ['', '.int8']) await cp(`${modules}/wasm-${kind}/lcnet${which}.wasm`, `${dist}/lcnet.${kind}${which}.wasm`);
for (const name of ['package.json', 'index.d.ts', 'README.md', 'bin/lcnet-web.js', '../LICENSE', '../THIRD_PARTY_NOTICES.md'])
  await cp(source(name), `${dist}/${name.replace('../', '')}`);
