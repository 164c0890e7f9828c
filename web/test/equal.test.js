// The results of Python, to the bit: pixels to input, input to logits, embeddings and maps; and its answers.
import assert from 'node:assert/strict';
import test from 'node:test';
import { CASES, bytesOf, cases, differences, families, floatsOf, lcnet, pictureOf, relaxed } from './files.mjs';

test('there are both arithmetics', { skip: relaxed ? false : 'relaxed SIMD needs Node 22, or --experimental-wasm-relaxed-simd' }, () => {});

async function same(model, name, found, of = name) {
  assert.equal(differences(found, floatsOf(name)), 0, `${model}: ${of}`);
}

for (const [name, { model, architecture, pictures }] of Object.entries(cases.models))
  for (const exact of families)
    test(`${name} by ${exact}`, async () => {
      const network = await lcnet.load(`${CASES}/${model}`, { exact });
      assert.equal(network.info.architecture, architecture);
      for (const picture of pictures) {
        const given = pictureOf(picture), expected = picture[exact];
        await same(name, picture.input, (await network.preprocess(given)).data);
        await same(name, expected.embeddings, (await network.embeddings(given)).data);
        const maps = await network.featureMaps(given), all = new Float32Array(maps.reduce((n, m) => n + m.data.length, 0));
        maps.reduce((at, m) => (all.set(m.data, at), at + m.data.length), 0);
        await same(name, expected.maps, all);
        if (!expected.logits) continue;
        const logits = await network.logits(given);
        await same(name, expected.logits, logits.data);
        assert.deepEqual(logits.shape, [1, network.info.num_classes]);
        sameResult((await network.classify(given))[0], expected.result);
      }
    });

// Python's softmax is numpy's, whose last bits differ from CPU to CPU.
function sameResult(found, expected) {
  const rest = ({ top, ...other }) => ({ ...other, top: top.map(({ probability, ...one }) => one) });
  assert.deepEqual(rest(found), rest(expected));
  found.top.forEach(({ probability }, i) => {
    const other = expected.top[i].probability;
    assert.ok(Math.abs(probability - other) <= 5e-7 * other + 1e-30, `${probability} and ${other}`);
  });
}

test('every crop mode and filter', async () => {
  const loaded = new Map();
  for (const one of cases.crops) {
    if (!loaded.has(one.model)) loaded.set(one.model, await lcnet.load(`${CASES}/${one.model}`));
    await same(one.model, one.input, (await loaded.get(one.model).preprocess(pictureOf(one))).data, `${one.width} x ${one.height}`);
  }
});

test('several pictures are answered as each by itself, and ready input as its pictures', async () => {
  const { model, pictures } = cases.models.unknown, network = await lcnet.load(bytesOf(model));
  const some = pictures.slice(0, 3).map(pictureOf), logits = await network.logits(some), input = await network.preprocess(some);
  assert.deepEqual(logits.shape, [3, 5]);
  assert.equal(differences((await network.logits(input)).data, logits.data), 0);
  assert.deepEqual(await network.classify(some), (await Promise.all(some.map((one) => network.classify(one)))).flat());
  assert.deepEqual(await network.classify([]), []);
});

test('ready input of any size', async () => {
  const network = await lcnet.load(bytesOf('unknown.safetensors'));
  const x = { data: new Float32Array(2 * 3 * 33 * 70).map((_, i) => Math.sin(i)), shape: [2, 3, 33, 70] };
  assert.deepEqual((await network.featureMaps(x)).map((m) => m.shape.slice(2)), [[17, 35], [9, 18], [5, 9], [3, 5], [2, 3]]);
});
