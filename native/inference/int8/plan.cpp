#include "plan.h"

#include <algorithm>

namespace lcnet {

constexpr size_t kTileCodes = 4096;    // two bytes each: a quarter of a small first-level cache
constexpr size_t kMinTilePixels = 24;  // fewer would load the pointwise weights too often

// Whether the input of block i is read by the pooling, or as floats that it does not have by a shortcut.
static bool keeps(const Int8Network& net, size_t i) {
  const auto is_map = [=](const Part& part) { return part.map == i; };
  const bool pooled = std::any_of(net.pooled.begin(), net.pooled.end(), is_map);
  return pooled || (net.blocks[i].shortcut && !net.in_float(i));
}

static std::vector<Int8Map> make_maps(const Int8Network& net, size_t height, size_t width) {
  std::vector<Int8Map> maps;
  size_t h = strided(height, net.stem_stride.h), w = strided(width, net.stem_stride.w);
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const Int8Block& b = net.blocks[i];
    maps.push_back({h, w, b.depthwise.in, b.planes ? net.padded(w) : w, net.in_float(i), {}, keeps(net, i), {}});
    h = strided(h, b.stride.h), w = strided(w, b.stride.w);
  }
  maps.push_back({h, w, net.padded(net.features), w, true, {}, false, {}});
  return maps;
}

size_t Int8Plan::group_pitch(const Int8Network& net, size_t i) const {
  const Int8Map& m = maps[i];
  return net.blocks[i].planes ? net.padded(m.width) + 2 * net.kernels.lanes : m.width + 2 * (net.blocks[i].kernel / 2);
}

Int8Plan::Int8Plan(const Int8Network& net, size_t height_, size_t width_, size_t threads_)
    : height(height_), width(width_), threads(threads_), maps(make_maps(net, height, width)) {
  Places own, shared;

  // Maps take turns in two places: a block reads one and writes the other.
  size_t sides[2] = {};
  for (size_t i = 0; i < net.blocks.size(); ++i) sides[i % 2] = std::max(sides[i % 2], maps[i].bytes());
  const Place<std::byte> places[2] = {shared.take<std::byte>(sides[0]), shared.take<std::byte>(sides[1])};
  for (size_t i = 0; i < maps.size(); ++i) maps[i].place = places[i % 2];
  for (Int8Map& m : maps)
    if (m.kept) m.floats = shared.take<float>(m.pixels() * m.channels);
  maps.back().place = shared.take<std::byte>(maps.back().bytes());

  ring = 0;
  size_t padded = 0, row = 0, pointers = 0, mid = 0;
  size_t group_units = 0, tile = 0, exports = 0, depthwise = 0, gated = 0, reduced = 0, sums = 0;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const Int8Block& b = net.blocks[i];
    const Int8Map& out = maps[i + 1];
    tiles.push_back(choose_tile(out.height, out.width, std::max(kMinTilePixels, kTileCodes / maps[i].channels)));
    if (b.planes) tiles[i] = {1, out.width};
    const size_t cut = tiles[i].rows * tiles[i].columns;
    ring = std::max(ring, net.groups(b.kernel, net.kernels.group - 1));
    group_units = std::max(group_units, maps[i].channels * group_pitch(net, i));
    tile = std::max(tile, (b.planes ? net.padded(out.width) : cut) * maps[i].channels);
    tile = std::max(tile, cut * std::max(b.mid.out, out.channels));
    mid = std::max(mid, std::max(cut, net.in_float(i) ? out.width : 0) * b.mid.out);
    exports = std::max(exports, cut * out.channels);
    if (i == 0 && !b.planes) {
      exports = std::max(exports, maps[0].width * maps[0].channels);
      tile = std::max(tile, maps[0].width * maps[0].channels);
    }
    if (net.in_float(i)) {
      padded = std::max(padded, b.kernel * maps[i].channels * (maps[i].width + b.kernel - 1));
      row = std::max(row, out.width * maps[i].channels);
      exports = std::max(exports, out.width * out.channels);
      tile = std::max(tile, out.width * out.channels);
      pointers = std::max(pointers, out.width);
    }
    if (!b.se) continue;
    depthwise = std::max(depthwise, out.pixels() * maps[i].channels);
    sums = std::max(sums, out.height * maps[i].channels);
    gated = std::max(gated, maps[i].channels);
    reduced = std::max(reduced, b.reduce.out);
  }
  for (const Part& part : net.pooled) {
    const Int8Map& m = maps[part.map];
    sums = std::max(sums, m.height * m.channels);
  }
  stem_row = stem_row_of(net.stem_stride, width, net.kernels.lanes);
  const size_t widest = std::max(net.pooled_size, net.head.out);
  stem_rows = own.take<Unit>(kStemRows * net.pixel_units() * stem_row.pitch);
  groups = own.take<Unit>(ring * group_units);
  coded = own.take<Unit>(std::max(tile, widest) / net.kernels.group);
  exported = own.take<float>(exports);
  mid_tile = own.take<float>(mid);
  row_sums = own.take<float>(sums);
  means = own.take<float>(std::max(gated, net.pooled_size));
  squeezed = own.take<float>(reduced);
  padded_rows = own.take<float>(padded);
  float_row = own.take<float>(row);
  pixel_pointers = own.take<float*>(pointers);
  depthwise_map = shared.take<float>(depthwise);
  gate = shared.take<float>(gated);
  embedding = shared.take<float>(net.head.out);
  logits = shared.take<float>(net.classifier.out);
  phases = shared.take<Team::Phase>(threads == 1 ? 0 : phases_of(net.blocks.size()));
  const size_t heads = threads == 1 ? kHeads : 0;
  pooled = shared.take<float>(heads * net.pooled_size);
  embeddings = shared.take<float>(heads * net.head.out);
  all_logits = shared.take<float>(heads * net.classifier.out);
  coded_heads = shared.take<Unit>(heads * widest / net.kernels.group);
  private_bytes = own.bytes();
  shared_bytes = shared.bytes();
}

}  // namespace lcnet
