// Our package beside onnxruntime-web in Node and in headless Chromium: node web/bench/bench.mjs MODELS -o results/web.json. MODELS is
// what models.py makes. Rounds in turns; loading in a program or page of its own each time.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { TOOLS, chromium, resultOf, served } from '../test/served.mjs';
import { median, opened, raced, round } from './race.mjs';

const { values, positionals } = parseArgs({ options: { output: { type: 'string', short: 'o' }, one: { type: 'string' } }, allowPositionals: true });
const here = fileURLToPath(new URL('.', import.meta.url)), models = resolve(positionals[0]), dist = resolve(here, '../dist'), ort = join(TOOLS, 'node_modules/onnxruntime-web/dist');
const MODELS = ['lcnet_050', 'lcnet_100', 'lcnet_050.int8', 'lcnet_100.int8'], LOADS = 3;
const from = { dist: pathToFileURL(dist), ort: pathToFileURL(ort), models, read: async (path) => new Uint8Array(await readFile(path)) };

// This program again, for one load or one race.
const again = (...what) => JSON.parse(execFileSync(process.execPath, [...process.execArgv, fileURLToPath(import.meta.url), models, '--one', what.join(',')], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));

if (values.one) {
  const [what, name, side] = values.one.split(',');
  process.stdout.write(JSON.stringify(what === 'race' ? await raced(from, name) : await opened(from, name, side)));
  process.exit();
}

async function loads(ask) {
  const row = {};
  for (const side of ['ours', 'ort', 'ours', 'ort']) row[side] = { loaded: [], first: [] };
  for (let i = 0; i < LOADS; ++i)
    for (const side of ['ours', 'ort']) {
      const { loaded, first } = await ask(side);
      row[side].loaded.push(loaded);
      row[side].first.push(first);
    }
  const of = (side) => ({ load_ms: round(median(row[side].loaded)), first_answer_ms: round(median(row[side].first)) });
  return { ours: of('ours'), ort: of('ort'), times_as_quick: round(median(row.ort.loaded) / median(row.ours.loaded)) };
}

async function measured(ask) {
  const rows = {};
  for (const name of MODELS) {
    rows[name] = { ...(await ask('race', name)), loading: await loads((side) => ask('open', name, side)) };
    console.error(name, rows[name].times_as_fast, 'times as fast,', rows[name].loading.times_as_quick, 'times as quick to load');
  }
  return rows;
}

async function inChromium() {
  const server = await served({ dist, ort, models, bench: here });
  const ask = async (...what) => {
    const browser = await chromium();
    try {
      const found = await resultOf(browser, `${server.address}/bench/page.html#${what}`);
      if (found.error) throw new Error(found.error);
      return { ...found, version: await browser.version() };
    } finally {
      await browser.close();
    }
  };
  const rows = await measured(ask), { version, ...decoded } = await ask('decoded');
  for (const row of Object.values(rows)) delete row.version;
  server.close();
  return { version, models: rows, jpeg_beside_pillow: decoded };
}

const weigh = (folder, names) => Object.fromEntries(names.map((name) => [name, { bytes: readFileSync(join(folder, name)).length, gzip: gzipSync(readFileSync(join(folder, name)), { level: 9 }).length }]));

const result = {
  command: 'make bench-web',
  date: new Date().toISOString().slice(0, 10),
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).trim(),
  cpu: cpus()[0].model,
  load_average: loadavg().map(round),
  onnxruntime_web: JSON.parse(readFileSync(join(ort, '../package.json'))).version,
  sizes: {
    ours: weigh(dist, readdirSync(dist).filter((name) => /\.(js|wasm)$/.test(name))),
    onnxruntime_web: weigh(ort, ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm']),
  },
  node: { version: process.version, models: await measured(async (...what) => again(...what)) },
  chromium: await inChromium(),
};
writeFileSync(values.output ?? '/dev/stdout', `${JSON.stringify(result, null, 1)}\n`);
