// What is damaged, impossible or far too large gets an LcnetError with a code and a sentence; and nothing of it stays.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { CASES, bytesOf, cases, differences, lcnet, pictureOf, relaxed } from './files.mjs';

const { LcnetError, load, loadInWorker } = lcnet;
const model = bytesOf('unknown.safetensors'), picture = pictureOf(cases.models.unknown.pictures[0]);

const refused = (promise, code, words = /./) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof LcnetError, `${error.name}: ${error.message}`);
    assert.ok([code].flat().includes(error.code), `${error.code}: ${error.message}`);
    assert.match(error.message, words);
    assert.ok(error.message.length < 400 && !/[\x00-\x1f]/.test(error.message), error.message);
    return true;
  });

function parts(bytes) {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), data: bytes.slice(8 + length) };
}
function together(header, data) {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header)), out = new Uint8Array(8 + text.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(data, 8 + text.length);
  return out;
}
// The file with another description, or other tensors.
function changed(change, name = 'unknown.safetensors') {
  const { header, data } = parts(bytesOf(name)), description = JSON.parse(header.__metadata__.lcnet);
  change(description, header, data);
  header.__metadata__.lcnet = JSON.stringify(description);
  return together(header, data);
}

test('files that are none, or cut short', async () => {
  for (const bytes of [new Uint8Array(), new Uint8Array(7), new TextEncoder().encode('PK\x03\x04 a zip archive'), model.subarray(0, 1000), model.subarray(0, model.length - 1)])
    await refused(load(bytes), 'damaged');
  await refused(load(`${CASES}/missing.safetensors`), 'not_found', /missing/);
  await refused(load('https://127.0.0.1:1/model.safetensors'), 'not_found');
  for (const source of [undefined, null, 7, {}, []]) await refused(load(source), 'argument');
});

test('descriptions that cannot be, each by its name', async () => {
  const wrong = {
    'format_version': (d) => (d.format_version = 3),
    'unknown key': (d) => (d.surprise = 1),
    'architecture.*unknown key': (d) => (d.architecture.surprise = 1),
    'architecture.family': (d) => (d.architecture.family = 'resnet'),
    'architecture.width': (d) => (d.architecture.width = 0.36),
    'architecture.depths are': (d) => Object.assign(d, { format_version: 2, needs: { family: '0.1.0' }, architecture: { ...d.architecture, depths: [1] } }),
    'in_chans': (d) => (d.architecture.in_chans = 0),
    'bn_eps': (d) => (d.architecture.bn_eps = 0),
    'stem_stride.*needs': (d) => (d.architecture.stem_stride = [1, 1]),
    'stem_stride': (d) => Object.assign(d, { format_version: 2, needs: { strides: '0.1.0' }, architecture: { ...d.architecture, stem_stride: [3, 1] } }),
    'time_travel': (d) => Object.assign(d, { format_version: 2, needs: { time_travel: '9.9' } }),
    'needs': (d) => (d.needs = { strides: '0.1.0' }),
    'crop_pct': (d) => (d.preprocessing.crop_pct = 1e9),
    'crop_mode': (d) => (d.preprocessing.crop_mode = 'circle'),
    'interpolation': (d) => (d.preprocessing.interpolation = 'magic'),
    'input_size': (d) => (d.preprocessing.input_size = [3, 100000, 100000]),
    'preprocessing.input_size': (d) => (d.preprocessing.input_size = [3, 16, 16]),
    'mean': (d) => (d.preprocessing.mean = [0.5]),
    'std': (d) => (d.preprocessing.std = [0, 1, 1]),
    'background': (d) => (d.preprocessing.background = 'white'),
    'labels': (d) => d.labels.names.pop(),
    'labels.names': (d) => (d.labels.names[0] = 'a\0b'),
    'temperature': (d) => (d.decision.temperature = -1),
    'thresholds': (d) => (d.decision.thresholds = { 'class 1': 2 }),
    'label of the decision': (d) => (d.decision.thresholds = { nobody: 0.5 }),
    'multi_label': (d) => (d.decision.multi_label = 'yes'),
    'provenance': (d) => (d.provenance = 1),
  };
  for (const [words, change] of Object.entries(wrong)) await refused(load(changed(change)), 'damaged', new RegExp(words));
  for (const part of ['architecture', 'preprocessing', 'decision', 'labels'])
    for (const value of [1, 'x', [], [[]], true, { constructor: 1 }]) await refused(load(changed((d) => (d[part] = value))), 'damaged');
});

