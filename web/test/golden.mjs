// The networks of tests/golden/networks.txt through a module's exports: for Node and for a page. What the file means is said at its head.

class Drawn {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  next() {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state >>> 16;
  }
  value = (shift) => (this.next() - 32768) / 2 ** (15 + shift);
  scale = (shift) => (this.next() + 65536) / 2 ** (16 + shift);
}

const shiftOf = (n) => {
  let s = 0;
  while (4 ** (s + 1) <= n) ++s;
  return s;
};

export function networksOf(text) {
  const found = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.split(' '), g = found.at(-1);
    if (word === 'network') found.push({ name: rest.join(' '), blocks: [], maps: [], pooled: [], head: ['0', 'same'], classes: 0 });
    else if (word === 'block') g.blocks.push(rest.map(Number));
    else if (['fma', 'plain', 'int8'].includes(word)) g[word] = rest;
    else if (['activation', 'gate', 'head'].includes(word)) g[word] = rest;
    else if (['seed', 'classes'].includes(word)) g[word] = Number(rest[0]);
    else if (['input', 'stem', 'maps', 'pooled'].includes(word)) g[word] = rest.map(Number);
  }
  return found;
}

// The weights drawn into the module's memory, and the program of native/wasm/program.h.
function programOf(e, g, whole) {
  const drawn = new Drawn(~g.seed);
  const put = (values) => {
    const at = e.lcnet_alloc(values.byteLength);
    new values.constructor(e.memory.buffer, at, values.length).set(values);
    return at;
  };
  const draw = (n, of) => Array.from({ length: n }, of);
  const floats = (n, shift, of = drawn.value) => put(Float32Array.from(draw(n, () => of(shift))));
  let zeros;
  const inInt8 = (out, of, k, inputs) => {
    const s = shiftOf(of * k * k), w = put(Int8Array.from(draw(out * of * k * k, () => (drawn.next() % 255) - 127)));
    const words = [3, out, of, k, w, floats(out, s + 11, drawn.scale), floats(out, 0), floats(inputs, 6, drawn.scale)];
    zeros = draw(inputs, () => 10 + (drawn.next() % 51));
    return [...words, put(Uint8Array.from(zeros))];
  };
  const normed = (out, of, k, inputs) => {
    if (whole) return inInt8(out, of, k, inputs);
    const w = floats(out * of * k * k, shiftOf(of * k * k));
    return [1, out, of, k, w, floats(out, 1, drawn.scale), floats(out, 2), floats(out, 2), floats(out, 1, drawn.scale)];
  };
  const dense = (out, of) => [2, out, of, 1, floats(out * of, shiftOf(of)), floats(out, 2)];
  const last = (out, of) => (whole ? inInt8(out, of, 1, of) : dense(out, of));
  const [channels, h, w] = g.stem, [pictures] = g.input, stem = normed(channels, pictures, 3, pictures);
  const mean = put(Float32Array.from(zeros ?? [0], (zero) => zero + 0.3125)), blocks = [];
  let cin = channels;
  for (const [out, k, sh, sw, se, mid, shortcut] of g.blocks) {
    blocks.push(sh, sw, se, mid ? 1 : 0, shortcut, ...normed(cin, 1, k, cin));
    if (se) blocks.push(...dense(cin >> 2, cin), ...dense(cin, cin >> 2));
    if (mid) blocks.push(...normed(mid, cin, 1, cin));
    blocks.push(...normed(out, mid || cin, 1, mid || cin));
    cin = out;
  }
  const pooled = (g.pooled.length ? g.pooled : [g.blocks.length]).reduce((n, map) => n + g.blocks[map - 1][0], 0), head = Number(g.head[0]);
  const ends = [...(head ? last(head, pooled) : [0]), ...(g.classes ? last(g.classes, head || pooled) : [0])];
  const words = [whole, g.activation[0] === 'relu', g.gate[0] === 'sigmoid', g.head[1] === 'plain', h, w, mean, ...stem, g.blocks.length, ...blocks];
  return { words: put(Uint32Array.from([...words, g.maps.length, ...g.maps, g.pooled.length, ...g.pooled, ...ends])), embedding: head || pooled };
}

const hex = (bits) => (bits >>> 0).toString(16).padStart(8, '0');

// The line of the file without its first word: a digest, and the bits of the logits or of the embedding.
export function resultsOf(module, g, whole) {
  const { exports: e } = new WebAssembly.Instance(module, {});
  e._initialize();
  const { words, embedding } = programOf(e, g, whole), drawn = new Drawn(g.seed), [channels, height, width] = g.input;
  e.lcnet_build(words, 1e-5, 1 / 6);
  let down = g.stem[1], across = g.stem[2];
  const sizes = g.blocks.map(([out, , sh, sw]) => out * Math.ceil(height / (down *= sh)) * Math.ceil(width / (across *= sw)));
  const counts = [...g.maps.map((map) => sizes[map - 1]), embedding, g.classes];
  const x = e.lcnet_alloc(4 * channels * height * width), outs = counts.map((n) => e.lcnet_alloc(4 * n)), list = e.lcnet_alloc(4 * counts.length);
  const floats = (at, n) => new Float32Array(e.memory.buffer, at, n);
  floats(x, channels * height * width).forEach((_, i, all) => (all[i] = drawn.value(0)));
  new Uint32Array(e.memory.buffer, list, outs.length).set(outs);
  e.lcnet_run(x, height, width, g.classes ? outs.at(-1) : 0, outs.at(-2), list);
  let hash = 2166136261;
  counts.forEach((n, i) => new Uint8Array(e.memory.buffer, outs[i], 4 * n).forEach((byte) => (hash = Math.imul(hash ^ byte, 16777619))));
  const bits = new Uint32Array(e.memory.buffer, outs.at(g.classes ? -1 : -2), g.classes || embedding);
  return [hex(hash), ...Array.from(bits, hex)];
}
