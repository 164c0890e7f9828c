#include "plan.h"

#include <algorithm>

namespace lcnet {

constexpr size_t kFrontBlocks = 6;      // to the end of the strided blocks before stride 16
constexpr size_t kTileFloats = 4096;    // 16 KiB: half of a small first-level cache
constexpr size_t kMinTilePixels = 24;   // fewer would load the pointwise weights too often
Tile choose_tile(size_t height, size_t width, size_t pixels) {
  if (width <= pixels) return {std::min(height, pixels / width), width};
  const size_t pieces = (width + pixels - 1) / pixels;
  return {1, (width + pieces - 1) / pieces};
}

static std::vector<Map> make_maps(const Network& net, size_t height, size_t width) {
  std::vector<Map> maps;
  size_t h = halved(height), w = halved(width);
  for (const Block& b : net.blocks) {
    const bool planes = maps.empty();
    const size_t pad = planes ? net.kernels.lanes : b.kernel / 2, columns = planes ? net.padded(w) : w;
    maps.push_back({h, w, b.depthwise.channels, pad, columns + 2 * pad, h, {}});
    if (b.stride == 2) h = halved(h), w = halved(w);
  }
  maps.push_back({h, w, net.head.in, 0, w, h, {}});
  return maps;
}

Plan::Plan(const Network& net, size_t height_, size_t width_, size_t threads_)
    : height(height_), width(width_), threads(threads_), front(std::min(kFrontBlocks, net.blocks.size())) {
  maps = make_maps(net, height, width);
  tiles.push_back(choose_tile(1, maps[1].width, std::max(kMinTilePixels, kTileFloats / maps[0].channels)));
  tiles[0].columns = net.padded(tiles[0].columns);
  for (size_t i = 1; i < net.blocks.size(); ++i)
    tiles.push_back(choose_tile(maps[i + 1].height, maps[i + 1].width, std::max(kMinTilePixels, kTileFloats / maps[i].channels)));

  Places own, shared;
  for (size_t i = 0; i < maps.size(); ++i) {
    Map& m = maps[i];
    if (i < front) {
      const size_t seen = (tiles[i].rows - 1) * net.blocks[i].stride + net.blocks[i].kernel;
      const size_t ahead = i ? tiles[i - 1].rows - 1 : 0;
      m.ring = std::min(m.height, seen + ahead);
    }
    // Alike maps take turns in two places, or they would push each other and the weights out of the second-level cache.
    m.place = i >= front + 2 && m.alike(maps[i - 2]) ? maps[i - 2].place
                                                     : (i < front ? own : shared).take<float>(m.ring * m.row_floats());
  }
  size_t tile = 0, pixels = 0, depthwise = 0, reduced = 0;
  for (size_t i = 0; i < net.blocks.size(); ++i) {
    const Block& b = net.blocks[i];
    const size_t whole = maps[i + 1].height * maps[i + 1].width, cut = tiles[i].rows * tiles[i].columns;
    if (b.se) {
      depthwise = std::max(depthwise, whole * b.depthwise.channels);
      reduced = std::max(reduced, b.reduce.out);
    } else {
      tile = std::max(tile, cut * b.depthwise.channels);
    }
    pixels = std::max(pixels, b.se ? whole : cut);
  }
  stem_half = net.padded(maps[0].width) + net.kernels.lanes;
  stem_rows = own.take<float>(3 * net.in_chans * 2 * stem_half);
  stem_pointers = own.take<const float*>(3 * net.in_chans);
  dense_tile = own.take<float>(tile);
  pixel_pointers = own.take<float*>(pixels);
  sums = own.take<float>(net.head.in);
  squeezed = own.take<float>(reduced);
  gate = shared.take<float>(net.head.in);
  const size_t bf16 = net.precision == Precision::bf16, widest = std::max(net.head.in, net.head.out);
  narrow = own.take<BF16>(bf16 * widest);
  depthwise_map = shared.take<float>(depthwise);
  gated_map = shared.take<BF16>(bf16 * depthwise);
  embedding = shared.take<float>(net.head.out);
  logits = shared.take<float>(net.classifier.out);
  const size_t heads = threads == 1 ? kHeads : 0;
  pooled = shared.take<float>(heads * net.head.in);
  embeddings = shared.take<float>(heads * net.head.out);
  all_logits = shared.take<float>(heads * net.classifier.out);
  narrow_heads = shared.take<BF16>(bf16 * heads * widest);
  private_bytes = own.bytes();
  shared_bytes = shared.bytes();
}

}  // namespace lcnet