test('JSON that two readers would read differently', async () => {
  const { header, data } = parts(model), text = JSON.stringify(header);
  await refused(load(together(text.replace('{', '{"a":1,"a":2,'), data)), 'damaged', /JSON/);
  await refused(load(together(text.replace('\\"bn_eps\\":1e-05', '\\"bn_eps\\":1e999'), data)), 'damaged');
  await refused(load(together(text.replace('class 0', '\\\\ud800'), data)), 'damaged');
  await refused(load(together(text.replace('{', `{"a":${'['.repeat(5000)}${']'.repeat(5000)},`), data)), 'damaged');
  await refused(load(together('{]', data)), 'damaged');
});

test('tensors that are not the network\'s', async () => {
  const header = (change) => changed((_, all, data) => change(all, data));
  const set = (data, { data_offsets: [at] }, value) => new DataView(data.buffer).setFloat32(at, value, true);
  await refused(load(header((h) => (h['classifier.bias'].dtype = 'I64'))), 'damaged');
  await refused(load(header((h) => (h['classifier.bias'].shape = [1, 5]))), 'damaged', /classifier.bias/);
  await refused(load(header((h) => (h['classifier.bias'].shape = [-5]))), 'damaged', /classifier.bias/);
  await refused(load(header((h) => (h['classifier.bias'].data_offsets = [0, 20]))), 'damaged');
  await refused(load(header((h) => (h['classifier.bias'].data_offsets = null))), 'damaged');
  const [from, to] = parts(model).header['classifier.bias'].data_offsets;
  const texts = (h) => Object.values(h).forEach((t) => (t.data_offsets &&= t.data_offsets.map((at) => (at === to ? `${at}0000000e-7` : at))));
  assert.ok(from < to);
  await refused(load(header(texts)), 'damaged', /cut short/);
  await refused(load(header((h) => { h['no.memory'] = h['classifier.bias']; delete h['classifier.bias']; })), 'damaged');
  await refused(load(header((h) => { h['memory.memory'] = { dtype: 'U8', shape: [0], data_offsets: [0, 0] }; })), 'damaged', /memory/);
  await refused(load(header((h) => { h.surprise = h['classifier.bias']; delete h['classifier.bias']; })), 'damaged', /classifier.bias/);
  for (const [key, value] of [['conv_stem.weight', NaN], ['bn1.running_var', -1], ['classifier.weight', Infinity], ['bn1.weight', -Infinity]])
    await refused(load(header((h, data) => set(data, h[key], value))), 'damaged', new RegExp(key));
  await refused(load(header((h, data) => { set(data, h['bn1.weight'], 3e38); set(data, h['bn1.running_var'], 0); })), 'damaged', /overflows float32/);
  const int8 = (change) => changed((_, all, data) => change(all, data), 'int8.safetensors');
  await refused(load(int8((h, data) => (data[h['conv_stem.weight'].data_offsets[0]] = 128))), 'damaged', /-128/);
  await refused(load(int8((h, data) => set(data, h['conv_head.scale'], 1e38))), 'damaged', /conv_head/);
  await refused(load(int8((h, data) => set(data, h['conv_head.input_scale'], 0))), 'damaged');
});

test('damaged bytes are refused or make a network that answers', async () => {
  let seed = 1;
  const next = (n) => (seed = (seed * 48271) % 2147483647) % n;
  for (const name of ['unknown.safetensors', 'int8.safetensors'])
    for (let i = 0; i < 60; ++i) {
      const bytes = bytesOf(name), length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      for (let j = 0; j < 4; ++j) bytes[next(i % 3 ? 8 + length : bytes.length)] ^= 1 << next(8);
      try {
        const network = await load(bytes);
        network.dispose();
      } catch (error) {
        assert.ok(error instanceof LcnetError, `${name}, ${i}: ${error.stack}`);
      }
    }
});

