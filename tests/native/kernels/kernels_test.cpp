// Every kernel of every ISA that this CPU has, against the scalar one in the same layout: random shapes below, at and above
// the tiles, buffers that end at a page which may not be touched, and errors bounded by terms x epsilon x sum|a*b|.
//
// Prints one line an ISA and exits 0, or the first difference and exits 1.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "../../../native/dispatch.h"
#include "../../../native/kernels/activation.h"
#include "../../../native/kernels/tables.h"
#include "guarded.h"
#include "../isas.h"
#include "resize_cases.h"
#include "slots.h"

using lcnet::Activation;
using lcnet::StemRow;

// The sum that hswish6 was given, for sums that are not negative.
static double before_hswish6(double y) { return y >= 18 ? y / 6 : (std::sqrt(9 + 4 * y) - 3) / 2; }

// `magnitude`: the same sum over absolute values. hswish6 has a slope of at most 9; its own rounding is relative to itself.
// `rounding`: of the result, to a shorter number.
static void compare(const std::vector<float>& found, const std::vector<float>& expected, const std::vector<float>& magnitude,
                    size_t terms, bool hswish, double rounding = 0) {
  for (size_t i = 0; i < found.size(); ++i) {
    const double sum = hswish ? before_hswish6(magnitude[i]) : magnitude[i];
    const double bound = (hswish ? 9 : 1) * static_cast<double>(terms + 4) * FLT_EPSILON * (sum + (hswish ? 3 : 0)) +
                         rounding * std::fabs(expected[i]);
    if (!(std::fabs(static_cast<double>(found[i]) - expected[i]) <= bound)) {
      std::printf("%s: value %zu of %zu is %.9g, expected %.9g (bound %.3g)\n", context, i, found.size(), found[i], expected[i],
                  bound);
      std::exit(1);
    }
  }
}

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::hswish6, Activation::hsigmoid6,
                                       Activation::sigmoid};

// The activation of a trunk.
static Activation pick_activation() { return pick(0, 1) ? Activation::hswish6 : Activation::relu; }
static bool is_hswish(Activation act) { return act == Activation::hswish6; }

// Runs `kernel(inputs..., out)` for the fast and the scalar table on the same values, then the scalar one on absolute values.
template <class Run>
static void check(size_t outputs, size_t terms, bool hswish, const Kernels& fast, const Kernels& scalar,
                  std::vector<Input*> inputs, Run run, double rounding = 0) {
  std::vector<float> results[3];
  for (int round = 0; round < 3; ++round) {
    if (round == 2)
      for (Input* input : inputs) input->make_absolute();
    Guarded out(outputs);
    for (size_t i = 0; i < outputs; ++i) out.data[i] = 0.0f;
    run(round == 0 ? fast : scalar, out.data);
    results[round].assign(out.data, out.data + outputs);
  }
  compare(results[0], results[1], results[2], terms, hswish, rounding);
}

static void split(const Kernels& fast, const Kernels& scalar) {
  const size_t width = pick(1, 90), half = width / 2 + 1 + pick(0, 20);
  Guarded in(width);
  check(2 * half, 1, false, fast, scalar, {&in},
        [&](const Kernels& k, float* out) { use(k.f32_split)(in.data, out, width, half); });
}

static size_t whole_vectors(const Kernels& k, size_t n) { return (n + k.lanes - 1) / k.lanes * k.lanes; }

