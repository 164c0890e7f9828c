// The same network in our package and in onnxruntime-web, one thread each: how long loading takes, and an image. For Node and a page.
// Input is ready, float32 [1, 3, 224, 224]; pictures are measured by the tests of the resize.

const SHAPE = [1, 3, 224, 224];
const input = () => new Float32Array(3 * 224 * 224).map((_, i) => Math.sin(i * 0.37) + Math.sin(i * 0.0011));
export const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];

// from: addresses of `dist`, of `ort`, and of the models. What is imported is not counted: a page has it in its bundle.
export async function ours({ dist, models }, name) {
  const { load } = await import(`${dist}/index.js`), x = { data: input(), shape: SHAPE }, start = performance.now();
  const model = await load(`${models}/${name}.safetensors`), loaded = performance.now() - start;
  return { loaded, isa: model.info.isa, run: async () => (await model.logits(x)).data };
}

export async function theirs({ ort, models, read }, name) {
  const { InferenceSession, Tensor, env } = await import(`${ort}/ort.wasm.min.mjs`);
  env.wasm.numThreads = 1;
  env.wasm.wasmPaths = `${ort}/`;
  const x = { input: new Tensor('float32', input(), SHAPE) }, start = performance.now();
  const session = await InferenceSession.create(read ? await read(`${models}/${name}.onnx`) : `${models}/${name}.onnx`, { executionProviders: ['wasm'] });
  const loaded = performance.now() - start, [output] = session.outputNames, [first] = session.inputNames;
  return { loaded, run: async () => (await session.run({ [first]: x.input }))[output].data };
}

// Rounds in turns; of each the median and the least, in milliseconds, and the largest difference of the logits, as a part of their range.
export async function raced(from, name, rounds = 40, warm = 10) {
  const sides = { ours: await ours(from, name), ort: await theirs(from, name) }, times = { ours: [], ort: [] };
  const [a, b] = [await sides.ours.run(), await sides.ort.run()];
  for (let r = 0; r < rounds + warm; ++r)
    for (const side of ['ours', 'ort']) {
      const start = performance.now();
      await sides[side].run();
      if (r >= warm) times[side].push(performance.now() - start);
    }
  const range = Math.max(...a) - Math.min(...a), difference = Math.max(...a.map((v, i) => Math.abs(v - b[i]))) / range;
  const row = (side) => ({ median_ms: round(median(times[side])), least_ms: round(Math.min(...times[side])) });
  return { isa: sides.ours.isa, ours: row('ours'), ort: row('ort'), times_as_fast: round(median(times.ort) / median(times.ours)), difference };
}

export const round = (x) => Math.round(x * 1000) / 1000;

// Of a program or page that has just begun: until the model is there, and until its first answer is.
export async function opened(from, name, side) {
  const start = performance.now(), model = await (side === 'ours' ? ours : theirs)(from, name);
  await model.run();
  return { loaded: model.loaded, first: performance.now() - start };
}

// How far the browser's decoding of JPEG files is from Pillow's, whose pixels lie beside them: levels of a colour, 0 to 255.
export async function decoded(models) {
  const listed = await (await fetch(`${models}/pictures.json`)).json(), found = {};
  for (const [kind, names] of Object.entries(listed)) {
    const counts = new Array(256).fill(0);
    let same = 0;
    for (const name of names) {
      const expected = new Uint8Array(await (await fetch(`${models}/${name}.rgb`)).arrayBuffer()), before = counts[0];
      const blob = await (await fetch(`${models}/${name}.jpeg`)).blob(), options = { imageOrientation: 'none', premultiplyAlpha: 'none', colorSpaceConversion: 'none' };
      const bitmap = await createImageBitmap(blob, options), context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      for (let i = 0; i < expected.length; ++i) ++counts[Math.abs(expected[i] - data[i + Math.floor(i / 3)])];
      same += counts[0] - before === expected.length;
    }
    const all = counts.reduce((a, b) => a + b, 0), most = counts.findLastIndex((n) => n > 0), mean = counts.reduce((a, n, d) => a + n * d, 0) / all;
    if (names.length) found[kind] = { files: names.length, same_to_the_bit: same, values_that_differ: round((all - counts[0]) / all), mean: round(mean), most };
  }
  return found;
}
