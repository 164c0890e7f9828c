#include "heads.h"

#include <algorithm>

#include "../kernels/bf16.h"

namespace lcnet {

// One image goes through the kernel for one, which has more sums in flight; both add up in the same order.
template <>
template <>
void Heads::dense(const PackedDense& d, Place<float> from, Place<float> to, Activation act) {
  const Kernels& k = net_.kernels;
  const float* x = at(from, 0, 0);
  float* out[Plan::kHeads];
  for (size_t i = 0; i < images_; ++i) out[i] = at(to, d.out, i);
  if (d.bf16()) {
    BF16* narrow = plan_.narrow_heads.in(arena_);
    std::transform(x, x + images_ * d.in, narrow, to_bf16);
    if (images_ == 1)
      k.bf16->gemv(narrow, d.bf16_panel(0), d.b.data(), out[0], d.in, d.out, act);
    else
      k.bf16->gemm(narrow, d.bf16_panel(0), d.b.data(), out, images_, d.in, d.out, k.lanes, act);
  } else if (images_ == 1) {
    k.f32_gemv(x, d.panel(0), d.b.data(), out[0], d.in, d.out, act);
  } else {
    k.f32_gemm(x, d.panel(0), d.b.data(), out, images_, d.in, d.out, k.lanes, act);
  }
}

}  // namespace lcnet
