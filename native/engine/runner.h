// One image through the network, in one arena, by one thread or a team of them. Allocates nothing.
#pragma once

#include <algorithm>

#include "plan.h"
#include "team.h"

namespace lcnet {

constexpr size_t kFeatureMaps = 5;  // one per stride: 2, 4, 8, 16, 32
// The map after the last block of each stride, as Arch.feature_shapes in arch.py counts them.
constexpr size_t kFeatureMapIndex[kFeatureMaps] = {1, 3, 5, 11, 13};

// Where results go; null: not wanted.
struct Outputs {
  float* maps[kFeatureMaps] = {};  // [channels][height][width] of each stride
  float* embedding = nullptr;      // [head_features]
  float* logits = nullptr;         // [classes]

  bool head() const { return embedding || logits; }
};

// A member of a team at work on one image: its places in the arena that all share, and the work that they share.
template <class Plan>
class Member {
 protected:
  Member(const Plan& plan, std::byte* arena, Team& team, size_t member)
      : plan_(plan), arena_(arena), team_(team), t_(member) {}

  template <class Work>
  void share(size_t pieces, Work&& work) {
    team_.share(phase_++, pieces, work);
  }
  template <class T>
  T* shared(Place<T> place) const {
    return place.in(arena_);
  }
  template <class T>
  T* own(Place<T> place) const {
    return place.in(arena_ + plan_.shared_bytes + t_ * plan_.private_bytes);
  }
  // Where a map between blocks is to go as a feature map, null if it is none or not wanted.
  float* wanted(size_t map) const {
    const size_t* index = std::find(kFeatureMapIndex, kFeatureMapIndex + kFeatureMaps, map);
    return index == kFeatureMapIndex + kFeatureMaps ? nullptr : out_.maps[index - kFeatureMapIndex];
  }

  const Plan& plan_;
  std::byte* arena_;
  Team& team_;
  const size_t t_;
  const float* image_ = nullptr;
  Outputs out_;

 private:
  size_t phase_ = 0;
};

// Each member of a team makes its own Runner over the same arena and calls it once.
class Runner : Member<Plan> {
 public:
  Runner(const Network& net, const Plan& plan, std::byte* arena, Team& team, size_t member)
      : Member(plan, arena, team, member), net_(net) {}

  // image: [in_chans][height][width]. Maps of stride 2, 4 and 8 can be asked for only in a team of one.
  void run(const float* image, const Outputs& out);

  // In two parts, for a team of one whose heads others compute: everything before the pooling, by either of the first two; then
  // the means of the last map's channels, [channels].
  void trunk(const float* image, const Outputs& out);
  void load_trunk(const float* features);  // the feature map of stride 32, [features][height][width], from outside
  void pool(float* out);

 private:
  void front(size_t band);
  void stem_row(size_t y);
  void planes(size_t y, size_t x0, size_t columns);
  void demand(size_t map, size_t rows);
  void block_rows(size_t i, size_t y0, size_t y1);
  template <class In, class Dwconv>
  void tile(size_t i, size_t y, size_t rows, size_t x0, size_t columns, Dwconv* kernel, In* dense);
  template <class Dwconv, class Out>
  void depthwise_row(size_t i, size_t y, size_t x0, size_t columns, Dwconv* kernel, Out* out);
  void gemm(const PackedDense& d, const float* x, float* const* out, size_t pixels, size_t block_stride);
  void gemm(const PackedDense& d, const BF16* x, float* const* out, size_t pixels, size_t block_stride);
  void squeeze_excite_block(size_t i);
  void shared_block(size_t i);
  void gate(const Block& b, const float* x, size_t pixels);
  void gated_pixels(size_t i, float* x, const float* gates, size_t begin, size_t n);
  void export_rows(size_t map, size_t y0, size_t y1);
  void head();
  void dense(const PackedDense& d, const float* x, float* out, Activation act, float* copy, size_t copied, float scale);
  void dense_columns(const PackedDense& d, const float* x, float* out, Activation act, size_t begin, size_t end);

  float* row(size_t map, size_t y) const;                // a blocked row of a map between blocks
  float* pixel(size_t map, size_t y, size_t x) const;    // where channel 0 of a pixel is
  size_t block_stride(size_t map) const;                 // from one channel block of a pixel to the next

  const Network& net_;
  size_t image_rows_ = 0;         // image rows copied so far for the stem
  size_t done_[kMaxBlocks] = {};  // rows of each private map produced so far
};

}  // namespace lcnet