static void stem(const Kernels& fast, const Kernels& scalar) {
  const size_t in_chans = pick(1, 5), channels = lcnet::kPlanes * pick(1, 5), width = pick(1, 90);
  const size_t padded = whole_vectors(fast, width), pitch = padded + pick(0, 2) * fast.lanes;
  const size_t half = padded + 1 + pick(0, 3);
  const StemRow row = pick(0, 1) ? StemRow{half, 1, half + padded} : StemRow{1, 2, padded + 2};
  const Activation act = pick_activation();
  const size_t ky0 = pick(0, 1), ky1 = pick(ky0 + 1, 3);
  std::vector<std::unique_ptr<Guarded>> rows;
  std::vector<Input*> inputs;
  std::vector<const float*> in(3 * in_chans, nullptr);
  for (size_t r = ky0 * in_chans; r < ky1 * in_chans; ++r) {
    rows.push_back(std::make_unique<Guarded>(row.pitch));
    in[r] = rows.back()->data;
    inputs.push_back(rows.back().get());
  }
  Guarded w(channels * 9 * in_chans), bias(channels);
  inputs.push_back(&w), inputs.push_back(&bias);
  const size_t outputs = (channels - 1) * pitch + padded;
  check(outputs, 9 * in_chans, is_hswish(act), fast, scalar, inputs, [&](const Kernels& k, float* out) {
    use(k.f32_stem_3x3)(in.data(), row, w.data, bias.data, out, width, pitch, in_chans, channels, ky0, ky1, act);
    for (size_t c = 0; c < channels; ++c)
      for (size_t x = width; x < padded; ++x)
        if (out[c * pitch + x] != 0.0f) std::printf("%s: pixel %zu is not zero\n", context, x), std::exit(1);
  });
}

static void dwconv_planes(const Kernels& fast, const Kernels& scalar) {
  const size_t channels = pick(1, 20), width = pick(1, 90), ky0 = pick(0, 1), ky1 = pick(2, 3);
  const size_t L = fast.lanes, padded = whole_vectors(fast, width), in_pitch = padded + 2 * L + pick(0, 3);
  const size_t pitch = padded + pick(0, 2) * L;
  std::vector<std::unique_ptr<Guarded>> rows;
  std::vector<Input*> inputs;
  const float* in[3] = {};
  for (size_t ky = ky0; ky < ky1; ++ky) {
    rows.push_back(std::make_unique<Guarded>((channels - 1) * in_pitch + padded + 2 * L));
    in[ky] = rows.back()->data + L;
    inputs.push_back(rows.back().get());
  }
  Guarded w(channels * 9), bias(channels);
  inputs.push_back(&w), inputs.push_back(&bias);
  const Activation act = pick_activation();
  check((channels - 1) * pitch + padded, 9, is_hswish(act), fast, scalar, inputs, [&](const Kernels& k, float* out) {
    use(k.f32_dwconv_planes_3x3s1)(in, w.data, bias.data, out, width, in_pitch, pitch, channels, ky0, ky1, act);
    for (size_t c = 0; c < channels; ++c) std::fill(out + c * pitch + width, out + c * pitch + padded, 0.0f);
  });
}

// What a depthwise kernel reads, in a random geometry.
struct DwconvInput {
  explicit DwconvInput(size_t lanes)
      : K(pick(0, 1) ? 5 : 3), S(pick(1, 2)), channels(lanes * pick(1, 5)), width(pick(1, 40)),
        pitch(S * (width - 1) + K + pick(0, 3)), ky0(pick(0, K / 2)), ky1(pick(K / 2 + 1, K)), w(channels * K * K),
        bias(channels), act(pick_activation()), inputs{&w, &bias} {
    for (size_t ky = ky0; ky < ky1; ++ky) {
      rows.push_back(std::make_unique<Guarded>(channels * pitch - (pitch - S * (width - 1) - K) * lanes));
      in[ky] = rows.back()->data;
      inputs.push_back(rows.back().get());
    }
  }
  template <class Slots, class Out>
  void run(const Slots& slots, Out* out) const {
    use(slots[K / 2 - 1][S - 1])(in, w.data, bias.data, out, width, pitch, channels, ky0, ky1, act);
  }
  const size_t K, S, channels, width, pitch, ky0, ky1;
  Guarded w, bias;
  const Activation act;
  std::vector<Input*> inputs;
  std::vector<std::unique_ptr<Guarded>> rows;
  const float* in[lcnet::kMaxKernel] = {};
};

