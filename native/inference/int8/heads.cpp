#include "heads.h"

namespace lcnet {

template <>
template <>
void Int8Heads::dense(const Int8PackedDense& d, Place<float> from, Place<float> to, Activation act) {
  const Int8Kernels& k = net_.kernels;
  if (const PackedDense* f = net_.in_float(d)) {
    for (size_t i = 0; i < images_; ++i)
      net_.floats.kernels.f32_gemv(at(from, d.in, i), f->panel(0), f->b.data(), at(to, d.out, i), f->in, f->out, act);
    return;
  }
  Unit* coded = plan_.coded_heads.in(arena_);
  k.code(at(from, 0, 0), nullptr, d.coding(), coded, images_, d.in);
  if (images_ == 1)
    k.gemv_f32(coded, d.panel(0), d.start.data(), d.sums(), at(to, 0, 0), d.in, d.out, act);
  else
    k.gemm_f32(coded, 0, d.panel(0), d.start.data(), d.sums(), at(to, 0, 0), images_, d.in, d.out, d.out, act);
}

}  // namespace lcnet
