// The families of networks as data, and what follows: blocks, layers, feature maps. As Python's families and arch.

// Of a stage: channels at width 1, the kernels of its first block and of the others, stride, blocks (0: as `depths` says); squeeze-and-
// excite, two pointwise layers, branches while training, a shortcut.
const row = (channels, kernels, stride, depth, se, split, branched, shortcut) => ({ channels, kernels, stride, depth, se, split, branched, shortcut });

// `names`: of the tensors of a block's layers, each of the convolution and, if there is one, of the batch norm.
export const FAMILIES = {
  lcnet: {
    widths: [0.25, 0.35, 0.5, 0.75, 1, 1.5, 2, 2.5], stem: ['conv_stem', 'bn1', 16], firstMap: 0, lone: 0,
    stages: [0, 1, 2, 3, 4, 5].map((s) => `blocks.${s}`),
    rows: [row(32, [3, 3], 1, 1), row(64, [3, 3], 2, 2), row(128, [3, 3], 2, 2), row(256, [3, 5], 2, 2), row(256, [5, 5], 1, 4), row(512, [5, 5], 2, 2, 1)],
    names: () => [['conv_dw', 'bn1'], ['se.conv_reduce'], ['se.conv_expand'], ['conv_pw', 'bn2']],
  },
  lcnetv2: {
    widths: [0.75, 1, 1.25], stem: ['stem.0.conv', 'stem.0.bn', 32], firstMap: 1, lone: 1,
    stages: ['stem', ...[0, 1, 2, 3].map((s) => `stages.${s}`)],
    rows: [row(64, [3, 3], 1, 1), row(128, [3, 3], 2, 0), row(256, [3, 3], 2, 0), row(512, [5, 5], 2, 0, 1, 1, 1), row(1024, [5, 5], 2, 0, 0, 0, 1, 1)],
    names: ({ split, branched }) => {
      const normed = (name) => [`${name}.conv`, `${name}.bn`];
      const pointwise = split ? [normed('pw_conv.0'), normed('pw_conv.1')] : [normed('pw_conv')];
      return [branched ? ['dw_conv'] : normed('dw_conv'), ['se.fc1'], ['se.fc2'], ...pointwise];
    },
  },
};
const LAYERS = ['conv_dw', 'se.conv_reduce', 'se.conv_expand', 'conv_pw', 'conv_pw2'];
const NAMED = { '0.75,2,2,4,2': 'small', '1,2,2,6,2': 'base', '1.25,2,2,8,2': 'large' };

// lcnet_050, lcnetv2_base, or the family with the width.
export function nameOf({ family, width, depths }) {
  if (family === 'lcnet') return `lcnet_${String(Math.round(width * 100)).padStart(3, 0)}`;
  const size = NAMED[[width, ...depths]];
  return size ? `${family}_${size}` : `${family} (width ${width}, depths ${depths.join(' ')})`;
}

// { stem, blocks, head, classifier, maps, pooled, embedding } of an architecture. A layer is { layer, conv, norm, shape, bias }; a block
// has the five of LAYERS, of which some may be missing.
export function networkOf(arch) {
  const family = FAMILIES[arch.family], [conv, norm, stem] = family.stem, blocks = [], maps = new Map(), ends = [];
  const channels = (n) => {
    const v = n * arch.width, rounded = Math.max(8, Math.floor((v + 4) / 8) * 8);
    return rounded < 0.9 * v ? rounded + 8 : rounded;
  };
  let cin = channels(stem), open = 0, [down, across] = arch.stem_stride;
  arch.stage_strides.forEach((strides, s) => {
    const r = family.rows[s], out = channels(r.channels), depth = r.depth || arch.depths[open++], last = s === arch.stage_strides.length - 1;
    for (let b = 0; b < depth; ++b, cin = out) blocks.push(blockOf(family, r, s, b, cin, out, b ? [1, 1] : strides));
    ends.push({ after: blocks.length, channels: out });
    down *= strides[0];
    across *= strides[1];
    if (s >= family.firstMap || last) maps.set(`${down} ${across}`, { ...ends[s], down, across });
  });
  const pooled = arch.head_channels ? ends.slice(-1) : arch.classifier_input.map((name) => ends[family.stages.indexOf(name)]);
  const features = pooled.reduce((n, end) => n + end.channels, 0), embedding = arch.head_channels || features;
  return {
    stem: { layer: 'conv_stem', conv, norm, shape: [channels(stem), arch.in_chans, 3, 3] }, blocks,
    head: arch.head_channels && { layer: 'conv_head', conv: 'conv_head', shape: [embedding, features, 1, 1], bias: arch.head_bias },
    classifier: arch.num_classes && { layer: 'classifier', conv: 'classifier', shape: [arch.num_classes, embedding], bias: true },
    maps: [...maps.values()], pooled: pooled.map((end) => end.after), embedding,
  };
}

function blockOf(family, r, s, b, cin, out, stride) {
  const name = `${family.stages[s]}.${s ? b : family.lone}`, k = r.kernels[b && 1], se = r.se && cin >> 2, mid = r.split && out >> 1;
  const shapes = [[cin, 1, k, k], se && [se, cin, 1, 1], se && [cin, se, 1, 1], [mid || out, cin, 1, 1], mid && [out, mid, 1, 1]];
  const names = family.names(r);
  const layers = shapes.map((shape, i) => {
    if (!shape) return null;
    const [conv, norm] = names[i];
    return { layer: `${name}.${LAYERS[i]}`, conv: `${name}.${conv}`, norm: norm && `${name}.${norm}`, shape, bias: !norm };
  });
  return { name, stride, channels: Math.max(cin, out), layers, shortcut: r.shortcut && cin === out && stride[0] * stride[1] === 1 };
}
