#include "dwgrad.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "kernels/tables.h"

namespace lcnet {

namespace {

constexpr size_t kShares = 16;  // of the images: as many partial sums, whoever computes them

// One image's sums, row by row of the input: each padded row meets up to K rows of the gradient.
void add_image(F32Dwgrad* kernel, const DwgradShape& s, const float* in, const float* grad, float* row, float* sums) {
  const size_t pad = s.kernel / 2, line = s.width * s.channels, out_line = s.out_width() * s.channels;
  for (size_t y = 0; y < s.height; ++y) {
    std::memcpy(row + pad * s.channels, in + y * line, line * sizeof(float));
    for (size_t ky = 0; ky < s.kernel; ++ky) {
      const size_t above = y + pad - ky;  // the stride down times the output row that sees row y under its weights ky
      if (y + pad < ky || above % s.stride.h || above / s.stride.h >= s.out_height()) continue;
      kernel(row, grad + above / s.stride.h * out_line, sums + ky * s.kernel * s.channels, s.out_width(), s.channels);
    }
  }
}

void add(float* to, const float* from, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace

void dwgrad(const Kernels& wanted, Pool& pool, const DwgradShape& s, const float* in, const float* grad, float* out) {
  const Kernels& kernels = s.channels % wanted.lanes ? kernels__scalar : wanted;
  F32Dwgrad* const kernel = of_geometry(kernels.f32_dwgrad, s.kernel, s.stride.w);
  const size_t sums = s.kernel * s.kernel * s.channels, shares = std::min(kShares, s.images);
  // Sums of an image apart from those of its share: short sums round less.
  std::vector<float> partial(2 * shares * sums);
  const size_t padded = (s.width + s.kernel) * s.channels;
  std::vector<float> rows(shares * padded);
  std::atomic<size_t> next{0};
  auto job = [&](size_t, size_t) {
    for (size_t share; (share = next.fetch_add(1)) < shares;) {
      float* const total = partial.data() + 2 * share * sums;
      for (size_t i = share * s.images / shares; i < (share + 1) * s.images / shares; ++i) {
        std::fill_n(total + sums, sums, 0.0f);
        add_image(kernel, s, in + i * s.height * s.width * s.channels, grad + i * s.out_height() * s.out_width() * s.channels,
                  rows.data() + share * padded, total + sums);
        add(total, total + sums, sums);
      }
    }
  };
  pool.run(job);
  std::fill_n(out, sums, 0.0f);
  for (size_t share = 0; share < shares; ++share) add(out, partial.data() + 2 * share * sums, sums);
}

}  // namespace lcnet
