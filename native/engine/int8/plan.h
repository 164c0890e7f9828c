// What one input size needs of a quantised network: the geometry of every map and its place in an arena. Immutable once built.
#pragma once

#include <vector>

#include "../plan.h"
#include "network.h"

namespace lcnet {

// The input of a block, or the last block's output, which is float. The first block's is planes, unless it stays in float.
struct Int8Map {
  size_t height, width, channels;
  size_t pitch;   // pixels from row to row: width, of planes up to a whole vector
  bool dense;     // floats, because what reads it stays in float or is the pooling; else codes
  size_t offset;  // in floats
  size_t pixels() const { return height * pitch; }
  size_t floats() const { return pixels() * channels / (dense ? 1 : sizeof(float)); }
};

struct Int8Plan {
  Int8Plan(const Int8Network& net, size_t height, size_t width, size_t threads);

  static constexpr size_t kHeads = Plan::kHeads;
  static constexpr size_t kStemRows = 4 + 1;  // of the image that are kept, and one of the border

  // Units of a channel's row in group rows.
  size_t group_pitch(const Int8Network& net, size_t block) const;

  size_t height, width, threads;
  std::vector<Int8Map> maps;  // [i]: input of block i; the last: what is pooled
  std::vector<Tile> tiles;    // [i]: of block i
  size_t stem_half;           // columns of either parity in a row of the stem's input
  size_t ring;                // group rows kept

  // Offsets in floats. Private ones count from a thread's part of the arena, shared ones from its start.
  size_t stem_rows, groups, coded, exported, row_sums, means, squeezed;  // private
  size_t padded_rows, float_row, pixel_pointers;  // private, of blocks in float
  size_t depthwise_map, gate, embedding, logits;                                                     // shared
  size_t pooled, embeddings, all_logits, coded_heads;  // shared, kHeads images each; in plans for one thread only
  size_t private_floats, shared_floats;

  size_t arena_floats() const { return shared_floats + threads * private_floats; }
};

}  // namespace lcnet
