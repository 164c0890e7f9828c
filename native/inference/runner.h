// One image through the network, in one arena, by one thread or a team of them. Allocates nothing.
#pragma once

#include <algorithm>

#include "plan.h"
#include "team.h"

namespace lcnet {

// Where results go; null: not wanted.
struct Outputs {
  float* const* maps = nullptr;  // [feature maps], each null or [images][channels][height][width]
  size_t image = 0;              // the one at hand in the maps; the others point at it
  float* embedding = nullptr;    // [embedding_channels]
  float* logits = nullptr;       // [classes]

  bool head() const { return embedding || logits; }
};

// A member of a team at work on one image: its places in the arena that all share, and the work that they share.
template <class Network, class Plan>
class Member {
 protected:
  Member(const Network& net, const Plan& plan, std::byte* arena, Team& team, size_t member)
      : net_(net), plan_(plan), arena_(arena), team_(team), t_(member) {}

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
    if (!out_.maps) return nullptr;
    const auto& indices = net_.feature_maps;
    const auto index = std::find(indices.begin(), indices.end(), map);
    float* const images = index == indices.end() ? nullptr : out_.maps[index - indices.begin()];
    const size_t pixels = plan_.maps[map].height * plan_.maps[map].width;
    return images ? images + out_.image * net_.blocks[map - 1].out_channels * pixels : nullptr;
  }

  const Network& net_;
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
class Runner : Member<Network, Plan> {
 public:
  Runner(const Network& net, const Plan& plan, std::byte* arena, Team& team, size_t member)
      : Member(net, plan, arena, team, member) {}

  // image: [in_chans][height][width]. Feature maps inside the front can be asked for only in a team of one.
  void run(const float* image, const Outputs& out);

  // In two parts, for a team of one whose heads others compute: everything before the pooling, by either of the first two; then
  // the means of the pooled maps' channels, [pooled_size].
  void trunk(const float* image, const Outputs& out);
  void load_trunk(const float* features);  // the last block's output, [features][height][width], from outside
  void pool(float* out);

 private:
  void front(size_t band);
  void stem_row(size_t y);
  void image_row(size_t c, float* out) const;
  void blocked_row(size_t y, const float* planes);
  void planes(size_t y, size_t x0, size_t columns);
  void demand(size_t map, size_t rows);
  void block_rows(size_t i, size_t y0, size_t y1);
  template <class In, class Dwconv>
  void tile(size_t i, size_t y, size_t rows, size_t x0, size_t columns, Dwconv* kernel, In* dense);
  template <class Dwconv, class Out>
  void depthwise_row(size_t i, size_t y, size_t x0, size_t columns, Dwconv* kernel, Out* out);
  template <class In>
  void pointwise(size_t i, const In* x, float* const* out, size_t pixels);
  void gemm(const PackedDense& d, const float* x, float* const* out, size_t pixels, size_t block_stride);
  void gemm(const PackedDense& d, const BF16* x, float* const* out, size_t pixels, size_t block_stride);
  void gemm(const PackedDense& d, const BF16* x, BF16* const* out, size_t pixels, size_t block_stride);
  void add_input(size_t i, size_t y, size_t x, size_t columns) const;
  void squeeze_excite_block(size_t i);
  void shared_block(size_t i);
  void gate(const Block& b, const float* x, size_t pixels);
  void gated_pixels(size_t i, float* x, const float* gates, size_t begin, size_t n);
  void export_rows(size_t map, size_t y0, size_t y1);
  void means(size_t map, float* out);
  void head();
  void dense(const PackedDense& d, const float* x, float* out, Activation act, float* copy, size_t copied, float scale);
  void dense_columns(const PackedDense& d, const float* x, float* out, Activation act, size_t begin, size_t end);

  float* row(size_t map, size_t y) const;              // a blocked row of a map between blocks
  float* pixel(size_t map, size_t y, size_t x) const;  // where channel 0 of a pixel is
  void point(size_t map, size_t y, size_t x0, size_t columns, float** out) const;
  size_t block_stride(size_t map) const;  // from one channel block of a pixel to the next

  size_t image_rows_ = 0;  // image rows copied so far for the stem
};

}  // namespace lcnet
