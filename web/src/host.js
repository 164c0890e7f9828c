// What browsers, Node and Deno do differently.
import { argument, fail, shown } from './errors.js';

// A module of Node, which bundlers need not look for.
export const node = (name) => import(`node:${name}`);
const inNode = Boolean(globalThis.process?.versions?.node);

// The whole address of a text, as the page sees it; in Node a text that is none is a path, which stays one.
export function addressOf(source) {
  if (typeof source !== 'string' || (inNode && !/^[a-z]{2,}:/i.test(source))) return source;
  return new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href);
}

// All bytes of an address, a path, a Blob or a buffer.
export async function bytesOf(source, { onProgress, signal } = {}) {
  signal?.throwIfAborted();
  const { buffer = source, byteOffset, byteLength } = Object(source);
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength);
  const address = addressOf(source), isPath = typeof address === 'string', lost = (error) => {
    signal?.throwIfAborted();
    return fail('not_found', `${shown(address.name ?? address)} cannot be read: ${error.message}`, error);
  };
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer().catch(lost));
  if (!isPath && !(address instanceof URL)) argument(`${shown(source)} is no address, Blob or own buffer`);
  if (isPath || (inNode && address.protocol === 'file:')) return new Uint8Array(await (await node('fs/promises')).readFile(address).catch(lost));
  const response = await fetch(address, { signal }).catch(lost);
  if (!response.ok) lost({ message: response.status });
  return (onProgress ? read(response, onProgress) : response.arrayBuffer().then((data) => new Uint8Array(data))).catch(lost);
}

async function read({ headers, body }, onProgress) {
  const total = headers.get('content-encoding') ? undefined : Number(headers.get('content-length')) || undefined, parts = [];
  let loaded = 0;
  for (const reader = body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    onProgress((loaded += value.length), total);
  }
}

// Null in pages that are neither https nor of this machine.
export async function sha256Of(bytes) {
  const digest = await globalThis.crypto?.subtle?.digest('SHA-256', bytes);
  return digest ? Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, 0)).join('') : null;
}
