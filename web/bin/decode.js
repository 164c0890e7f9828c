// Files to pixels where there is no browser: JPEG by the module's decoder, whose pixels are Pillow's to the bit, PPM and PGM files of bytes.
import { readFile } from 'node:fs/promises';
import { LcnetError } from '../index.js';

const MOST = 178_956_970; // pixels

// By rows from the top left: where pixel x, y of the upright picture is in a file of that EXIF orientation, of w x h pixels there.
const TURNS = {
  2: (x, y, w) => [w - 1 - x, y],
  3: (x, y, w, h) => [w - 1 - x, h - 1 - y],
  4: (x, y, w, h) => [x, h - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, w, h) => [y, h - 1 - x],
  7: (x, y, w, h) => [w - 1 - y, h - 1 - x],
  8: (x, y, w) => [w - 1 - y, x],
};

let module;

async function fromJpeg(bytes, name) {
  module ??= WebAssembly.compile(await readFile(new URL('../lcnet.simd.wasm', import.meta.url)));
  const { exports: e } = await WebAssembly.instantiate(await module, {});
  e._initialize();
  const data = e.lcnet_alloc(bytes.length);
  new Uint8Array(e.memory.buffer, data, bytes.length).set(bytes);
  const width = e.lcnet_jpeg_width(data, bytes.length), height = e.lcnet_jpeg_height(), channels = e.lcnet_jpeg_channels(), size = width * height * channels;
  if (!width) throw new LcnetError('not_a_picture', `${name}: it is a JPEG file of a kind that is not read here (progressive, CMYK, ...), or damaged: decode it first`);
  if (width * height > MOST) throw new LcnetError('too_large', `${name}: it has ${width} x ${height} pixels: make it smaller`);
  const pixels = e.lcnet_alloc(size) >>> 0;
  if (!pixels || !e.lcnet_jpeg_pixels(data, bytes.length, pixels)) throw new LcnetError('damaged', `${name}: it is damaged or cut short: get it again`);
  return { data: new Uint8Array(e.memory.buffer, pixels, size), width, height };
}

// The orientation that a JPEG file's EXIF block states, by EXIF 2.32: tag 0x0112 of its first directory. 1 if there is none.
export function orientationOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 2; at + 4 <= view.byteLength && view.getUint8(at) === 0xff && view.getUint8(at + 1) !== 0xda; at += 2 + view.getUint16(at + 2)) {
    if (view.getUint16(at) !== 0xffe1 || bytes.toString('latin1', at + 4, at + 10) !== 'Exif\0\0') continue;
    try {
      return inDirectory(new DataView(view.buffer, view.byteOffset + at + 10, view.getUint16(at + 2) - 8));
    } catch {
      return 1; // a damaged block says nothing about the picture
    }
  }
  return 1;
}

function inDirectory(tiff) {
  const little = tiff.getUint16(0) === 0x4949, first = tiff.getUint32(4, little);
  for (let i = 0; i < tiff.getUint16(first, little); ++i)
    if (tiff.getUint16(first + 2 + 12 * i, little) === 0x0112) return tiff.getUint16(first + 10 + 12 * i, little);
  return 1;
}

function turned({ data, width, height }, orientation) {
  const from = TURNS[orientation];
  if (!from) return { data, width, height };
  const [w, h] = orientation > 4 ? [height, width] : [width, height], step = data.length / (w * h), out = new Uint8Array(data.length);
  for (let y = 0; y < h; ++y)
    for (let x = 0; x < w; ++x) {
      const [column, line] = from(x, y, width, height), at = (line * width + column) * step;
      for (let c = 0; c < step; ++c) out[(y * w + x) * step + c] = data[at + c];
    }
  return { data: out, width: w, height: h };
}

// As Netpbm's manual has it: P5 is grey, P6 red, green and blue.
function fromNetpbm(bytes, name) {
  const [header, kind, width, height, most] = /^P([56])\s(?:#[^\n]*\n|\s)*(\d{1,9})\s(?:#[^\n]*\n|\s)*(\d{1,9})\s(?:#[^\n]*\n|\s)*(\d{1,5})\s/.exec(bytes.toString('latin1', 0, 4096)) ?? [];
  const size = width * height * (kind === '6' ? 3 : 1), data = new Uint8Array(bytes.subarray(header?.length));
  if (!header || most !== '255' || data.length < size) throw new LcnetError('damaged', `${name}: it is cut short, or its values are not from 0 to 255`);
  return { data: data.subarray(0, size), width: Number(width), height: Number(height) };
}

// The pixels of a file; `exif`: turned upright. Raises LcnetError that names it.
export async function pixelsOf(name, { exif }) {
  const bytes = await readFile(name).catch((error) => {
    throw new LcnetError('not_found', `${name}: it cannot be read: ${error.code}`);
  });
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return turned(await fromJpeg(bytes, name), exif ? orientationOf(bytes) : 1);
  if (/^P[56]\s/.test(bytes.toString('latin1', 0, 3))) return fromNetpbm(bytes, name);
  throw new LcnetError('not_a_picture', `${name}: it is no JPEG, PPM or PGM file, which are all that is read here: decode it first`);
}
