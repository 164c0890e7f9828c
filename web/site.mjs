// Puts the page without a server together, for any static host: node web/site.mjs PACKAGE SITE MODEL... PACKAGE is the built package; the
// first model is loaded at once, the others are a choice. The page's files are as they are: two of them are put into its index.html.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

const [dist, site, ...models] = process.argv.slice(2).map((path) => resolve(path)), page = new URL('page/', import.meta.url).pathname;
const PARTS = ['head.html', 'body.html'], PROGRAM = /^(lcnet|index|worker)[\w.]*\.(js|wasm)$|^LICENSE$|NOTICES/;

await rm(site, { recursive: true, force: true });
for (const folder of ['page', 'lcnet', 'models']) await mkdir(`${site}/${folder}`, { recursive: true });
for (const name of await readdir(page))
  if (name !== 'http' && !PARTS.includes(name)) await cp(page + name, `${site}/page/${name}`, { recursive: true });
await rm(`${site}/page/wasm/index.html`);
for (const name of await readdir(dist)) if (PROGRAM.test(name)) await cp(`${dist}/${name}`, `${site}/lcnet/${name}`);
for (const model of models) await cp(model, `${site}/models/${basename(model)}`);
await writeFile(`${site}/models/models.json`, `${JSON.stringify(models.map((model) => basename(model)))}\n`);

let index = await readFile(`${page}wasm/index.html`, 'utf8');
for (const name of PARTS) index = index.replace(`{{${name.split('.')[0]}}}\n`, await readFile(page + name, 'utf8'));
const { name } = JSON.parse(await readFile(`${dist}/package.json`, 'utf8'));
await writeFile(`${site}/index.html`, index.replace('{{package}}', name));
