// A folder or several over HTTP, and a Chromium that is there: for tests in pages.
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';

export const TOOLS = process.env.LCNET_WEB_TOOLS ?? new URL('../../build/web-tools/', import.meta.url).pathname;
export const toolsOf = createRequire(join(TOOLS, 'index.js'));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json' };

// folders: the first name of a path -> a folder. Adds the paths that were asked for to `asked`.
export async function served(folders, asked = []) {
  const server = createServer(async ({ url }, response) => {
    const [, first, ...rest] = normalize(decodeURIComponent(url.split('?')[0])).split('/');
    asked.push(url);
    const path = folders[first] && join(folders[first], ...rest);
    const data = path && (await readFile(path).catch(() => null));
    response.writeHead(data ? 200 : 404, { 'content-type': TYPES[extname(path ?? '')] ?? 'application/octet-stream', 'content-length': data?.length ?? 0 });
    response.end(data ?? undefined);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

export const CHROMIUM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));
export const missing = !CHROMIUM
  ? 'there is no Chromium: install it, or name it in CHROMIUM'
  : !existsSync(join(TOOLS, 'node_modules/puppeteer-core')) && 'there is no puppeteer-core: make test-web installs it';

export function chromium(...flags) {
  return toolsOf('puppeteer-core').launch({ executablePath: CHROMIUM, args: ['--no-sandbox', ...flags] });
}

// What a page's `window.result`, a promise, becomes.
export async function resultOf(browser, address) {
  const page = await browser.newPage(), errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(address);
  try {
    return await page.evaluate(() => Promise.resolve(window.result).then((value) => value, (error) => ({ error: `${error.code}: ${error.stack}` })));
  } finally {
    if (errors.length) console.error(errors);
    await page.close();
  }
}
