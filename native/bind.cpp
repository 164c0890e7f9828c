// The Python face of the engine: arrays in, arrays filled. Checks what would crash; lcnet/runtime.py explains it to people.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "dispatch.h"
#include "dwgrad/dwgrad.h"
#include "engine.h"
#include "resize/sinks.h"

namespace nb = nanobind;
using lcnet::Dense;
using lcnet::Engine;
using lcnet::Outputs;
using lcnet::Spatial;

template <size_t N>
using In = nb::ndarray<const float, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <size_t N>
using Out = nb::ndarray<float, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

static void require(bool good, const char* what) {
  if (!good) throw std::invalid_argument(what);
}

static Spatial spatial(const In<4>& w, const In<1>& b) {
  require(w.shape(0) == b.shape(0) && w.shape(2) == w.shape(3), "a conv's weight and bias do not fit");
  return {w.data(), b.data(), w.shape(0), w.shape(1), w.shape(2)};
}

static Dense dense(const In<2>& w, const In<1>& b) {
  require(w.shape(0) == b.shape(0), "a layer's weight and bias do not fit");
  return {w.data(), b.data(), w.shape(1), w.shape(0)};
}

// The folded layers of one network, kept alive until they are packed.
class Layers {
 public:
  void stem(const In<4>& w, const In<1>& b) {
    source_.stem = spatial(w, b);
    require(source_.stem.kernel == 3, "the stem is a 3x3 conv");
    keep(w, b);
  }
  void block(size_t stride, const In<4>& dw_w, const In<1>& dw_b, const In<2>& pw_w, const In<1>& pw_b) {
    lcnet::BlockSource block{};
    block.depthwise = spatial(dw_w, dw_b);
    block.pointwise = dense(pw_w, pw_b);
    block.stride = stride;
    require(block.depthwise.in_chans == 1 && block.pointwise.in == block.depthwise.channels, "a block's convs do not fit");
    require(block.depthwise.channels == trunk_channels(), "a block does not fit the layer before it");
    source_.blocks.push_back(block);
    keep(dw_w, dw_b, pw_w, pw_b);
  }
  void squeeze_excite(const In<2>& reduce_w, const In<1>& reduce_b, const In<2>& expand_w, const In<1>& expand_b) {
    require(!source_.blocks.empty(), "squeeze-and-excite belongs to a block");
    lcnet::BlockSource& block = source_.blocks.back();
    block.se = true;
    block.reduce = dense(reduce_w, reduce_b);
    block.expand = dense(expand_w, expand_b);
    const size_t channels = block.depthwise.channels;
    require(block.reduce.in == channels && block.expand.out == channels && block.expand.in == block.reduce.out,
            "squeeze-and-excite does not fit its block");
    keep(reduce_w, reduce_b, expand_w, expand_b);
  }
  void head(const In<2>& w, const In<1>& b) {
    source_.head = dense(w, b);
    require(source_.head.in == trunk_channels(), "the head does not fit the last block");
    keep(w, b);
  }
  void classifier(const In<2>& w, const In<1>& b) {
    source_.classifier = dense(w, b);
    require(source_.classifier.in == source_.head.out, "the classifier does not fit the head");
    keep(w, b);
  }
  const lcnet::NetworkSource& source() const {
    require(source_.blocks.size() == lcnet::kFeatureMapIndex[lcnet::kFeatureMaps - 1], "an LCNet has 13 blocks");
    require(source_.stem.w && source_.head.w, "the stem and the head are needed");
    return source_;
  }

 private:
  size_t trunk_channels() const {
    return source_.blocks.empty() ? source_.stem.channels : source_.blocks.back().pointwise.out;
  }
  template <class... Arrays>
  void keep(const Arrays&... arrays) {
    (kept_.push_back(nb::cast(arrays)), ...);
  }

  lcnet::NetworkSource source_{};
  std::vector<nb::object> kept_;
};

static Outputs outputs(const Engine& engine, size_t images, const std::optional<Out<2>>& logits,
                       const std::optional<Out<2>>& embeddings) {
  Outputs out;
  const lcnet::Network& net = engine.network();
  if (logits) {
    require(logits->shape(0) == images && logits->shape(1) == net.classes && net.classes, "logits do not fit");
    out.logits = logits->data();
  }
  if (embeddings) {
    require(embeddings->shape(0) == images && embeddings->shape(1) == net.head_features, "embeddings do not fit");
    out.embedding = embeddings->data();
  }
  return out;
}

