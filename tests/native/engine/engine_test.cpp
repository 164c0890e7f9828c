// The whole network in every layout against the scalar kernels in theirs, and these against plain loops: random small networks
// of LCNet's shape and of others, odd input sizes, teams of one to three, and a count of allocations. Under the sanitizers this
// covers packing, planning and running as well.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "../../../native/dispatch.h"
#include "../../../native/engine/engine.h"
#include "../../../native/kernels/tables.h"
#include "../isas.h"
#include "allocations.h"
#include "float_reference.h"

using lcnet::Outputs;

static std::mt19937 rng(11);

struct Engine : lcnet::Engine {
  Engine(const lcnet::Kernels& kernels, const lcnet::NetworkSource& source, size_t threads,
         lcnet::Precision precision = lcnet::Precision::f32)
      : lcnet::Engine(lcnet::Network(kernels, source, precision), threads) {}
};

static Results run(Engine& engine, const std::vector<float>& x, size_t images, size_t height, size_t width, bool maps) {
  const lcnet::Network& net = engine.network();
  Results r;
  r.logits.resize(images * net.classes);
  r.embedding.resize(images * net.embedding_channels());
  std::vector<float*> wanted;
  for (size_t f = 0; maps && f < net.feature_maps.size(); ++f) {
    const auto [c, h, w] = engine.feature_map(f, height, width);
    wanted.push_back(r.maps.emplace_back(images * c * h * w).data());
  }
  Outputs out;
  out.maps = maps ? wanted.data() : nullptr;
  if (net.classes) out.logits = r.logits.data();
  out.embedding = r.embedding.data();
  engine.run(x.data(), images, height, width, out);
  return r;
}

static void near(const std::vector<float>& found, const std::vector<float>& expected, const std::string& what,
                 float tolerance = 1e-4f) {
  if (found.size() != expected.size()) fail(what + " has another size");
  float low = expected[0], high = expected[0], worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    low = std::min(low, expected[i]), high = std::max(high, expected[i]);
    worst = std::max(worst, std::isnan(found[i]) ? INFINITY : std::fabs(found[i] - expected[i]));
  }
  if (!(worst <= tolerance * (high - low)))
    fail(what + " differs by " + std::to_string(worst / (high - low)) + " of its range");
}

static void compare(const Results& found, const Results& expected, const std::string& what, float tolerance = 1e-4f) {
  for (size_t f = 0; f < found.maps.size(); ++f)
    near(found.maps[f], expected.maps[f], what + " map " + std::to_string(f), tolerance);
  if (!expected.logits.empty()) near(found.logits, expected.logits, what + " logits", tolerance);
  if (!expected.embedding.empty()) near(found.embedding, expected.embedding, what + " embedding", tolerance);
}

using Tables = std::vector<std::pair<std::string, const lcnet::Kernels*>>;

static std::vector<float> random_images(size_t count, size_t in_chans, size_t height, size_t width) {
  std::vector<float> x(count * in_chans * height * width);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  return x;
}

// The results of the first of two images.
static Results first_of(const Results& two) {
  const auto half = [](const std::vector<float>& v) {
    return std::vector<float>(v.begin(), v.begin() + static_cast<long>(v.size() / 2));
  };
  Results one{half(two.logits), half(two.embedding), {}};
  for (const auto& map : two.maps) one.maps.push_back(half(map));
  return one;
}

