#include "heads.h"

#include <algorithm>

namespace lcnet {

constexpr float kSixth = 1.0f / 6.0f;

void Int8Heads::add(const Outputs& out) {
  outputs_[images_++] = out;
  if (images_ == Int8Plan::kHeads) flush();
}

void Int8Heads::dense(const Int8PackedDense& d, size_t from, size_t to, Activation act) {
  const Int8Kernels& k = net_.kernels;
  if (const PackedDense* f = net_.in_float(d)) {
    for (size_t i = 0; i < images_; ++i)
      net_.floats.kernels.f32_gemv(at(from, d.in, i), f->panel(0), f->b.data(), at(to, d.out, i), f->in, f->out, act);
    return;
  }
  Unit* coded = reinterpret_cast<Unit*>(at(plan_.coded_heads, 0, 0));
  k.code(at(from, 0, 0), nullptr, d.coding(), coded, images_, d.in);
  const auto kernel = images_ == 1 ? k.gemv_f32 : k.gemm_f32;
  kernel(coded, d.panel(0), d.starts(), d.sums(), at(to, 0, 0), images_, d.in, d.out, d.out, act);
}

void Int8Heads::flush() {
  if (images_ == 0) return;
  float* pooled = at(plan_.pooled, 0, 0);
  if (net_.in_float(net_.head))  // whose weights have hard-swish's division by six
    std::transform(pooled, pooled + images_ * net_.head.in, pooled, [](float x) { return x * 6.0f; });
  dense(net_.head, plan_.pooled, plan_.embeddings, Activation::hswish6);
  if (std::any_of(outputs_, outputs_ + images_, [](const Outputs& out) { return out.logits; }))
    dense(net_.classifier, plan_.embeddings, plan_.all_logits, Activation::none);
  for (size_t i = 0; i < images_; ++i) {
    const float *embedding = at(plan_.embeddings, net_.head.out, i), *logits = at(plan_.all_logits, net_.classifier.out, i);
    if (float* out = outputs_[i].embedding)
      std::transform(embedding, embedding + net_.head_features, out, [](float x) { return x * kSixth; });
    if (outputs_[i].logits) std::copy(logits, logits + net_.classes, outputs_[i].logits);
  }
  images_ = 0;
}

}  // namespace lcnet