static void dwconv(const Kernels& fast, const Kernels& scalar) {
  const DwconvInput x(fast.lanes);
  check(x.width * x.channels, x.K * x.K, is_hswish(x.act), fast, scalar, x.inputs,
        [&](const Kernels& k, float* out) { x.run(k.f32_dwconv, out); });
}

static void dwgrad(const Kernels& fast, const Kernels& scalar) {
  const size_t K = pick(0, 1) ? 5 : 3, S = pick(1, 2), width = pick(1, 40), channels = fast.lanes * pick(1, 5);
  Guarded in((S * (width - 1) + K) * channels), grad(width * channels), before(K * channels);
  check(K * channels, width + 1, false, fast, scalar, {&in, &grad, &before}, [&](const Kernels& k, float* sums) {
    std::memcpy(sums, before.data, K * channels * sizeof(float));
    use(k.f32_dwgrad[K / 2 - 1][S - 1])(in.data, grad.data, sums, width, channels);
  });
}

// Pixels are written in a random order, with gaps, as the rows of a map are.
static void gemm(const Kernels& fast, const Kernels& scalar) {
  const size_t L = fast.lanes, pixels = pick(1, 60), depth = pick(1, 70), channels = L * pick(1, 9);
  const Activation act = pick(0, 1) ? pick_activation() : Activation::none;
  const bool dense = pick(0, 1);
  std::vector<size_t> order(pixels);
  for (size_t p = 0; p < pixels; ++p) order[p] = p;
  std::shuffle(order.begin(), order.end(), rng);
  const size_t stride = dense ? L : pixels * L, step = dense ? channels : L;
  Guarded a(pixels * depth), w(depth * channels), bias(channels);
  check(pixels * channels, depth, is_hswish(act), fast, scalar, {&a, &w, &bias}, [&](const Kernels& k, float* out) {
    std::vector<float*> at(pixels);
    for (size_t p = 0; p < pixels; ++p) at[p] = out + order[p] * step;
    use(k.f32_gemm)(a.data, w.data, bias.data, at.data(), pixels, depth, channels, stride, act);
  });
}

static void gemm_planes(const Kernels& fast, const Kernels& scalar) {
  const size_t L = fast.lanes, pixels = pick(1, 60), depth = pick(1, 70), channels = L * pick(1, 9),
               pitch = pixels + pick(0, 9);
  Guarded a((depth - 1) * pitch + pixels), w(depth * channels), bias(channels);
  const Activation act = pick_activation();
  check(pixels * channels, depth, is_hswish(act), fast, scalar, {&a, &w, &bias}, [&](const Kernels& k, float* out) {
    std::vector<float*> at(pixels);
    for (size_t p = 0; p < pixels; ++p) at[p] = out + p * channels;
    use(k.f32_gemm_planes)(a.data, pitch, w.data, bias.data, at.data(), pixels, depth, channels, L, act);
  });
}

static void gemv(const Kernels& fast, const Kernels& scalar) {
  const size_t depth = pick(1, 300), channels = fast.lanes * pick(1, 40);
  const Activation act = kActivations[pick(0, 4)];
  Guarded x(depth), w(depth * channels), bias(channels);
  // A gate is at most 6 even where the sum of absolute values is not: bound it by that sum, as the others.
  std::vector<float> magnitude(channels);
  {
    Guarded ax(depth), aw(depth * channels), ab(channels);
    scalar.f32_gemv(ax.absolute_of(x).data, aw.absolute_of(w).data, ab.absolute_of(bias).data, magnitude.data(), depth,
                    channels, Activation::none);
  }
  Guarded out(channels), expected(channels);
  use(fast.f32_gemv)(x.data, w.data, bias.data, out.data, depth, channels, act);
  scalar.f32_gemv(x.data, w.data, bias.data, expected.data, depth, channels, act);
  for (float& m : magnitude) m = act == Activation::hswish6 ? 9 * (m + 3) : m + 3;
  compare({out.data, out.data + channels}, {expected.data, expected.data + channels}, magnitude, depth, false);
}

