// Pictures to pixels. Pixels that are given go in as they are; what is encoded is decoded by the browser at its full size, turned as
// its EXIF orientation says, and never resized by a canvas.
import { argument, fail, shown, tooLarge } from './errors.js';

const MOST = 178_956_970, SIDE = 2 ** 24; // as in Python

// { data, width, height } with as many bytes a pixel as the network takes, or 3 or 4.
export async function pixelsOf(picture, { input_size: [channels], exif }) {
  if (picture instanceof Blob) return decoded(picture, exif);
  if (globalThis.ImageBitmap && picture instanceof ImageBitmap) return drawn(picture);
  const { data, width, height } = Object(picture), step = data?.length / (width * height);
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray) || !(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0))
    argument('a picture is a Blob, ImageBitmap, ImageData or { data: Uint8Array, width, height }');
  fits(width, height);
  const allowed = channels === 1 || channels === 3 ? [1, 3, 4] : channels < 5 ? [channels] : [];
  if (!allowed.includes(step)) argument(`a picture of ${width} x ${height} pixels has ${data.length} bytes, expected ${allowed} a pixel`);
  if (step > 1 || channels === 1) return { data, width, height };
  return { data: Uint8Array.from({ length: 3 * data.length }, (_, i) => data[Math.floor(i / 3)]), width, height };
}

const fits = (width, height, room = true) => (room && width * height <= MOST && Math.max(width, height) <= SIDE) || tooLarge(`a picture has ${width} x ${height} pixels`);

async function decoded(blob, exif) {
  if (!globalThis.createImageBitmap) argument('pictures are not decoded here: give { data, width, height }');
  const options = { imageOrientation: exif ? 'from-image' : 'none', premultiplyAlpha: 'none', colorSpaceConversion: 'none' };
  const bitmap = await createImageBitmap(blob, options).catch((error) =>
    fail(/^image\//.test(blob.type) ? 'damaged' : 'not_a_picture', 'a picture is damaged, or of a format that this browser does not read', error));
  try {
    return drawn(bitmap);
  } finally {
    bitmap.close();
  }
}

function drawn(bitmap) {
  const { width, height } = bitmap;
  fits(width, height);
  const canvas = globalThis.OffscreenCanvas ? new OffscreenCanvas(width, height) : Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  fits(width, height, context);
  context.drawImage(bitmap, 0, 0);
  return { data: context.getImageData(0, 0, width, height).data, width, height };
}
