// A worker that makes small previews, one after the other, so that the page itself never waits for a large picture.
// The browser turns a picture as its EXIF says, as the server does.

const WIDTH = 360;
const HEIGHT = 270;
let last = Promise.resolve();

onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer({ id, file }) {
  try {
    const bitmap = await createImageBitmap(file);
    const { width, height } = bitmap;
    postMessage({ id, width, height, blob: await cut(bitmap) });
  } catch {
    postMessage({ id, blob: null });
  }
}

/** The middle of the picture in the shape of a card. */
async function cut(bitmap) {
  const scale = Math.max(WIDTH / bitmap.width, HEIGHT / bitmap.height);
  const [width, height] = [WIDTH / scale, HEIGHT / scale];
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - width) / 2, (bitmap.height - height) / 2, width, height, 0, 0, WIDTH, HEIGHT);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/webp", quality: 0.8 });
}
