#include "plan.h"

#include <algorithm>

namespace lcnet {

constexpr size_t kTileFloats = 4096;     // 16 KiB: half of a small first-level cache
constexpr size_t kMinTilePixels = 24;    // fewer would load the pointwise weights too often
constexpr size_t kFarWeights = 1 << 17;  // half a megabyte of them does not stay in a second-level cache beside all else:
constexpr size_t kFarTilePixels = 112;   // then more pixels go over them at once

Tile choose_tile(size_t height, size_t width, size_t pixels) {
  if (width <= pixels) return {std::min(height, pixels / width), width};
  const size_t pieces = (width + pixels - 1) / pixels;
  return {1, (width + pieces - 1) / pieces};
}

// Whether a map is read once more at the end of a run: a feature map, or one that is pooled.
static bool stays(const Network& net, size_t map) {
  const auto is_map = [=](const Part& part) { return part.map == map; };
  return std::find(net.feature_maps.begin(), net.feature_maps.end(), map) != net.feature_maps.end() ||
         std::any_of(net.pooled.begin(), net.pooled.end(), is_map);
}

StemRow stem_row_of(Stride stride, size_t width, size_t lanes) {
  const size_t half = round_up(strided(width, stride.w), lanes) + lanes;
  return stride.w == 1 ? StemRow{1, 2, half} : StemRow{half, 1, 2 * half};
}

static std::vector<Map> make_maps(const Network& net, size_t height, size_t width) {
  std::vector<Map> maps;
  size_t h = strided(height, net.stem_stride.h), w = strided(width, net.stem_stride.w);
  for (const Block& b : net.blocks) {
    const size_t pad = b.planes ? net.kernels.lanes : b.kernel / 2, columns = b.planes ? net.padded(w) : w;
    maps.push_back({h, w, b.depthwise.channels, pad, columns + 2 * pad, h, {}});
    h = strided(h, b.stride.h), w = strided(w, b.stride.w);
  }
  maps.push_back({h, w, net.padded(net.features), 0, w, h, {}});
  return maps;
}

// The rows of a tile of shared maps leave something for each of the threads.
static std::vector<Tile> make_tiles(const Network& net, const std::vector<Map>& maps, size_t threads) {
  std::vector<Tile> tiles;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const Block& b = net.blocks[i];
    const Map& out = maps[i + 1];
    const bool far = i >= net.front && b.pointwise.in * b.pointwise.out > kFarWeights;
    const size_t most = std::max(far ? kFarTilePixels : kMinTilePixels, kTileFloats / maps[i].channels);
    const size_t height = b.planes ? 1 : far ? (out.height + threads - 1) / threads : out.height;
    tiles.push_back(choose_tile(height, out.width, most));
    if (b.planes) tiles[i].columns = net.padded(tiles[i].columns);
  }
  return tiles;
}

// Rows of the private map i that are kept: what the next block looks back on, and what the one before makes ahead.
static size_t ring_rows(const Network& net, const std::vector<Tile>& tiles, size_t i) {
  const size_t seen = (tiles[i].rows - 1) * net.blocks[i].stride.h + net.blocks[i].kernel;
  return seen + (i ? tiles[i - 1].rows - 1 : 0);
}

// Alike maps take turns in two places, or they would push each other and the weights out of the second-level cache. What is
// read at the end of the run stays where it is.
void Plan::place_maps(const Network& net, Places& own, Places& shared) {
  for (size_t i = 0; i < maps.size(); ++i) {
    Map& m = maps[i];
    if (i < front) m.ring = std::min(m.height, ring_rows(net, tiles, i));
    const bool takes_turn = i >= front + 2 && m.alike(maps[i - 2]) && !stays(net, i - 2);
    m.place = takes_turn ? maps[i - 2].place : (i < front ? own : shared).take<float>(m.ring * m.row_floats());
  }
}

Plan::Plan(const Network& net, size_t height_, size_t width_, size_t threads_)
    : height(height_), width(width_), threads(threads_), front(net.front), maps(make_maps(net, height, width)),
      tiles(make_tiles(net, maps, threads)) {
  Places own, shared;
  place_maps(net, own, shared);
  size_t tile = 0, pixels = 0, depthwise = 0, gated = 0, reduced = 0, pooled_rows = 0, mid = 0, mid_pixels = 0;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const Block& b = net.blocks[i];
    const size_t whole = maps[i + 1].height * maps[i + 1].width, cut = tiles[i].rows * tiles[i].columns;
    if (b.se) {
      depthwise = std::max(depthwise, whole * b.depthwise.channels);
      gated = std::max(gated, b.depthwise.channels);
      reduced = std::max(reduced, b.reduce.out);
    } else {
      tile = std::max(tile, cut * b.depthwise.channels);
    }
    pixels = std::max(pixels, b.se ? whole : cut);
    if (b.split()) {
      const size_t together = b.se ? std::min(whole, kMidPixels) : cut;
      mid = std::max(mid, together * b.mid.out);
      mid_pixels = std::max(mid_pixels, together);
    }
  }
  for (const Part& part : net.pooled)
    if (part.map + 1 < maps.size()) pooled_rows = std::max(pooled_rows, maps[part.map].height * maps[part.map].channels);
  stem_row = stem_row_of(net.stem_stride, width, net.kernels.lanes);
  stem_rows = own.take<float>(3 * net.in_chans * stem_row.pitch);
  stem_planes = own.take<float>(net.blocks[0].planes ? 0 : net.stem.channels * net.padded(maps[0].width));
  rows_done = own.take<size_t>(front);
  stem_pointers = own.take<const float*>(3 * net.in_chans);
  dense_tile = own.take<float>(tile);
  mid_tile = own.take<float>(mid);
  pixel_pointers = own.take<float*>(pixels);
  mid_pointers = own.take<float*>(mid_pixels);
  sums = own.take<float>(std::max(gated, net.pooled_size));
  row_sums = own.take<float>(pooled_rows);
  squeezed = own.take<float>(reduced);
  gate = shared.take<float>(gated);
  const size_t bf16 = net.precision == Precision::bf16, widest = std::max(net.pooled_size, net.head.out);
  narrow = own.take<BF16>(bf16 * widest);
  depthwise_map = shared.take<float>(depthwise);
  gated_map = shared.take<BF16>(bf16 * depthwise);
  embedding = shared.take<float>(net.head.out);
  logits = shared.take<float>(net.classifier.out);
  phases = shared.take<Team::Phase>(threads == 1 ? 0 : phases_of(net.blocks.size()));
  const size_t heads = threads == 1 ? kHeads : 0;
  pooled = shared.take<float>(heads * net.pooled_size);
  embeddings = shared.take<float>(heads * net.head.out);
  all_logits = shared.take<float>(heads * net.classifier.out);
  narrow_heads = shared.take<BF16>(bf16 * heads * widest);
  private_bytes = own.bytes();
  shared_bytes = shared.bytes();
}

}  // namespace lcnet
