// What one input size needs of a quantised network: the geometry of every map and its place in an arena. Immutable once built.
#pragma once

#include <vector>

#include "../plan.h"
#include "network.h"

namespace lcnet {

// The input of a block, or the last block's output, which is float. A block on planes has planes.
struct Int8Map {
  size_t height, width, channels;
  size_t pitch;  // pixels from row to row: width, of planes up to a whole vector
  bool dense;    // floats, because what reads it stays in float or is the pooling; else codes
  Place<std::byte> place;
  bool kept;            // the pooling or a shortcut reads it too, as floats, maybe when another map has taken its place:
  Place<float> floats;  // so here it is as it was before it was coded
  size_t pixels() const { return height * pitch; }
  size_t bytes() const { return pixels() * channels * (dense ? sizeof(float) : 1); }
};

struct Int8Plan {
  Int8Plan(const Int8Network& net, size_t height, size_t width, size_t threads);

  static constexpr size_t kHeads = Plan::kHeads;
  static constexpr size_t kStemRows = 4 + 2;  // of the image that are kept, one of the border, and one to sort columns in

  // Units of a channel's row in group rows.
  size_t group_pitch(const Int8Network& net, size_t block) const;

  size_t height, width, threads;
  std::vector<Int8Map> maps;  // [i]: input of block i; the last: what is pooled
  std::vector<Tile> tiles;    // [i]: of block i
  StemRow stem_row;
  size_t ring;  // group rows kept

  // In each thread's part of the arena.
  Place<Unit> stem_rows, groups, coded;
  Place<float> exported, mid_tile, row_sums, means, squeezed;
  Place<float> padded_rows, float_row;  // of blocks in float
  Place<float*> pixel_pointers;
  // In the shared part.
  Place<Team::Phase> phases;  // in plans for several threads only
  Place<float> depthwise_map, gate, embedding, logits;
  // For kHeads images each; in plans for one thread only.
  Place<float> pooled, embeddings, all_logits;
  Place<Unit> coded_heads;
  size_t private_bytes, shared_bytes;

  size_t arena_bytes() const { return shared_bytes + threads * private_bytes; }
};

}  // namespace lcnet
