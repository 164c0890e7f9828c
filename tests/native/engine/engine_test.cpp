// The whole network in every layout against the scalar kernels in theirs: random small networks, odd input sizes, teams of
// one to three, and a count of allocations. Under the sanitizers this covers packing, planning and running as well.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "../../../native/dispatch.h"
#include "../../../native/engine/engine.h"
#include "../../../native/kernels/tables.h"
#include "allocations.h"
#include "../isas.h"

using lcnet::Dense;
using lcnet::Outputs;
using lcnet::Spatial;

static std::mt19937 rng(11);

struct Engine : lcnet::Engine {
  Engine(const lcnet::Kernels& kernels, const lcnet::NetworkSource& source, size_t threads,
         lcnet::Precision precision = lcnet::Precision::f32)
      : lcnet::Engine(lcnet::Network(kernels, source, precision), threads) {}
};

// A network of the family with random weights of a scale that keeps signals alive.
struct Weights {
  std::vector<std::vector<float>> kept;
  lcnet::NetworkSource source;

  const float* random(size_t n, float scale) {
    std::vector<float> values(n);
    for (float& v : values) v = scale * std::normal_distribution<float>()(rng);
    kept.push_back(std::move(values));
    return kept.back().data();
  }
  Dense dense(size_t in, size_t out) {
    return {random(in * out, std::sqrt(2.5f / static_cast<float>(in))), random(out, 0.2f), in, out};
  }
  Spatial spatial(size_t channels, size_t in_chans, size_t k) {
    const size_t n = in_chans * k * k;
    return {random(channels * n, std::sqrt(2.5f / static_cast<float>(n))), random(channels, 0.2f), channels, in_chans, k};
  }
  Weights(size_t width, size_t in_chans, size_t classes) {
    const size_t outs[13] = {2, 4, 4, 8, 8, 16, 16, 16, 16, 16, 16, 32, 32};
    const size_t kernels[13] = {3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5}, strides[13] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};
    source.stem = spatial(width, in_chans, 3);
    size_t in = width;
    for (size_t i = 0; i < 13; ++i) {
      lcnet::BlockSource b{};
      const size_t out = outs[i] * width;
      b.depthwise = spatial(in, 1, kernels[i]);
      b.stride = strides[i];
      b.pointwise = dense(in, out);
      if ((b.se = i >= 11)) b.reduce = dense(in, in / 4), b.expand = dense(in / 4, in);
      source.blocks.push_back(b);
      in = out;
    }
    source.head = dense(in, 70);
    source.classifier = dense(70, classes);
  }
};

struct Results {
  std::vector<float> logits, embedding, maps[lcnet::kFeatureMaps];
};

static Results run(Engine& engine, const std::vector<float>& x, size_t images, size_t height, size_t width, bool maps) {
  Results r;
  Outputs out;
  r.logits.resize(images * engine.network().classes);
  r.embedding.resize(images * engine.network().head_features);
  out.logits = r.logits.data(), out.embedding = r.embedding.data();
  size_t h = height, w = width;
  for (size_t f = 0; f < lcnet::kFeatureMaps; ++f) {
    h = (h - 1) / 2 + 1, w = (w - 1) / 2 + 1;
    if (!maps) continue;
    r.maps[f].resize(images * engine.network().blocks[lcnet::kFeatureMapIndex[f] - 1].out_channels * h * w);
    out.maps[f] = r.maps[f].data();
  }
  engine.run(x.data(), images, height, width, out);
  return r;
}

static void near(const std::vector<float>& found, const std::vector<float>& expected, const std::string& what,
                 float tolerance = 1e-4f) {
  float low = expected[0], high = expected[0], worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    low = std::min(low, expected[i]), high = std::max(high, expected[i]);
    worst = std::max(worst, std::isnan(found[i]) ? INFINITY : std::fabs(found[i] - expected[i]));
  }
  if (!(worst <= tolerance * (high - low))) fail(what + " differs by " + std::to_string(worst / (high - low)) + " of its range");
}

static void compare(const Results& found, const Results& expected, const std::string& what) {
  near(found.logits, expected.logits, what + " logits");
  near(found.embedding, expected.embedding, what + " embedding");
  for (size_t f = 0; f < lcnet::kFeatureMaps; ++f)
    if (!found.maps[f].empty()) near(found.maps[f], expected.maps[f], what + " map " + std::to_string(f));
}