test('pictures that are none', async () => {
  const network = await load(model);
  const wrong = [null, undefined, 7, 'photo.jpg', {}, new Uint8Array(12), { ...picture, width: 0 }, { ...picture, width: 1e5 }, { ...picture, height: 0.5 },
    { ...picture, width: -47 }, { ...picture, width: NaN }, { data: [1, 2, 3], width: 1, height: 1 }, { data: new Uint8Array(2), width: 1, height: 1 }];
  for (const one of wrong) await refused(network.classify(one), ['argument', 'too_large']);
  await refused(network.classify({ data: new Uint8Array(3), width: 1e5, height: 1e5 }), 'too_large');
  await refused(network.classify([picture, null]), 'argument');
  await refused(network.classify(new Blob(['x'])), 'argument', /data, width, height/);
  for (const topK of [0, 1.5, NaN, '5', null]) await refused(network.classify(picture, { topK }), 'argument', /topK/);
  await refused(network.logits({ data: new Float32Array(3), shape: [1, 3, 1, 1] }), 'argument', /32 up/);
  await refused(network.logits({ data: new Float32Array(3 * 1024), shape: [1, 3, 32, 33] }), 'argument');
  await refused((await load(bytesOf('none.safetensors'))).classify(picture), 'argument', /classifier/);
});

test('narrow pictures, and one pixel', async () => {
  const network = await load(model);
  for (const [width, height] of [[1, 1], [1, 500], [100000, 1]]) {
    const answer = network.classify({ data: new Uint8Array(3 * width * height), width, height });
    await answer.then(([result]) => assert.equal(result.top.length, 5), (error) => assert.equal(error.code, 'too_large'));
  }
});

test('NaN goes through, and the next answer is as before', async () => {
  const network = await load(model), before = await network.logits(picture);
  const x = { data: new Float32Array(3 * 64 * 64).fill(NaN), shape: [1, 3, 64, 64] };
  assert.ok(Number.isNaN((await network.logits(x)).data[0]));
  assert.equal(differences((await network.logits(picture)).data, before.data), 0);
});

test('an input for which there is no room, and then one for which there is', async () => {
  const network = await load(model), before = await network.logits(picture);
  const side = 14000, data = new Float32Array(3 * side * side);
  await refused(network.logits({ data, shape: [1, 3, side, side] }), 'too_large');
  await refused(network.logits({ data, shape: [1, 3, side, side] }), 'too_large');
  assert.equal(differences((await network.logits(picture)).data, before.data), 0);
});

test('maps of more bytes than a size here can count', async () => {
  const wide = (name) => changed((d) => {
    Object.assign(d, { format_version: 2, needs: { ...d.needs, strides: '0.1.0' } });
    Object.assign(d.architecture, { stem_stride: [1, 1], stage_strides: Array(6).fill([1, 1]) });
  }, name);
  for (const name of ['unknown.safetensors', 'int8.safetensors']) {
    const network = await load(wide(name));
    for (const side of [1400, 1750, 2000, 2471]) // whose sums are small again beyond 2^32
      await refused(network.embeddings({ data: new Float32Array(3 * side * side), shape: [1, 3, side, side] }), 'too_large', /not enough memory/);
    assert.equal((await network.embeddings({ data: new Float32Array(3 * 32 * 32), shape: [1, 3, 32, 32] })).data.every(Number.isFinite), true);
  }
});

test('shared memory, and a file that is gone', async () => {
  for (const source of [new SharedArrayBuffer(100), new Uint8Array(new SharedArrayBuffer(100))]) await refused(load(source), 'argument', /own buffer/);
  const { info } = await load(model), padded = new Uint8Array(model.length + 16);
  padded.set(model, 8);
  for (const source of [model.slice().buffer, padded.subarray(8, 8 + model.length), new DataView(padded.buffer, 8, model.length)])
    assert.deepEqual((await load(source)).info, info);
  const gone = new File([model], 'gone.safetensors');
  gone.arrayBuffer = () => Promise.reject(new DOMException('it was not found', 'NotFoundError'));
  await refused(load(gone), 'not_found', /gone.safetensors/);
});

test('two models at once', async () => {
  const [a, b] = await Promise.all([load(model), load(bytesOf('int8.safetensors'))]), small = pictureOf(cases.models.int8.pictures[1]);
  const alone = [await a.logits(picture), await b.logits(small)];
  const mixed = await Promise.all([a.logits(picture), b.logits(small), a.logits(picture), b.logits(small)]);
  mixed.forEach((one, i) => assert.equal(differences(one.data, alone[i % 2].data), 0));
  a.dispose();
  await refused(a.logits(picture), 'argument', /disposed/);
  assert.equal(differences((await b.logits(small)).data, alone[1].data), 0);
});

