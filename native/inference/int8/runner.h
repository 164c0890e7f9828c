// One image through a quantised network, in one arena, by one thread or a team of them. Allocates nothing.
#pragma once

#include "../runner.h"
#include "plan.h"

namespace lcnet {

constexpr size_t kPieces = 2;  // of a layer's rows for each member: at the edge of a piece some work is done twice

// As Runner: each member of a team makes its own over the same arena and calls it once.
class Int8Runner : Member<Int8Network, Int8Plan> {
 public:
  Int8Runner(const Int8Network& net, const Int8Plan& plan, std::byte* arena, Team& team, size_t member)
      : Member(net, plan, arena, team, member), k_(net.kernels) {}

  // image: [in_chans][height][width].
  void run(const float* image, const Outputs& out);

  void trunk(const float* image, const Outputs& out);
  void load_trunk(const float* features);
  void pool(float* out);

 private:
  template <class Work>
  void share_rows(size_t height, Work&& work) {
    const size_t pieces = team_.size() == 1 ? 1 : std::min(height, kPieces * team_.size());
    share(pieces, [&](size_t piece) { work(height * piece / pieces, height * (piece + 1) / pieces); });
  }
  void stem_rows(size_t y0, size_t y1);
  void stem_row(size_t y);
  void quantize_row(size_t r) const;
  Unit* pixel_slot(size_t slot) const;
  Unit* pixel_row(size_t r) const;
  void plane_rows(size_t y0, size_t y1);
  void block_rows(size_t i, size_t y0, size_t y1);
  const Unit* const* groups(size_t i, size_t y);
  void make_group(size_t i, size_t n);
  Unit* group(size_t i, size_t n) const;
  void pointwise(size_t i, size_t first, size_t pixels, size_t pitch = 0);
  void code_mid(const Int8Block& b, size_t pixels);
  void add_input(size_t i, float* x, size_t first, size_t pixels) const;
  void squeeze_excite_block(size_t i);
  void means(const float* x, size_t height, size_t width, size_t channels, double times, float* out);
  void gates(size_t i);
  void gated_pixels(size_t i, size_t begin, size_t end);
  void dense_rows(size_t i, size_t y0, size_t y1, float* out);
  void export_pixels(size_t map, const float* x, size_t first, size_t pixels);
  // Blocks in float: float_blocks.cpp.
  void float_block(size_t i);
  void float_squeeze_excite_block(size_t i);
  const float* padded_row(size_t i, size_t y);
  void float_depthwise_row(size_t i, size_t y, float* out);
  void float_pointwise(size_t i, const float* x, size_t first, size_t pixels);
  void float_gemm(const PackedDense& d, const float* x, float* out, size_t pixels);
  void float_gates(size_t i);
  void code_pixels(size_t map, const float* x, size_t first, size_t pixels);
  void float_dense(const PackedDense& d, const float* x, Activation act, float* out);
  void head();
  void dense(const Int8PackedDense& d, const float* x, Activation act, float* out);

  uint8_t* codes(size_t map) const { return shared(plan_.maps[map].place.as<uint8_t>()); }
  float* dense_pixels(size_t map, size_t first) const {
    return shared(plan_.maps[map].place.as<float>()) + first * plan_.maps[map].channels;
  }
  float* last() const { return dense_pixels(plan_.maps.size() - 1, 0); }
  float* kept_pixels(size_t map, size_t first) const {
    const Int8Map& m = plan_.maps[map];
    return m.kept ? shared(m.floats) + first * m.channels : nullptr;
  }
  float* values(size_t map, size_t first) const;
  void put_values(size_t map, const float* x, size_t first, size_t pixels);

  const Int8Kernels& k_;
  size_t next_ = 0;                  // image rows coded, or group rows made, in the piece at hand: up to here
  const Unit* in_[kMaxKernel] = {};  // group rows of the row at hand
};

}  // namespace lcnet
