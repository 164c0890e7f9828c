// Every int8 kernel of every ISA that this CPU has, against the scalar one in the same layout: random shapes below, at and
// above the tiles, buffers that end at a page which may not be touched, and results that are equal to the bit.
//
// Prints one line an ISA and exits 0, or the first difference and exits 1.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../../../native/dispatch.h"
#include "../../../native/kernels/tables.h"
#include "guarded.h"
#include "../isas.h"
#include "slots.h"

using lcnet::Activation;
using lcnet::Int8Kernels;
using lcnet::Unit;

static const char* context = "";

static void equal(const void* found, const void* expected, size_t bytes) {
  if (std::memcmp(found, expected, bytes) == 0) return;
  size_t i = 0;
  while (static_cast<const uint8_t*>(found)[i] == static_cast<const uint8_t*>(expected)[i]) ++i;
  std::printf("%s: byte %zu of %zu differs\n", context, i, bytes);
  std::exit(1);
}

// Guarded bytes as units, or as anything else.
struct Memory : GuardedBytes {
  explicit Memory(size_t bytes) : GuardedBytes(bytes), size(bytes) {}
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data);
  }
  size_t size;
};

static size_t codes(const Int8Kernels& k, size_t n) { return n * 4 / k.group; }  // their bytes

// Units of random codes or weights: in pairs of int16 they fill half the bytes.
static std::unique_ptr<Memory> units(const Int8Kernels& k, size_t n, bool weights) {
  auto memory = std::make_unique<Memory>(n * sizeof(Unit));
  if (k.group == 2)
    for (size_t i = 0; i < 2 * n; ++i)
      memory->as<int16_t>()[i] = static_cast<int16_t>(static_cast<int>(pick(0, weights ? 254 : 255)) - (weights ? 127 : 0));
  return memory;
}

// The coefficients of a layer with outputs that use all codes, and some beyond; some channels code NaN and infinity.
struct Layer {
  explicit Layer(size_t channels, float magnitude)
      : scale(channels), bias(channels), inverse_scale(channels), zero_point(channels), start(channels * sizeof(int32_t)) {
    for (size_t c = 0; c < channels; ++c) {
      scale.data[c] *= 3.0f / magnitude;
      bias.data[c] *= 2.0f;
      inverse_scale.data[c] = pick(0, 19) ? std::fabs(inverse_scale.data[c]) * 10.0f : pick(0, 1) ? 3e9f : INFINITY;
      zero_point.data[c] = static_cast<float>(pick(0, 255));
      start.as<int32_t>()[c] = static_cast<int32_t>(pick(0, 20000)) - 10000;
    }
  }
  lcnet::Sums sums() const { return {scale.data, bias.data}; }
  lcnet::Coding coding() const { return {inverse_scale.data, zero_point.data}; }
  Guarded scale, bias, inverse_scale, zero_point;
  Memory start;
};

// Runs `kernel(table, out)` of both tables on buffers with the same bytes in them, and compares all of these.
template <class Run>
static void check(const Int8Kernels& fast, const Int8Kernels& scalar, size_t bytes, Run run) {
  Memory found(bytes), expected(bytes);
  std::memcpy(expected.data, found.data, bytes);
  run(fast, found);
  run(scalar, expected);
  equal(found.data, expected.data, bytes);
}

static Activation pick_activation() { return pick(0, 1) ? Activation::hswish6 : Activation::relu; }

static size_t whole_vectors(const Int8Kernels& k, size_t n) { return (n + k.lanes - 1) / k.lanes * k.lanes; }

static void quantize(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t width = pick(1, 90), half = width / 2 + 1 + pick(0, 9), in_chans = pick(1, 5), stride = width + pick(0, 9);
  Guarded x((in_chans - 1) * stride + width);
  if (pick(0, 3) == 0) x.data[pick(0, width - 1)] = pick(0, 1) ? NAN : 1e30f;
  Guarded inverse_scale(in_chans), zero_point(in_chans);
  for (size_t c = 0; c < in_chans; ++c)
    inverse_scale.data[c] = 60.0f, zero_point.data[c] = static_cast<float>(pick(0, 2550)) / 10.0f;
  const size_t planes = (in_chans + fast.group - 1) / fast.group;
  check(fast, scalar, planes * 2 * half * sizeof(Unit), [&](const Int8Kernels& k, Memory& out) {
    use(k.quantize)(x.data, stride, {inverse_scale.data, zero_point.data}, out.as<Unit>(), width, half, in_chans);
  });
}

// Lanes behind the width may hold anything: both get the same there before they are compared.
template <class T>
static void ignore(T* row, size_t width, size_t padded) {
  for (size_t x = width; x < padded; ++x) row[x] = 0;
}

