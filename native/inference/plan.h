// What one input size needs: the geometry of every map between layers and its place in an arena. Immutable once built.
#pragma once

#include <vector>

#include "arena.h"
#include "network.h"
#include "team.h"

namespace lcnet {

// The rows between two blocks: blocked rows (see kernels.h) with `pad` zero columns on both sides. Those of a block on planes
// are planes, whose pixels have a vector of zeros on both sides.
struct Map {
  size_t height, width, channels, pad;
  size_t pitch;        // width + 2 * pad, of planes up to a whole vector
  size_t ring;         // rows kept: all of them, or as many as the next block looks back on
  Place<float> place;  // in the thread's part of the arena, or in the shared one

  size_t row_floats() const { return channels * pitch; }
  // Of one shape, zero columns included.
  bool alike(const Map& m) const {
    return height == m.height && width == m.width && channels == m.channels && pad == m.pad && pitch == m.pitch;
  }
};

// How a block is cut into pieces: `rows` x `columns` output pixels go through a small buffer that stays in the first-level
// cache between the depthwise and the pointwise layer.
struct Tile {
  size_t rows, columns;
};

// About `pixels` output pixels a piece: whole rows if one fits.
Tile choose_tile(size_t height, size_t width, size_t pixels);

// Of rows of the stem's input, for an image of that width. They end with a vector of border behind the last output's taps.
StemRow stem_row_of(Stride stride, size_t width, size_t lanes);

// What a team goes through at most: three phases a block (squeeze-and-excite), one before them, one for feature maps, three for
// head and classifier.
constexpr size_t phases_of(size_t blocks) { return 3 * blocks + 5; }

struct Plan {
  Plan(const Network& net, size_t height, size_t width, size_t threads);

  size_t height, width, threads;
  size_t front;                              // as in Network
  static constexpr size_t kHeads = 16;       // images whose head a thread of its own computes at once, at most
  static constexpr size_t kMidPixels = 112;  // that go through two pointwise layers at once, behind squeeze-and-excite

  std::vector<Map> maps;    // [i]: input of block i; the last: output of the network's trunk, dense
  std::vector<Tile> tiles;  // [i]: of block i

  // In each thread's part of the arena.
  Place<float> stem_rows, dense_tile, mid_tile, sums, squeezed, row_sums;
  Place<float> stem_planes;  // a row, where the first block does not run on planes
  Place<size_t> rows_done;   // [front]: of each private map
  Place<const float*> stem_pointers;
  Place<float*> pixel_pointers, mid_pointers;
  Place<BF16> narrow;
  StemRow stem_row;
  // In the shared part.
  Place<Team::Phase> phases;  // in plans for several threads only
  Place<float> depthwise_map, gate, embedding, logits;
  Place<BF16> gated_map;
  // For kHeads images each; in plans for one thread only.
  Place<float> pooled, embeddings, all_logits;
  Place<BF16> narrow_heads;
  size_t private_bytes, shared_bytes;

  size_t arena_bytes() const { return shared_bytes + threads * private_bytes; }

 private:
  void place_maps(const Network& net, Places& own, Places& shared);
};

}  // namespace lcnet