// bfloat16 in every layout against the scalar bfloat16 kernels: the same roundings, so nearly the same numbers; and not too far
// from float.
static void bf16_is_near(const Weights& weights, const Tables& tables, const std::string& what) {
  Engine reference(lcnet::scalar_kernels(16, 2), weights.source, 1, lcnet::Precision::bf16);
  Engine exact(lcnet::kernels__scalar, weights.source, 1);
  const std::vector<float> x = random_images(2, weights.source.stem.in_chans, 47, 66);
  const Results expected = run(reference, x, 2, 47, 66, true);
  compare(expected, run(exact, x, 2, 47, 66, true), what + " scalar bf16", 0.1f);
  for (const auto& [name, kernels] : tables)
    for (size_t threads : {1, 3}) {
      if (!kernels->bf16) continue;
      Engine engine(*kernels, weights.source, threads, lcnet::Precision::bf16);
      compare(run(engine, x, 2, 47, 66, true), expected, what + " " + name + " bf16", 0.02f);
      compare(run(engine, x, 1, 47, 66, true), first_of(expected), what + " " + name + " bf16 alone", 0.02f);
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

// Every layout, alone and in a team, against the scalar kernels in theirs, and these against plain loops.
static void equals_the_reference(const Weights& weights, const Tables& tables, size_t height, size_t width,
                                 const std::string& what) {
  const lcnet::NetworkSource& source = weights.source;
  Engine reference(lcnet::kernels__scalar, source, 1);
  const std::vector<float> x = random_images(2, source.stem.in_chans, height, width);
  const Results expected = run(reference, x, 2, height, width, true), one = first_of(expected);
  const auto half = x.begin() + static_cast<long>(x.size() / 2);
  compare(one, FloatReference::run(source, {source.stem.in_chans, height, width, {x.begin(), half}}), what + " in plain loops");
  for (const auto& [name, kernels] : tables)
    for (size_t threads : {1, 2, 3}) {
      Engine engine(*kernels, source, threads);
      compare(run(engine, x, 2, height, width, true), expected, what + " " + name);
      compare(run(engine, x, 1, height, width, false), one, what + " " + name + " alone");
      compare(run(engine, x, 1, height, width, true), one, what + " " + name + " alone, with maps");
    }
}

int main() {
  Tables tables;
  for (size_t lanes : {8, 16}) tables.emplace_back("scalar x" + std::to_string(lanes), &lcnet::scalar_kernels(lanes, 2));
  for (const lcnet::Isa& isa : lcnet::isas())
    if (runs_here(isa)) tables.emplace_back(isa.kernels->isa, isa.kernels);

  const size_t sizes[][2] = {{32, 32}, {33, 40}, {47, 35}, {64, 97}, {130, 34}};
  for (const Made& made : {lcnet_shape(8, 3), lcnet_shape(12, 1)}) {
    const Weights weights(rng, made);
    for (const auto& [height, width] : sizes) equals_the_reference(weights, tables, height, width, made.name);
    bf16_is_near(weights, tables, made.name);
  }
  for (const Made& made : other_shapes()) {
    const Weights weights(rng, made);
    for (const auto& [height, width] : {std::pair<size_t, size_t>{48, 160}, {33, 41}, {70, 9}})
      equals_the_reference(weights, tables, height, width, made.name);
    bf16_is_near(weights, tables, made.name);
  }
  for (const Made& made : {v2_shape(8, 3), v2_shape(20, 1)}) {
    const Weights weights(rng, made);
    for (const auto& [height, width] : {std::pair<size_t, size_t>{64, 64}, {35, 98}, {130, 33}})
      equals_the_reference(weights, tables, height, width, made.name);
    bf16_is_near(weights, tables, made.name);
  }
  for (const Made& made : mixed_shapes()) {
    const Weights weights(rng, made);
    for (const auto& [height, width] : {std::pair<size_t, size_t>{48, 50}, {33, 41}})
      equals_the_reference(weights, tables, height, width, made.name);
    bf16_is_near(weights, tables, made.name);
  }
  const Weights weights(rng, lcnet_shape(8, 3)), v2(rng, v2_shape(8, 3));
  for (const auto& [name, kernels] : tables) {
    for (size_t threads : {1, 2}) {
      Engine engine(*kernels, weights.source, threads);
      hot_path_allocates_nothing(engine, 64, "");
    }
    for (const Weights* w : {&weights, &v2}) {
      batches_change_nothing(*kernels, *w, lcnet::Precision::f32);
      if (kernels->bf16) batches_change_nothing(*kernels, *w, lcnet::Precision::bf16);
    }
  }
  for (const auto& table : tables) std::printf("%s: whole networks equal the scalar ones\n", table.first.c_str());
}