static void stem(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t in_chans = pick(1, 5), channels = lcnet::kPlanes * pick(1, 5), width = pick(1, 90);
  const size_t padded = whole_vectors(fast, width), half = padded + 1 + pick(0, 3), plane = padded + pick(0, 20);
  const lcnet::StemRow row = pick(0, 1) ? lcnet::StemRow{half, 1, 2 * half} : lcnet::StemRow{1, 2, padded + 2 + pick(0, 3)};
  const Activation act = pick_activation();
  const size_t planes = (in_chans + fast.group - 1) / fast.group, pitch = channels + pick(0, 9);
  std::vector<std::unique_ptr<Memory>> rows;
  const Unit* in[3];
  for (const Unit*& at : in) rows.push_back(units(fast, planes * row.pitch, false)), at = rows.back()->as<Unit>();
  const auto w = units(fast, channels * 9 * planes, true);
  const Layer layer(channels, 100.0f * 73.0f * 5.0f);
  check(fast, scalar, (channels - 1) * plane + padded, [&](const Int8Kernels& k, Memory& out) {
    use(k.stem_3x3)(in, row, w->as<Unit>(), layer.sums(), layer.coding(), out.data, width, plane, in_chans, channels, act);
    for (size_t c = 0; c < channels; ++c) ignore(out.data + c * plane, width, padded);
  });
  check(fast, scalar, width * pitch * sizeof(float), [&](const Int8Kernels& k, Memory& out) {
    use(k.stem_f32)(in, row, w->as<Unit>(), layer.sums(), out.as<float>(), width, pitch, in_chans, channels, act);
  });
}

static void planes(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t L = fast.lanes, channels = lcnet::kPlanes * pick(1, 5), width = pick(1, 90), padded = whole_vectors(fast, width);
  const size_t plane = padded + pick(0, 20), pitch = padded + 2 * L, groups = pick(1, 2);
  std::vector<std::unique_ptr<Memory>> rows;
  const uint8_t* in[4] = {};
  for (size_t g = 0; g < fast.group; ++g) {
    rows.push_back(std::make_unique<Memory>((channels - 1) * plane + padded));
    if (pick(0, 3)) in[g] = rows.back()->data;
  }
  Memory zeros(channels * sizeof(Unit));
  for (size_t c = 0; c < channels; ++c)
    zeros.as<Unit>()[c] = static_cast<Unit>(pick(0, 255)) * (fast.group == 2 ? 0x10001u : 0x1010101u);
  check(fast, scalar, channels * pitch * sizeof(Unit), [&](const Int8Kernels& k, Memory& out) {
    use(k.interleave_planes)(in, zeros.as<Unit>(), out.as<Unit>(), width, plane, channels);
    for (size_t c = 0; c < channels; ++c) {
      Unit* row = out.as<Unit>() + c * pitch;
      ignore(row, 0, L - 1), ignore(row, L + width + 1, pitch);
    }
  });
  std::vector<std::unique_ptr<Memory>> interleaved;
  const Unit* group_rows[2];
  for (const Unit*& row : group_rows)
    interleaved.push_back(units(fast, channels * pitch, false)), row = interleaved.back()->as<Unit>();
  const auto w = units(fast, channels * groups * 3, true);
  Layer layer(channels, 9000.0f);
  const Activation act = pick_activation();
  check(fast, scalar, channels / fast.group * padded * sizeof(Unit), [&](const Int8Kernels& k, Memory& out) {
    use(k.dwconv_planes)(group_rows, groups, w->as<Unit>(), layer.start.as<int32_t>(), layer.sums(), layer.coding(),
                         out.as<Unit>(), width, channels, act);
    for (size_t c = 0; c < channels / fast.group; ++c) ignore(out.as<Unit>() + c * padded, width, padded);
  });
}

static void interleave(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t L = fast.lanes, channels = L * pick(1, 5), width = pick(1, 40), pad = pick(1, 2);
  const size_t stride = width * L + pick(0, 20);
  std::vector<std::unique_ptr<Memory>> rows;
  const uint8_t* in[4] = {};
  for (size_t g = 0; g < fast.group; ++g) {
    rows.push_back(std::make_unique<Memory>((channels / L - 1) * stride + width * L));
    if (pick(0, 3)) in[g] = rows.back()->data;
  }
  Memory zeros(channels * sizeof(Unit));
  for (size_t c = 0; c < channels; ++c)
    zeros.as<Unit>()[c] = static_cast<Unit>(pick(0, 255)) * (fast.group == 2 ? 0x10001u : 0x1010101u);
  check(fast, scalar, channels * (width + 2 * pad) * sizeof(Unit), [&](const Int8Kernels& k, Memory& out) {
    use(k.interleave)(in, zeros.as<Unit>(), out.as<Unit>(), width, stride, pad, channels);
  });
}