static void run(Engine& engine, const In<4>& x, const std::optional<Out<2>>& logits,
                const std::optional<Out<2>>& embeddings, const std::vector<std::optional<Out<4>>>& maps) {
  const size_t images = x.shape(0), height = x.shape(2), width = x.shape(3);
  require(x.shape(1) == engine.network().in_chans && height > 0 && width > 0, "the input does not fit");
  Outputs out = outputs(engine, images, logits, embeddings);
  require(maps.size() <= lcnet::kFeatureMaps, "there are five feature maps");
  size_t h = height, w = width;
  for (size_t f = 0; f < maps.size(); ++f) {
    h = (h - 1) / 2 + 1, w = (w - 1) / 2 + 1;
    if (!maps[f]) continue;
    const size_t channels = engine.network().blocks[lcnet::kFeatureMapIndex[f] - 1].out_channels;
    const Out<4>& m = *maps[f];
    require(m.shape(0) == images && m.shape(1) == channels && m.shape(2) == h && m.shape(3) == w, "a map does not fit");
    out.maps[f] = m.data();
  }
  nb::gil_scoped_release released;
  engine.run(x.data(), images, height, width, out);
}

static void run_head(Engine& engine, const In<4>& features, const std::optional<Out<2>>& logits,
                     const std::optional<Out<2>>& embeddings) {
  const size_t images = features.shape(0), height = features.shape(2), width = features.shape(3);
  require(features.shape(1) == engine.network().features && height > 0 && width > 0, "the feature map does not fit");
  const Outputs out = outputs(engine, images, logits, embeddings);
  nb::gil_scoped_release released;
  engine.run_head(features.data(), images, height, width, out);
}

// dw [k,k,C] of a depthwise conv with k/2 zeros around: x [N,H,W,C], dy [N,H/stride,W/stride,C], sizes rounded up.
static void dwgrad(lcnet::Pool& pool, const In<4>& x, const In<4>& dy, size_t stride, const Out<3>& dw, const std::string& isa) {
  const lcnet::DwgradShape s{x.shape(0), x.shape(1), x.shape(2), x.shape(3), dw.shape(0), stride};
  require(lcnet::dwgrad_supported(s) && dw.shape(1) == s.kernel && dw.shape(2) == s.channels, "the weights do not fit");
  require(dy.shape(0) == s.images && dy.shape(1) == s.out_height() && dy.shape(2) == s.out_width() &&
              dy.shape(3) == s.channels, "the output's gradient does not fit");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  nb::gil_scoped_release released;
  lcnet::dwgrad(kernels, pool, s, x.data(), dy.data(), dw.data());
}

