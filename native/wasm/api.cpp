// The core as a WebAssembly module exports it: one model, one thread. What is wrong with an argument ends in a trap, after which
// lcnet_failure says what it was. Sizes, pointers and whether arrays are long enough are JavaScript's to check.
#include <algorithm>
#include <memory>
#include <optional>

#include "../fail.h"
#include "../inference/int8/runner.h"
#include "../jpeg/decode.h"
#include "../kernels/tables.h"
#include "described.h"
#include "memory.h"
#include "pictures.h"
#include "program.h"

#define LCNET_EXPORT(name) extern "C" __attribute__((export_name(#name))) auto name

namespace lcnet {

const char* last_failure();  // failures.cpp

namespace {

class Model {
 public:
  virtual ~Model() = default;
  virtual void run(const float* x, size_t height, size_t width, const Outputs& out) = 0;
};

// All that a plan has counted, maps and rows of them, is less than 2^32 bytes, or its sums have lost what a size here cannot hold.
void check_size(size_t height, size_t pitch, size_t channels) {
  constexpr size_t kRows = 16;  // no ring has more of a map that is lower
  const double rows = static_cast<double>(std::max(height, kRows));
  if (rows * static_cast<double>(pitch) * static_cast<double>(channels) > kMaxMap) fail_memory();
}

template <class Network, class Plan, class Runner>
class ModelOf final : public Model {
 public:
  template <class... Parts>
  explicit ModelOf(const Parts&... parts) : network_(parts...) {}

  void run(const float* x, size_t height, size_t width, const Outputs& out) override {
    if (!plan_ || plan_->height != height || plan_->width != width) plan(height, width);
    Team alone;
    Runner(network_, *plan_, arena_.data(), alone, 0).run(x, out);
  }

 private:
  // The old one goes first: there may be no room for two. If there is none for the new one either, there is none.
  void plan(size_t height, size_t width) {
    plan_.reset();
    arena_ = {};
    auto made = std::make_unique<const Plan>(network_, height, width, 1);
    for (const auto& map : made->maps) check_size(map.height, map.pitch, map.channels);
    arena_ = Arena(made->arena_bytes());
    plan_ = std::move(made);
  }

  const Network network_;
  std::unique_ptr<const Plan> plan_;
  Arena arena_;
};

std::unique_ptr<Model> model;
std::optional<Pictures> pictures;
std::string name;
jpeg::Header header;

}  // namespace

LCNET_EXPORT(lcnet_alloc)(size_t bytes)->void* { return allocate(bytes); }
LCNET_EXPORT(lcnet_free)(void* p)->void { release(p); }
LCNET_EXPORT(lcnet_failure)()->const char* { return last_failure(); }

// Whether a multiply-add is rounded once. (1 + 2^-12)^2 - (1 + 2^-11) is 2^-24, which the product alone cannot hold.
LCNET_EXPORT(lcnet_fused)(float x, float product)->int {
  const float a[] = {x, x, x, x}, b[] = {-product, -product, -product, -product};
  float out[8];
  kernels__wasm.f32_gemv(a, a, b, out, 1, 4, Activation::none);
  return out[0] != 0.0f;
}

LCNET_EXPORT(lcnet_build)(const uint32_t* words, double eps, double slope)->void {
  Program program(words, eps, slope);
  if (!program.quantized())
    model = std::make_unique<ModelOf<Network, Plan, Runner>>(kernels__wasm, program.floats());
  else
#if defined(LCNET_INT8)
    model = std::make_unique<ModelOf<Int8Network, Int8Plan, Int8Runner>>(int8_kernels__wasm, program.int8(), kernels__wasm);
#else
    fail("the model is quantised, and this module is for float networks: take one with int8 in its name");
#endif
}

// As Description and Described say. out: the embedding's channels, how many feature maps there are, and of each three numbers.
LCNET_EXPORT(lcnet_load)(const double* numbers, char* lines, uint8_t* base, double eps, double slope, double* out)->void {
  const Description description(numbers);
  const Described described(description, lines, base);
  pictures.emplace(description.pictures);
  name = description.name();
  lcnet_build(described.program().data(), eps, slope);
  *out++ = static_cast<double>(described.embedding());
  *out++ = static_cast<double>(described.maps().size());
  for (const MapSize& map : described.maps())
    for (size_t n : {map.channels, map.down, map.across}) *out++ = static_cast<double>(n);
}

// x: [channels][height][width]. maps: an address a feature map, or null.
LCNET_EXPORT(lcnet_run)(const float* x, size_t height, size_t width, float* logits, float* embedding, float* const* maps)
    ->void {
  Outputs out;
  out.logits = logits, out.embedding = embedding, out.maps = maps;
  model->run(x, height, width, out);
}

LCNET_EXPORT(lcnet_name)()->const char* { return name.c_str(); }

// The width of a JPEG file's pixels, 0 if it is none that we decode (jpeg/decode.h); then the height, the channels (1 or 3), and the
// pixels themselves, false if the file turns out to be damaged or odd.
LCNET_EXPORT(lcnet_jpeg_width)(const uint8_t* data, size_t size)->size_t {
  header = {};
  return jpeg::read_header(data, size, header) ? header.width : 0;
}
LCNET_EXPORT(lcnet_jpeg_height)()->size_t { return header.height; }
LCNET_EXPORT(lcnet_jpeg_channels)()->size_t { return header.components; }
LCNET_EXPORT(lcnet_jpeg_pixels)(const uint8_t* data, size_t size, uint8_t* pixels)->int {
  Buffer<uint8_t> workspace(jpeg::workspace_bytes(header, size));
  return jpeg::decode(jpeg_kernels__scalar, header, data, size, workspace.data(), pixels, header.components);
}

// False if a picture is so narrow that it would have no pixels, or far too many, when it is scaled.
LCNET_EXPORT(lcnet_prepare)(uint8_t* pixels, size_t height, size_t width, size_t step, float* out)->int {
  const Scaled to = pictures->scaled(height, width);
  constexpr auto most = static_cast<int64_t>(kMaxSide);
  if (std::min(to.height, to.width) < 1 || std::max(to.height, to.width) > most) return false;
  pictures->prepare(kernels__wasm, pixels, height, width, step, out);
  return true;
}

}  // namespace lcnet