// bfloat16 in every layout against the scalar bfloat16 kernels: the same roundings, so nearly the same numbers; and not too far
// from float.
static void bf16_is_near(const Weights& weights, const std::vector<std::pair<std::string, const lcnet::Kernels*>>& tables) {
  Engine reference(lcnet::scalar_kernels(16, 2), weights.source, 1, lcnet::Precision::bf16);
  Engine exact(lcnet::kernels__scalar, weights.source, 1);
  std::vector<float> x(2 * reference.network().in_chans * 47 * 66);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  const Results expected = run(reference, x, 2, 47, 66, true);
  near(expected.logits, run(exact, x, 2, 47, 66, true).logits, "scalar bf16", 0.1f);
  for (const auto& [name, kernels] : tables)
    for (size_t threads : {1, 3}) {
      if (!kernels->bf16) continue;
      Engine engine(*kernels, weights.source, threads, lcnet::Precision::bf16);
      near(run(engine, x, 2, 47, 66, true).logits, expected.logits, name + " bf16", 0.02f);
    }
}

// To the bit: an image's results do not depend on the batch that it is in, on the threads, or on which images share a head.
static void batches_change_nothing(const lcnet::Kernels& kernels, const Weights& weights, lcnet::Precision precision) {
  constexpr size_t kImages = lcnet::Plan::kHeads + 3, kSide = 32;
  Engine alone(kernels, weights.source, 1, precision);
  const lcnet::Network& net = alone.network();
  const size_t floats = net.in_chans * kSide * kSide, head_floats = net.features * 4;
  std::vector<float> x(kImages * floats), features(kImages * head_floats);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  for (float& v : features) v = std::normal_distribution<float>()(rng);
  for (size_t threads : {1, 2, 3}) {
    Engine engine(kernels, weights.source, threads, precision);
    for (size_t images : {size_t{2}, size_t{3}, kImages}) {
      const Results batch = run(engine, x, images, kSide, kSide, false);
      std::vector<float> logits(images * net.classes);
      Outputs out;
      out.logits = logits.data();
      engine.run_head(features.data(), images, 2, 2, out);
      for (size_t i = 0; i < images; ++i) {
        std::vector<float> one(net.classes);
        const auto equals = [&](const std::vector<float>& all) {
          return std::equal(one.begin(), one.end(), all.begin() + static_cast<long>(i * net.classes));
        };
        out.logits = one.data();
        alone.run(x.data() + i * floats, 1, kSide, kSide, out);
        if (!equals(batch.logits)) fail("a batch changes the logits of an image");
        alone.run_head(features.data() + i * head_floats, 1, 2, 2, out);
        if (!equals(logits)) fail("a batch changes the logits of a feature map");
      }
    }
  }
}

int main() {
  std::vector<std::pair<std::string, const lcnet::Kernels*>> tables;
  for (size_t lanes : {8, 16}) tables.emplace_back("scalar x" + std::to_string(lanes), &lcnet::scalar_kernels(lanes, 2));
  for (const lcnet::Isa& isa : lcnet::isas()) {
    if (runs_here(isa)) tables.emplace_back(isa.kernels->isa, isa.kernels);
  }
  const size_t sizes[][2] = {{32, 32}, {33, 40}, {47, 35}, {64, 97}, {130, 34}};
  for (size_t width : {8, 12}) {
    const Weights weights(width, width == 8 ? 3 : 1, 11);
    Engine reference(lcnet::kernels__scalar, weights.source, 1);
    for (const auto& [height, columns] : sizes) {
      std::vector<float> x(2 * reference.network().in_chans * height * columns);
      for (float& v : x) v = std::normal_distribution<float>()(rng);
      const Results expected = run(reference, x, 2, height, columns, true);
      for (const auto& [name, kernels] : tables)
        for (size_t threads : {1, 2, 3}) {
          Engine engine(*kernels, weights.source, threads);
          compare(run(engine, x, 2, height, columns, true), expected, name);
          Results one = expected;
          one.logits.resize(11), one.embedding.resize(70);
          compare(run(engine, x, 1, height, columns, false), one, name + " alone");
        }
    }
    bf16_is_near(weights, tables);
    if (width == 12) continue;
    for (const auto& [name, kernels] : tables) {
      for (size_t threads : {1, 2}) {
        Engine engine(*kernels, weights.source, threads);
        hot_path_allocates_nothing(engine, 64, "");
      }
      batches_change_nothing(*kernels, weights, lcnet::Precision::f32);
      if (kernels->bf16) batches_change_nothing(*kernels, weights, lcnet::Precision::bf16);
    }
  }
  for (const auto& table : tables) std::printf("%s: whole networks equal the scalar ones\n", table.first.c_str());
}
