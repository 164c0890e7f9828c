// Whole quantised networks of every ISA against plain loops over whole tensors, to the bit: odd input sizes, widths that are no
// multiple of a vector, teams of one to three, batches, feature maps, and a count of allocations.
#include <string>

#include "../../../native/dispatch.h"
#include "../../../native/engine/engine.h"
#include "../../../native/kernels/tables.h"
#include "../isas.h"
#include "allocations.h"
#include "int8_reference.h"

using lcnet::Int8Engine;
using lcnet::Int8Kernels;
using lcnet::Outputs;

static std::mt19937 rng(5);

static void equal(const std::vector<float>& found, const std::vector<float>& expected, const std::string& what) {
  if (found.size() != expected.size()) fail(what + " has another size");
  for (size_t i = 0; i < found.size(); ++i)
    if (!(found[i] == expected[i]))
      fail(what + ": value " + std::to_string(i) + " is " + std::to_string(found[i]) + ", not " + std::to_string(expected[i]));
}

// A network that gives every picture the same answer would pass everything.
static void reacts(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::fabs(a[i] - b[i]));
  if (!(most > 0.05f)) fail("the logits hardly depend on the picture");
}

struct Case {
  const Int8Weights& weights;
  size_t height, width;
  std::vector<float> x;
  std::vector<Int8Reference> expected;  // of each image
};

static Case make_case(const Int8Weights& weights, size_t height, size_t width, size_t images) {
  Case c{weights, height, width, std::vector<float>(images * weights.source.stem.in_chans * height * width), {}};
  for (float& v : c.x) v = std::normal_distribution<float>()(rng);
  for (size_t i = 0; i < images; ++i) {
    c.expected.push_back({weights.source, {}, {}, {}, false});
    c.expected.back().run(c.x.data() + i * c.x.size() / images, height, width);
  }
  const Int8Reference &a = c.expected[0], &b = c.expected[1];
  reacts(a.logits.empty() ? a.maps.back().values : a.logits, b.logits.empty() ? b.maps.back().values : b.logits);
  return c;
}

// `images` of a case, with all outputs.
static void run(Int8Engine& engine, const Case& c, size_t images, bool maps, const std::string& what) {
  const lcnet::Int8Network& net = engine.network();
  std::vector<float> logits(images * net.classes), embeddings(images * net.embedding_channels());
  std::vector<std::vector<float>> outs;
  std::vector<float*> wanted;
  for (size_t f = 0; f < net.feature_maps.size(); ++f) {
    const auto [channels, height, width] = engine.feature_map(f, c.height, c.width);
    wanted.push_back(outs.emplace_back(images * channels * height * width).data());
  }
  Outputs out;
  out.maps = maps ? wanted.data() : nullptr;
  if (net.classes) out.logits = logits.data();
  out.embedding = embeddings.data();
  engine.run(c.x.data(), images, c.height, c.width, out);
  const auto slice = [&](const std::vector<float>& all, size_t i) {
    const auto n = static_cast<long>(all.size() / images), at = static_cast<long>(i) * n;
    return std::vector<float>(all.begin() + at, all.begin() + at + n);
  };
  for (size_t i = 0; i < images; ++i) {
    equal(slice(embeddings, i), c.expected[i].embedding, what + " embedding");
    equal(slice(logits, i), c.expected[i].logits, what + " logits");
    for (size_t f = 0; maps && f < outs.size(); ++f)
      equal(slice(outs[f], i), c.expected[i].maps[f].values, what + " map " + std::to_string(f));
  }
}

// The head alone, from a feature map that only it has seen.
static void run_head(Int8Engine& engine, const Int8Weights& weights, const std::string& what) {
  const lcnet::Int8Network& net = engine.network();
  std::vector<float> features(2 * net.features * 6), logits(2 * net.classes);
  for (float& v : features) v = std::normal_distribution<float>()(rng);
  Outputs out;
  out.logits = logits.data();
  engine.run_head(features.data(), 2, 2, 3, out);
  for (size_t i = 0; i < 2; ++i) {
    Tensor x{net.features, 2, 3, {}};
    for (size_t n = 0; n < net.features * 6; ++n) x.values.push_back(features[i * net.features * 6 + n] * 6.0f);
    Int8Reference expected{weights.source, {}, {}, {}, false};
    expected.head(expected.means(x));
    const auto at = logits.begin() + static_cast<long>(i * net.classes);
    equal({at, at + static_cast<long>(net.classes)}, expected.logits, what + " logits of a feature map");
  }
}

// Weights that fit a picture.
static Int8Weights fitted(const Made& made) {
  Int8Weights weights(rng, made);
  std::vector<float> picture(made.in_chans * 64 * 64);
  for (float& v : picture) v = std::normal_distribution<float>()(rng);
  Int8Reference{weights.source, {}, {}, {}, false}.fit(picture.data(), 64, 64);
  return weights;
}

int main() {
  std::vector<std::pair<std::string, const Int8Kernels*>> tables;
  for (const auto& [lanes, group] : {std::pair{size_t{8}, size_t{2}}, std::pair{size_t{16}, size_t{4}}})
    tables.emplace_back("scalar x" + std::to_string(lanes), &lcnet::int8_scalar_kernels(lanes, group));
  for (const lcnet::Isa& isa : lcnet::isas())
    if (runs_here(isa) && std::string(isa.kernels->int8->isa) == isa.kernels->isa)
      tables.emplace_back(isa.kernels->isa, isa.kernels->int8);

  const auto whole = [&](const Made& made, size_t height, size_t width, const Int8Weights& weights) {
    const Case c = make_case(weights, height, width, 2);
    for (const auto& [name, kernels] : tables)
      for (size_t threads : {1, 2, 3}) {
        Int8Engine engine(lcnet::Int8Network(*kernels, weights.source, *lcnet::isas().back().kernels), threads);
        const std::string what = made.name + " " + name + " x " + std::to_string(threads);
        run(engine, c, 2, true, what);
        run(engine, c, 1, false, what + " alone");
        run(engine, c, 1, true, what + " alone, with maps");
        if (height != 32) continue;
        run_head(engine, weights, what);
        hot_path_allocates_nothing(engine, 32, what + ": ");
      }
  };
  for (const Made& made : {lcnet_shape(8, 3), lcnet_shape(12, 1)}) {
    const Int8Weights weights = fitted(made);
    for (const auto& [height, width] : {std::pair<size_t, size_t>{32, 32}, {33, 40}, {47, 35}, {34, 98}})
      whole(made, height, width, weights);
  }
  const auto more = [] {
    std::vector<Made> shapes = mixed_shapes();
    for (size_t width : {8, 20}) shapes.push_back(v2_shape(width, 3));
    for (const Made& made : other_shapes()) shapes.push_back(made);
    return shapes;
  };
  for (const Made& made : more()) {
    const Int8Weights weights = fitted(made);
    for (const auto& [height, width] : {std::pair<size_t, size_t>{48, 98}, {33, 41}}) whole(made, height, width, weights);
  }
  for (const auto& table : tables) std::printf("%s: whole int8 networks equal plain loops to the bit\n", table.first.c_str());
}
