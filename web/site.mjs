// Puts the page without a server together, for any static host: node web/site.mjs PACKAGE SITE MODEL... PACKAGE is the built package; the
// first model is loaded at once, the others are a choice. The page's files are as they are: two of them are put into its index.html.
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const [dist, site, ...models] = process.argv.slice(2).map((path) => resolve(path)), page = fileURLToPath(new URL('page/', import.meta.url));
const PARTS = ['head', 'body'], PROGRAM = /^(lcnet|index|worker)[\w.]*\.(js|wasm)$|^LICENSE$|NOTICES/;
const names = models.map((model) => basename(model));

if (!existsSync(`${dist}/package.json`)) fail(`${dist} has no package: \`make web\` builds it`);
if (existsSync(site) && !existsSync(`${site}/models/models.json`)) fail(`${site} is there, and is no such page: name a new folder`);
for (const name of names) if (!/^[\w.-]+$/.test(name)) fail(`${name} cannot be an address: letters, digits, dots and dashes can`);

await rm(site, { recursive: true, force: true });
for (const folder of ['page', 'lcnet', 'models']) await mkdir(`${site}/${folder}`, { recursive: true });
for (const name of await readdir(page))
  if (name !== 'http' && !PARTS.includes(name.replace('.html', ''))) await cp(page + name, `${site}/page/${name}`, { recursive: true });
await rm(`${site}/page/wasm/index.html`);
for (const name of await readdir(dist)) if (PROGRAM.test(name)) await cp(`${dist}/${name}`, `${site}/lcnet/${name}`);
for (const model of models) await cp(model, `${site}/models/${basename(model)}`);
await writeFile(`${site}/models/models.json`, `${JSON.stringify(names)}\n`);
await writeFile(`${site}/index.html`, await index());

async function index() {
  const given = { '{{package}}': JSON.parse(await readFile(`${dist}/package.json`, 'utf8')).name };
  for (const name of PARTS) given[`{{${name}}}\n`] = await readFile(`${page}${name}.html`, 'utf8');
  return (await readFile(`${page}wasm/index.html`, 'utf8')).replace(/\{\{package\}\}|\{\{\w+\}\}\n/g, (place) => given[place]);
}

function fail(words) {
  console.error(words);
  process.exit(1);
}