// Multiply-adds a second that one thread can do: the best of short bursts, so that an interruption does not count.
static double fma_peak(double seconds) {
  using Clock = std::chrono::steady_clock;
  const lcnet::Kernels& kernels = lcnet::select_kernels("");
  std::vector<float> sink(kernels.lanes, 1.0f);
  double best = 0;
  for (const auto end = Clock::now() + std::chrono::duration<double>(seconds); Clock::now() < end;) {
    const auto start = Clock::now();
    const size_t count = kernels.f32_peak(sink.data(), 10000);
    best = std::max(best, static_cast<double>(count) / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

using Pixels = nb::ndarray<const uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;  // [H,W,C]
using PixelsOut = nb::ndarray<uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using PlanesOut = nb::ndarray<float, nb::ndim<3>, nb::device::cpu>;  // [C,h,w], rows without gaps
using Scaled = std::tuple<size_t, size_t>;                              // height, width
using Box = std::tuple<size_t, size_t, size_t, size_t>;                 // left, top, right, bottom, as Pillow has it

static lcnet::Picture picture(const Pixels& image) {
  const lcnet::Picture p{image.data(), image.shape(0), image.shape(1), image.shape(2)};
  const auto side = [](size_t n) { return n >= 1 && n <= lcnet::kMaxSide; };
  require(side(p.height) && side(p.width), "a picture's sides must be 1 to 2^24");
  require(p.channels >= 1 && p.channels <= lcnet::kMaxResizeChannels, "pictures have 1 to 4 channels here");
  return p;
}

static lcnet::Resize resize_to(const Scaled& scaled, const Box& box, const std::string& filter) {
  const auto [height, width] = scaled;
  const auto [left, top, right, bottom] = box;
  require(height <= lcnet::kMaxSide && width <= lcnet::kMaxSide, "a scaled picture's sides must be 1 to 2^24");
  require(left < right && right <= width && top < bottom && bottom <= height, "the box is not within the scaled picture");
  return {height, width, left, top, right, bottom, lcnet::filter_named(filter)};
}

static void resize(const Pixels& image, const Scaled& scaled, const Box& box, const std::string& filter,
                   const PixelsOut& out, const std::string& isa) {
  const lcnet::Picture in = picture(image);
  const lcnet::Resize to = resize_to(scaled, box, filter);
  const size_t height = to.bottom - to.top, width = to.right - to.left;
  require(out.shape(0) == height && out.shape(1) == width && out.shape(2) == in.channels, "the output does not fit");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  nb::gil_scoped_release released;
  lcnet::ByteSink sink(out.data(), width * in.channels);
  lcnet::resize(kernels, in, to, sink);
}

static void prepare(const Pixels& image, const Scaled& scaled, const Box& box, const std::string& filter,
                    const In<2>& table, const PlanesOut& out, const std::string& isa) {
  const lcnet::Picture in = picture(image);
  const lcnet::Resize to = resize_to(scaled, box, filter);
  const size_t height = to.bottom - to.top, width = to.right - to.left;
  const size_t planes = out.shape(0);
  require(planes == in.channels || (planes == 3 && in.channels == 4), "the output has other channels");
  require(out.shape(1) == height && out.shape(2) == width, "the output does not fit");
  require(width == 1 || out.stride(2) == 1, "the output has gaps");
  require(table.shape(0) == planes && table.shape(1) == 256, "the table is not [C,256]");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  nb::gil_scoped_release released;
  const auto plane = static_cast<size_t>(out.stride(0)), pitch = static_cast<size_t>(out.stride(1));
  lcnet::PlaneSink sink({out.data(), width, planes, in.channels, plane, pitch}, table.data());
  lcnet::resize(kernels, in, to, sink);
}

// Apache Arrow's C data interface: the layout that its specification fixes.
struct ArrowArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};

// The memory of a picture whose pixels are lists of four bytes, uint8 [height][width][4], without a copy: kept alive by `array`.
static nb::ndarray<nb::numpy, const uint8_t, nb::ndim<3>> arrow_pixels(nb::object array, size_t height, size_t width) {
  const auto* list = static_cast<const ArrowArray*>(PyCapsule_GetPointer(array.ptr(), "arrow_array"));
  if (!list) throw nb::python_error();
  const ArrowArray* bytes = list->n_children == 1 ? list->children[0] : nullptr;
  require(bytes && bytes->n_buffers == 2 && list->offset == 0 && bytes->offset == 0, "no array of lists of bytes");
  const auto length = static_cast<size_t>(list->length);
  require(length == height * width && static_cast<size_t>(bytes->length) == 4 * length, "the array does not fit");
  return {static_cast<const uint8_t*>(bytes->buffers[1]), {height, width, 4}, array};
}

#if defined(__clang__)
#define LCNET_COMPILER "clang " __clang_version__
#else
#define LCNET_COMPILER "GCC " __VERSION__
#endif

NB_MODULE(_native, m) {
  nb::class_<Layers>(m, "Layers")
      .def(nb::init<>())
      .def("stem", &Layers::stem)
      .def("block", &Layers::block)
      .def("squeeze_excite", &Layers::squeeze_excite)
      .def("head", &Layers::head)
      .def("classifier", &Layers::classifier);

  nb::class_<Engine>(m, "Engine")
      .def("__init__",
           [](Engine* self, const Layers& layers, size_t threads, const std::string& isa, bool bf16) {
             require(threads >= 1 && threads <= 1024, "threads must be 1 to 1024");
             const lcnet::Precision precision = bf16 ? lcnet::Precision::bf16 : lcnet::Precision::f32;
             new (self) Engine(lcnet::select_kernels(isa, precision), layers.source(), threads, precision);
           },
           nb::arg("layers"), nb::arg("threads"), nb::arg("isa"), nb::arg("bf16"))
      .def_prop_ro("isa", [](const Engine& e) { return e.network().kernels.isa; })
      .def_prop_ro("threads", &Engine::threads)
      .def_prop_ro("cached_arenas", &Engine::cached_arenas)
      .def("run", &run, nb::arg("x"), nb::arg("logits").none(), nb::arg("embeddings").none(), nb::arg("maps"))
      .def("run_head", &run_head, nb::arg("features"), nb::arg("logits").none(), nb::arg("embeddings").none());

  nb::class_<lcnet::Pool>(m, "Pool").def(nb::init<size_t>(), nb::arg("threads"));
  m.def("dwgrad", &dwgrad, nb::arg("pool"), nb::arg("x").noconvert(), nb::arg("dy").noconvert(), nb::arg("stride"),
        nb::arg("dw").noconvert(), nb::arg("isa"));
  m.def("resize", &resize, nb::arg("image"), nb::arg("scaled"), nb::arg("box"), nb::arg("filter"),
        nb::arg("out").noconvert(), nb::arg("isa"));
  m.def("prepare", &prepare, nb::arg("image"), nb::arg("scaled"), nb::arg("box"), nb::arg("filter"), nb::arg("table"),
        nb::arg("out").noconvert(), nb::arg("isa"));

  m.def("arrow_pixels", &arrow_pixels, nb::arg("array"), nb::arg("height"), nb::arg("width"));

  m.def("fma_peak", &fma_peak, nb::arg("seconds"), nb::call_guard<nb::gil_scoped_release>());
  m.attr("compiler") = LCNET_COMPILER;
  m.def("selected_isa", [] { return lcnet::select_kernels("").isa; });
  m.def("isas", [] {
    std::vector<std::tuple<std::string, bool>> rows;
    for (const lcnet::Isa& isa : lcnet::isas()) rows.emplace_back(isa.kernels->isa, isa.supported);
    return rows;
  });
}