static void dwconv(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t K = pick(0, 1) ? 5 : 3, S = pick(1, 2), L = fast.lanes, channels = L * pick(1, 5), width = pick(1, 40);
  const size_t needed = S * (width - 1) + K, pitch = needed + pick(0, 3), groups = pick(1, 3);
  std::vector<std::unique_ptr<Memory>> rows;
  const Unit* in[3] = {};
  for (size_t g = 0; g < groups; ++g) {
    rows.push_back(units(fast, channels * pitch - (pitch - needed) * L, false));
    in[g] = rows.back()->as<Unit>();
  }
  const auto w = units(fast, channels * groups * K, true);
  Layer layer(channels, 3000.0f * static_cast<float>(K));
  const Activation act = pick_activation();
  check(fast, scalar, codes(fast, width * channels), [&](const Int8Kernels& k, Memory& out) {
    use(k.dwconv[K / 2 - 1][S - 1])(in, groups, w->as<Unit>(), layer.start.as<int32_t>(), layer.sums(), layer.coding(),
                                    out.as<Unit>(), width, pitch, channels, act);
  });
  check(fast, scalar, width * channels * sizeof(float), [&](const Int8Kernels& k, Memory& out) {
    use(k.dwconv_f32[K / 2 - 1][S - 1])(in, groups, w->as<Unit>(), layer.start.as<int32_t>(), layer.sums(), out.as<float>(),
                                        width, pitch, channels, act);
  });
}

static void gemm(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t L = fast.lanes, pixels = pick(1, 60), depth = L * pick(1, 9), channels = L * pick(1, 9);
  const size_t stride = pixels * L + pick(0, 20), out_pitch = channels + pick(0, 3), pitch = pick(0, 1) * (pixels + pick(0, 9));
  const auto a = units(fast, std::max(pixels, pitch) * depth / fast.group, false);
  Memory w(depth * channels);
  for (size_t i = 0; i < w.size; ++i)
    if (w.data[i] == 128) w.data[i] = 127;
  Layer layer(channels, 1500.0f * static_cast<float>(depth));
  const Activation between = pick_activation();
  check(fast, scalar, (channels / L - 1) * stride + pixels * L, [&](const Int8Kernels& k, Memory& out) {
    use(k.gemm)(a->as<Unit>(), pitch, w.as<int8_t>(), layer.start.as<int32_t>(), layer.sums(), layer.coding(), out.data, pixels,
                depth, channels, stride, between);
  });
  const Activation act = pick(0, 1) ? between : Activation::none;
  check(fast, scalar, ((pixels - 1) * out_pitch + channels) * sizeof(float), [&](const Int8Kernels& k, Memory& out) {
    use(k.gemm_f32)(a->as<Unit>(), pitch, w.as<int8_t>(), layer.start.as<int32_t>(), layer.sums(), out.as<float>(), pixels,
                    depth, channels, out_pitch, act);
  });
  check(fast, scalar, channels * sizeof(float), [&](const Int8Kernels& k, Memory& out) {
    use(k.gemv_f32)(a->as<Unit>(), w.as<int8_t>(), layer.start.as<int32_t>(), layer.sums(), out.as<float>(), depth, channels,
                    act);
  });
}

static void code(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const size_t pixels = pick(1, 30), channels = fast.lanes * pick(1, 9);
  const Guarded x(pixels * channels), gate(channels);
  const Layer layer(channels, 1.0f);
  const bool gated = pick(0, 1);
  x.data[pick(0, x.size() - 1)] = pick(0, 1) ? NAN : -INFINITY;
  check(fast, scalar, codes(fast, pixels * channels), [&](const Int8Kernels& k, Memory& out) {
    use(k.code)(x.data, gated ? gate.data : nullptr, layer.coding(), out.as<Unit>(), pixels, channels);
  });
}

static void f32(const Int8Kernels& fast, const Int8Kernels& scalar) {
  const Activation acts[] = {Activation::none, Activation::relu, Activation::hswish6, Activation::hsigmoid6,
                             Activation::sigmoid};
  const size_t depth = pick(1, 300), channels = fast.lanes * pick(1, 40), pixels = pick(1, 70);
  const Activation act = acts[pick(0, 4)];
  const Guarded x(depth), w(depth * channels), bias(channels), rows(pixels * channels);
  check(fast, scalar, channels * sizeof(float), [&](const Int8Kernels& k, Memory& out) {
    use(k.f32_gemv)(x.data, w.data, bias.data, out.as<float>(), depth, channels, act);
  });
  check(fast, scalar, channels * sizeof(float),
        [&](const Int8Kernels& k, Memory& out) { use(k.f32_channel_sum)(rows.data, out.as<float>(), pixels, channels, 0.1f); });
}

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 300;
  for (const lcnet::Isa& isa : lcnet::isas()) {
    const Int8Kernels& fast = *isa.kernels->int8;
    if (!runs_here(isa) || std::string(fast.isa) != isa.kernels->isa) continue;
    const Int8Kernels& scalar = lcnet::int8_scalar_kernels(fast.lanes, fast.group);
    struct {
      const char* name;
      void (*test)(const Int8Kernels&, const Int8Kernels&);
    } const tests[] = {{"quantize", quantize}, {"stem", stem}, {"planes", planes}, {"interleave", interleave},
                       {"dwconv", dwconv},     {"gemm", gemm}, {"code", code},     {"f32", f32}};
    for (const auto& t : tests) {
      const std::string name = std::string(fast.isa) + " int8 " + t.name;
      context = name.c_str();
      for (int i = 0; i < rounds; ++i) t.test(fast, scalar);
    }
    all_used(fast, fast.quantize, fast.isa);
    std::printf("%s: all int8 kernels equal the scalar ones to the bit in %d shapes each\n", fast.isa, rounds);
  }
}
