#include "heads.h"

#include <algorithm>

#include "bf16.h"

namespace lcnet {

constexpr float kSixth = 1.0f / 6.0f;

void Heads::add(const Outputs& out) {
  outputs_[images_++] = out;
  if (images_ == Plan::kHeads) flush();
}

// One image goes through the kernel for one, which has more sums in flight; both add up in the same order.
void Heads::dense(const PackedDense& d, size_t from, size_t to, Activation act) {
  const Kernels& k = net_.kernels;
  const float* x = at(from, 0, 0);
  float* out[Plan::kHeads];
  for (size_t i = 0; i < images_; ++i) out[i] = at(to, d.out, i);
  if (d.bf16) {
    BF16* narrow = reinterpret_cast<BF16*>(at(plan_.narrow_heads, 0, 0));
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

void Heads::flush() {
  if (images_ == 0) return;
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
