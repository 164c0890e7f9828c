// Puts the package together: node web/build.mjs MODULES TOOLS DIST. MODULES has the folders wasm-simd and wasm-relaxed of the build,
// TOOLS esbuild and terser, which leave out what only people read. All of it is index.js, which worker.js loads too.
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [modules, tools, dist] = process.argv.slice(2).map((path) => resolve(path)), here = new URL('.', import.meta.url);
const { build } = createRequire(`${tools}/`)('esbuild'), { minify } = createRequire(`${tools}/`)('terser');
const source = (name) => new URL(name, here).pathname;

await rm(dist, { recursive: true, force: true });
await mkdir(`${dist}/bin`, { recursive: true });
for (const [name, external] of [['index.js', []], ['worker.js', ['./index.js']]]) {
  await build({ entryPoints: [source(`src/${name}`)], outdir: dist, bundle: true, minify: true, format: 'esm', target: 'es2022', external });
  const { code } = await minify(await readFile(`${dist}/${name}`, 'utf8'), { module: true, ecma: 2020, compress: { passes: 3, unsafe_arrows: true } });
  await writeFile(`${dist}/${name}`, code);
}
for (const kind of ['simd', 'relaxed'])
  for (const which of ['', '.int8']) await cp(`${modules}/wasm-${kind}/lcnet${which}.wasm`, `${dist}/lcnet.${kind}${which}.wasm`);
for (const name of ['package.json', 'index.d.ts', 'README.md', 'bin/lcnet-web.js', 'bin/decode.js', '../LICENSE', '../THIRD_PARTY_NOTICES.md'])
  await cp(source(name), `${dist}/${name.replace('../', '')}`);