test('1,000 random sizes do not grow memory', async () => {
  const memories = [], made = WebAssembly.instantiate;
  WebAssembly.instantiate = async (...given) => {
    const instance = await made.apply(WebAssembly, given);
    memories.push(instance.exports.memory);
    return instance;
  };
  const network = await load(model);
  WebAssembly.instantiate = made;
  let seed = 7;
  const side = () => 32 + ((seed = (seed * 48271) % 2147483647) % 97), input = new Float32Array(3 * 128 * 128), sizes = [];
  for (let i = 0; i < 1000; ++i) {
    const h = i === 0 ? 128 : side(), w = i === 0 ? 128 : side();
    await network.embeddings({ data: input.subarray(0, 3 * h * w), shape: [1, 3, h, w] });
    sizes.push(memories.at(-1).buffer.byteLength);
  }
  assert.equal(memories.length, 1);
  assert.ok(sizes.at(-1) <= sizes[20] + (1 << 20), `${sizes[20]} bytes became ${sizes.at(-1)}`);
});

test('no SIMD is said so', async () => {
  const { validate, compile } = WebAssembly;
  WebAssembly.validate = () => false;
  WebAssembly.compile = () => Promise.reject(new WebAssembly.CompileError('wasm SIMD unsupported'));
  await refused(load(bytesOf('int8_classifier.safetensors'), { wasm: new Uint8Array([0]) }), 'unsupported', /SIMD/);
  Object.assign(WebAssembly, { validate, compile });
  await refused(load(model, { exact: 'both' }), 'unsupported', /exact/);
  await refused(load(model, { wasm: new Uint8Array([1, 2, 3]) }), 'unsupported');
  if (!relaxed) await refused(load(model, { exact: 'fma' }), 'unsupported');
});

test('an aborted call is its signal\'s reason', async () => {
  const network = await load(model), signal = AbortSignal.abort(new Error('enough'));
  await assert.rejects(network.classify(picture, { signal }), /enough/);
  await assert.rejects(load(model, { signal }), /enough/);
  await assert.rejects(loadInWorker(model, { signal }), /enough/);
});

test('a worker answers as this thread does', async () => {
  const here = await load(model), there = await loadInWorker(model);
  assert.deepEqual(there.info, here.info);
  assert.equal(there.info.sha256, createHash('sha256').update(model).digest('hex'));
  assert.deepEqual(await there.classify([picture, picture]), await here.classify([picture, picture]));
  assert.equal(differences((await there.embeddings(picture)).data, (await here.embeddings(picture)).data), 0);
  assert.deepEqual((await there.featureMaps(picture)).map((m) => m.shape), (await here.featureMaps(picture)).map((m) => m.shape));
  await refused(there.classify({ ...picture, width: 0 }), 'argument');
  await refused(there.classify(() => {}), 'argument');
  there.dispose();
  await refused(there.classify(picture), 'argument', /disposed/);
  await refused(loadInWorker(new Uint8Array(100)), 'damaged');
  await refused(loadInWorker(`${CASES}/missing.safetensors`), 'not_found');
});

test('a signal that outlives its calls keeps nothing of them', async () => {
  const network = await loadInWorker(model), { signal } = new AbortController();
  let listening = 0;
  for (const [name, step] of [['addEventListener', 1], ['removeEventListener', -1]]) {
    const usual = signal[name];
    signal[name] = (...given) => { listening += step; return usual.apply(signal, given); };
  }
  for (let i = 0; i < 3; ++i) await network.classify(picture, { signal });
  await refused(network.classify(null, { signal }), 'argument');
  network.dispose();
  assert.equal(listening, 0);
});

test('a worker that is ended in the middle of a call', async () => {
  const network = await loadInWorker(`${CASES}/unknown.safetensors`);
  const side = 2048, call = network.embeddings({ data: new Float32Array(3 * side * side), shape: [1, 3, side, side] });
  setTimeout(() => network.dispose(), 20);
  await refused(call, 'argument', /disposed/);
});
