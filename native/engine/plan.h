// What one input size needs: the geometry of every map between layers and its place in an arena. Immutable once built.
#pragma once

#include <vector>

#include "network.h"

namespace lcnet {

// The rows between two blocks: blocked rows (see kernels.h) with `pad` zero columns on both sides. The first are planes, whose
// pixels have a vector of zeros on both sides.
struct Map {
  size_t height, width, channels, pad;
  size_t pitch;   // width + 2 * pad, of planes up to a whole vector
  size_t ring;    // rows kept: all of them, or as many as the next block looks back on
  size_t offset;  // floats from the start of the thread's or the shared part of the arena

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

// Hands out places in an arena, each on a cache line of its own.
class Places {
 public:
  size_t take(size_t floats) {
    const size_t at = size_;
    size_ += (floats + 15) / 16 * 16;
    return at;
  }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
};

constexpr size_t kMaxBlocks = 16;
constexpr size_t kFloatsPerPointer = sizeof(void*) / sizeof(float);

// The size of a map at half the resolution.
inline size_t halved(size_t n) { return (n - 1) / 2 + 1; }

struct Plan {
  Plan(const Network& net, size_t height, size_t width, size_t threads);

  size_t height, width, threads;
  // Blocks [0, front) run depth-first through rings private to a thread: rows are consumed while they are in cache.
  // Later blocks run one after the other over whole shared maps: there the weights outgrow the rows.
  size_t front;
  static constexpr size_t kHeads = 16;  // images whose head a thread of its own computes at once, at most

  std::vector<Map> maps;    // [i]: input of block i; the last: output of the network's trunk, dense
  std::vector<Tile> tiles;  // [i]: of block i

  // Offsets in floats. Private ones count from a thread's part of the arena, shared ones from its start.
  size_t stem_rows, stem_half, stem_pointers, dense_tile, pixel_pointers, sums, squeezed, narrow;  // private
  size_t depthwise_map, gated_map, gate, embedding, logits;                                              // shared
  size_t pooled, embeddings, all_logits, narrow_heads;  // shared, kHeads images each; in plans for one thread only
  size_t private_floats, shared_floats;

  size_t arena_floats() const { return shared_floats + threads * private_floats; }
};

}  // namespace lcnet