static void channel(const Kernels& fast, const Kernels& scalar) {
  const size_t pixels = pick(1, 70), channels = fast.lanes * pick(1, 20);
  const float scale = 1.0f / static_cast<float>(pixels);
  Guarded x(pixels * channels), s(channels);
  check(channels, pixels, false, fast, scalar, {&x},
        [&](const Kernels& k, float* out) { use(k.f32_channel_sum)(x.data, out, pixels, channels, scale); });
  check(pixels * channels, 1, false, fast, scalar, {&x, &s}, [&](const Kernels& k, float* out) {
    std::memcpy(out, x.data, pixels * channels * sizeof(float));
    use(k.f32_channel_scale)(out, s.data, pixels, channels);
  });
}

// Results in bfloat16 may differ by one in the last of their eight bits.
static void bf16_dense(const Kernels& fast, const Kernels& scalar, size_t outputs, size_t terms, bool hswish,
                       std::vector<Input*> inputs, const std::function<void(const lcnet::Bf16Kernels&, lcnet::BF16*)>& run) {
  check(
      outputs, terms, hswish, fast, scalar, inputs,
      [&](const Kernels& k, float* out) {
        GuardedBf16 narrow(outputs);
        run(*k.bf16, narrow.data);
        std::transform(narrow.data, narrow.data + outputs, out, lcnet::to_float);
      },
      1.0 / 128);
}

static void bf16_dwconv(const Kernels& fast, const Kernels& scalar) {
  const DwconvInput x(fast.lanes);
  bf16_dense(fast, scalar, x.width * x.channels, x.K * x.K, is_hswish(x.act), x.inputs,
             [&](const lcnet::Bf16Kernels& k, lcnet::BF16* out) { x.run(k.dwconv, out); });
}

static void bf16_channel_scale(const Kernels& fast, const Kernels& scalar) {
  const size_t pixels = pick(1, 70), channels = fast.lanes * pick(1, 20);
  Guarded x(pixels * channels), s(channels);
  bf16_dense(fast, scalar, pixels * channels, 1, false, {&x, &s}, [&](const lcnet::Bf16Kernels& k, lcnet::BF16* out) {
    use(k.channel_scale)(x.data, s.data, out, pixels, channels);
  });
}

static void bf16_gemm(const Kernels& fast, const Kernels& scalar) {
  const size_t L = fast.lanes, pixels = pick(1, 60), depth = 2 * pick(1, 40), channels = L * pick(1, 9);
  const Activation act = pick(0, 1) ? pick_activation() : Activation::none;
  GuardedBf16 a(pixels * depth), w(depth * channels);
  Guarded bias(channels);
  std::vector<Input*> inputs{&a, &w, &bias};
  check(pixels * channels, depth, act == Activation::hswish6, fast, scalar, inputs, [&](const Kernels& k, float* out) {
    std::vector<float*> at(pixels);
    for (size_t p = 0; p < pixels; ++p) at[p] = out + p * channels;
    use(k.bf16->gemm)(a.data, w.data, bias.data, at.data(), pixels, depth, channels, L, act);
  });
  bf16_dense(fast, scalar, pixels * channels, depth, act == Activation::hswish6, inputs,
             [&](const lcnet::Bf16Kernels& k, lcnet::BF16* out) {
               std::vector<lcnet::BF16*> at(pixels);
               for (size_t p = 0; p < pixels; ++p) at[p] = out + p * channels;
               use(k.gemm_narrow)(a.data, w.data, bias.data, at.data(), pixels, depth, channels, L, act);
             });
  check(channels, depth, act == Activation::hswish6, fast, scalar, inputs,
        [&](const Kernels& k, float* out) { use(k.bf16->gemv)(a.data, w.data, bias.data, out, depth, channels, act); });
}

// It computes nothing that anyone wants: all of its lanes are read and written, and it counts.
static void peak(const Kernels& fast, const Kernels&) {
  Guarded sink(fast.lanes);
  const size_t rounds = pick(1, 50), count = use(fast.f32_peak)(sink.data, rounds);
  if (count == 0 || count % (rounds * fast.lanes)) std::printf("%s: counts %zu\n", context, count), std::exit(1);
}

// NaN in, NaN out, through every activation: vector minima and maxima would swallow it in the wrong order of operands.
static void nan_stays(const Kernels& k) {
  const size_t L = k.lanes;
  std::vector<float> x(1, NAN), w(L, 1.0f), bias(L, 0.0f), out(L);
  for (Activation act : kActivations) {
    use(k.f32_gemv)(x.data(), w.data(), bias.data(), out.data(), 1, L, act);
    for (float y : out)
      if (!std::isnan(y)) std::printf("%s: NaN became %g\n", k.isa, y), std::exit(1);
  }
}

// The sigmoid is the scalar one to the bit, and this is the true one but for rounding, over all floats and what is none.
static void sigmoid_is_exact(const Kernels& k) {
  const size_t L = k.lanes;
  std::vector<float> zero(1), w(L), x(L), out(L);
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += L * 4999) {
    for (size_t l = 0; l < L; ++l) {
      const uint32_t one = static_cast<uint32_t>(bits + l * 4999);
      std::memcpy(&x[l], &one, sizeof one);
    }
    use(k.f32_gemv)(zero.data(), w.data(), x.data(), out.data(), 1, L, Activation::sigmoid);
    for (size_t l = 0; l < L; ++l) {
      const float expected = lcnet::sigmoid(x[l]);
      const double truth = 1.0 / (1.0 + std::exp(-static_cast<double>(x[l])));
      const bool same = std::memcmp(&out[l], &expected, sizeof expected) == 0 || (std::isnan(x[l]) && std::isnan(out[l]));
      const bool near = std::isnan(x[l]) || std::fabs(static_cast<double>(out[l]) - truth) <= 1e-7 + 1e-6 * truth;
      if (!same || !near)
        std::printf("%s: sigmoid(%.9g) is %.9g, not %.9g\n", k.isa, x[l], out[l], same ? truth : expected), std::exit(1);
    }
  }
}

struct Test {
  const char* name;
  void (*run)(const Kernels&, const Kernels&);
};
constexpr Test kTests[] = {
    {"split", split},
    {"stem", stem},
    {"dwconv_planes", dwconv_planes},
    {"dwconv", dwconv},
    {"dwgrad", dwgrad},
    {"gemm", gemm},
    {"gemm_planes", gemm_planes},
    {"gemv", gemv},
    {"channel", channel},
    {"peak", peak},
    {"resize_rows", resize_rows},
    {"resize_columns", resize_columns},
    {"lerp_rows", lerp_rows},
    {"lerp_columns", lerp_columns},
    {"resize_picture", resize_picture},
};
constexpr Test kBf16Tests[] = {
    {"bf16_dwconv", bf16_dwconv},
    {"bf16_gemm", bf16_gemm},
    {"bf16_channel_scale", bf16_channel_scale},
};

static void run(const Test& test, const Kernels& fast, int rounds) {
  const std::string name = std::string(fast.isa) + " " + test.name;
  context = name.c_str();
  for (int i = 0; i < rounds; ++i) test.run(fast, lcnet::scalar_kernels(fast.lanes, fast.panel));
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  for (const lcnet::Isa& isa : lcnet::isas()) {
    if (!runs_here(isa)) {
      std::printf("%s: not on this CPU\n", isa.kernels->isa);
      continue;
    }
    const Kernels& fast = *isa.kernels;
    for (const Test& test : kTests) run(test, fast, rounds);
    use(fast.int8), use(fast.bf16);  // tables of their own: the first is int8_test's
    all_used(fast, fast.f32_split, fast.isa);
    if (fast.bf16) {
      for (const Test& test : kBf16Tests) run(test, fast, rounds);
      all_used(*fast.bf16, fast.bf16->dwconv, fast.isa);
    }
    nan_stays(fast);
    sigmoid_is_exact(fast);
    std::printf("%s: all kernels equal the scalar ones in %d shapes each\n", fast.isa, rounds);
  }
}
