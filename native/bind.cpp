// The Python face of the engine: arrays in, arrays filled. Checks what would crash; lcnet/runtime explains it to people.
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
#include "dwgrad.h"
#include "engine/engine.h"
#include "inference/fold.h"
#include "jpeg/decode.h"
#include "layers.h"
#include "released.h"
#include "resize/crop.h"
#include "resize/sinks.h"

using lcnet::AnyEngine;
using lcnet::Interface;
using lcnet::Outputs;

template <size_t N>
using Out = nb::ndarray<float, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

// The engine of either kind of network.
struct Engine {
  std::unique_ptr<AnyEngine> any;
};

static Outputs outputs(const Interface& net, size_t images, const std::optional<Out<2>>& logits,
                       const std::optional<Out<2>>& embeddings) {
  Outputs out;
  if (logits) {
    require(logits->shape(0) == images && logits->shape(1) == net.classes && net.classes, "logits do not fit");
    out.logits = logits->data();
  }
  if (embeddings) {
    require(embeddings->shape(0) == images && embeddings->shape(1) == net.embedding, "embeddings do not fit");
    out.embedding = embeddings->data();
  }
  return out;
}

static void run(Engine& engine, const In<4>& x, const std::optional<Out<2>>& logits, const std::optional<Out<2>>& embeddings,
                const std::vector<std::optional<Out<4>>>& maps) {
  const Interface net = engine.any->interface();
  const size_t images = x.shape(0), height = x.shape(2), width = x.shape(3);
  require(x.shape(1) == net.in_chans && height > 0 && width > 0, "the input does not fit");
  Outputs out = outputs(net, images, logits, embeddings);
  require(maps.size() <= net.feature_maps, "there are fewer feature maps");
  std::vector<float*> wanted(net.feature_maps);
  for (size_t f = 0; f < maps.size(); ++f) {
    if (!maps[f]) continue;
    const Out<4>& m = *maps[f];
    const auto [c, h, w] = engine.any->feature_map(f, height, width);
    require(m.shape(0) == images && m.shape(1) == c && m.shape(2) == h && m.shape(3) == w, "a map does not fit");
    wanted[f] = m.data();
  }
  out.maps = wanted.data();
  const Released released;
  engine.any->run(x.data(), images, height, width, out);
}

static void run_head(Engine& engine, const In<4>& features, const std::optional<Out<2>>& logits,
                     const std::optional<Out<2>>& embeddings) {
  const size_t images = features.shape(0), height = features.shape(2), width = features.shape(3);
  const Interface net = engine.any->interface();
  require(net.pooled == 1, "the network pools other maps too");
  require(features.shape(1) == net.features && height > 0 && width > 0, "the feature map does not fit");
  const Outputs out = outputs(net, images, logits, embeddings);
  const Released released;
  engine.any->run_head(features.data(), images, height, width, out);
}

// dw [k,k,C] of a depthwise conv with k/2 zeros around: x [N,H,W,C], dy [N,H/down,W/across,C], sizes rounded up.
static void dwgrad(lcnet::Pool& pool, const In<4>& x, const In<4>& dy, const Strides& strides, const Out<3>& dw,
                   const std::string& isa) {
  const lcnet::DwgradShape s{x.shape(0), x.shape(1), x.shape(2), x.shape(3), dw.shape(0), stride(strides)};
  const bool rows = s.stride.h == 1 || s.stride.h == 2;
  require(rows && lcnet::has_geometry(s.kernel, s.stride.w) && dw.shape(1) == s.kernel && dw.shape(2) == s.channels,
          "the weights do not fit");
  require(dy.shape(0) == s.images && dy.shape(1) == s.out_height() && dy.shape(2) == s.out_width() && dy.shape(3) == s.channels,
          "the output's gradient does not fit");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  const Released released;
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
using Scaled = std::tuple<size_t, size_t>;                           // height, width
using Box = std::tuple<size_t, size_t, size_t, size_t>;              // left, top, right, bottom, as Pillow has it

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

static void resize(const Pixels& image, const Scaled& scaled, const Box& box, const std::string& filter, const PixelsOut& out,
                   const std::string& isa) {
  const lcnet::Picture in = picture(image);
  const lcnet::Resize to = resize_to(scaled, box, filter);
  const size_t height = to.bottom - to.top, width = to.right - to.left;
  require(out.shape(0) == height && out.shape(1) == width && out.shape(2) == in.channels, "the output does not fit");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  const Released released;
  lcnet::ByteSink sink(out.data(), width * in.channels);
  lcnet::resize(kernels, in, to, sink);
}

static void prepare(const Pixels& image, const Scaled& scaled, const Box& box, const std::string& filter, const In<2>& table,
                    const PlanesOut& out, const std::string& isa) {
  const lcnet::Picture in = picture(image);
  const lcnet::Resize to = resize_to(scaled, box, filter);
  const size_t height = to.bottom - to.top, width = to.right - to.left;
  const size_t planes = out.shape(0);
  require(planes == in.channels || (planes == 3 && in.channels == 4), "the output has other channels");
  require(out.shape(1) == height && out.shape(2) == width, "the output does not fit");
  require(width == 1 || out.stride(2) == 1, "the output has gaps");
  require(table.shape(0) == planes && table.shape(1) == 256, "the table is not [C,256]");
  const lcnet::Kernels& kernels = lcnet::select_kernels(isa);
  const Released released;
  const auto plane = static_cast<ptrdiff_t>(out.stride(0));
  const auto pitch = static_cast<size_t>(out.stride(1));
  lcnet::PlaneSink sink({out.data(), width, planes, in.channels, plane, pitch}, table.data());
  lcnet::resize(kernels, in, to, sink);
}

using Side = std::tuple<size_t, size_t, size_t>;  // lcnet::Kept

static lcnet::CropRule crop_rule(const Scaled& input, double crop_pct, const std::string& mode, const std::string& library) {
  return {std::get<0>(input), std::get<1>(input), crop_pct, lcnet::crop_mode_named(mode), library == "opencv"};
}

// Of a picture of `size`: height and width.
static std::tuple<int64_t, int64_t> scaled_size(const Scaled& size, const Scaled& input, double crop_pct,
                                                const std::string& mode, const std::string& library) {
  const lcnet::Scaled to = lcnet::scaled_size(crop_rule(input, crop_pct, mode, library), std::get<0>(size), std::get<1>(size));
  return {to.height, to.width};
}

// Rows and columns of a scaled picture that are kept: the first, how many, and where in the input they begin.
static std::tuple<Side, Side> kept(const Scaled& scaled, const Scaled& input, const std::string& library) {
  const lcnet::CropRule rule{0, 0, 1, lcnet::CropMode::center, library == "opencv"};
  const auto side = [&](size_t size, size_t target) -> Side {
    const lcnet::Kept k = lcnet::kept(rule, size, target);
    return {k.first, k.count, k.at};
  };
  return {side(std::get<0>(scaled), std::get<0>(input)), side(std::get<1>(scaled), std::get<1>(input))};
}

static int fill(double mean, const std::string& mode) {
  return lcnet::fill({0, 0, 1, lcnet::crop_mode_named(mode), false}, mean);
}

using Doubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using DoublesOut = nb::ndarray<double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// What a batch norm multiplies by and adds, [C].
static void batch_norm(const Doubles& gamma, const Doubles& beta, const Doubles& mean, const Doubles& var, double eps,
                       const DoublesOut& scale, const DoublesOut& shift) {
  const size_t channels = scale.shape(0);
  for (const Doubles* given : {&gamma, &beta, &mean, &var}) require(given->shape(0) == channels, "a batch norm does not fit");
  require(shift.shape(0) == channels, "the output does not fit");
  for (size_t c = 0; c < channels; ++c) {
    const lcnet::Affine a = lcnet::affine(gamma(c), beta(c), mean(c), var(c), eps);
    scale(c) = a.scale, shift(c) = a.shift;
  }
}

using AnyIn = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using AnyOut = nb::ndarray<float, nb::c_contig, nb::device::cpu>;

// A conv's weight [O,...] with the batch norm behind it in it, and the bias that it has then.
static void fold(const AnyIn& w, const In<1>& gamma, const In<1>& beta, const In<1>& mean, const In<1>& var, double eps,
                 const AnyOut& folded, const Out<1>& bias) {
  const size_t channels = bias.shape(0);
  for (const In<1>* given : {&gamma, &beta, &mean, &var}) require(given->shape(0) == channels, "a batch norm does not fit");
  require(w.ndim() > 1 && w.shape(0) == channels && folded.size() == w.size(), "the weight does not fit");
  lcnet::fold({gamma.data(), beta.data(), mean.data(), var.data(), eps}, w.data(), channels, w.size() / channels, folded.data(),
              bias.data());
}

// Memory that a thread keeps from one picture to the next, unless it is much. What is given back and taken again every time comes
// from the system anew, a page at a time, as soon as the C library finds that enough of it is free.
class Scratch {
 public:
  uint8_t* of(size_t bytes) {
    if (bytes > size_) {
      give_back(0);
      memory_.reset(new uint8_t[bytes]);
      size_ = bytes;
    }
    return memory_.get();
  }
  void give_back(size_t kept = 1 << 20) {
    if (size_ <= kept) return;
    memory_.reset();
    size_ = 0;
  }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t size_ = 0;
};

// Whether `data` is a JPEG file of the size and colours of `out` that we decode: see jpeg/decode.h. `out` has no meaning otherwise.
static bool decode_jpeg(const nb::bytes& data, const PixelsOut& out, const std::string& isa) {
  const auto* bytes = static_cast<const uint8_t*>(data.data());
  const size_t height = out.shape(0), width = out.shape(1), channels = out.shape(2);
  require(channels == 1 || channels == 3, "pixels have 1 or 3 channels");
  const lcnet::JpegKernels& kernels = lcnet::jpeg_kernels(lcnet::select_kernels(isa));
  const Released released;
  lcnet::jpeg::Header header;
  if (!lcnet::jpeg::read_header(bytes, data.size(), header) || header.height != height || header.width != width) return false;
  static thread_local Scratch scratch;
  uint8_t* workspace = scratch.of(lcnet::jpeg::workspace_bytes(header, data.size()));
  const auto n = static_cast<uint32_t>(channels);
  const bool decoded = lcnet::jpeg::decode(kernels, header, bytes, data.size(), workspace, out.data(), n);
  scratch.give_back();
  return decoded;
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

// The memory of a picture whose pixels are lists of four bytes, uint8 [height][width][4], without a copy: kept alive by
// `array`.
static nb::ndarray<nb::numpy, const uint8_t, nb::ndim<3>> arrow_pixels(nb::object array, size_t height, size_t width) {
  const auto* list = static_cast<const ArrowArray*>(PyCapsule_GetPointer(array.ptr(), "arrow_array"));
  if (!list) throw nb::python_error();
  const ArrowArray* bytes = list->n_children == 1 ? list->children[0] : nullptr;
  require(bytes && bytes->n_buffers == 2 && list->offset == 0 && bytes->offset == 0, "no array of lists of bytes");
  const auto length = static_cast<size_t>(list->length);
  require(length == height * width && static_cast<size_t>(bytes->length) == 4 * length, "the array does not fit");
  return {static_cast<const uint8_t*>(bytes->buffers[1]), {height, width, 4}, array};
}

// A member of a base class would want the base class registered.
template <class L>
static void feature_maps(L& layers, const std::vector<size_t>& after_blocks) {
  layers.feature_maps(after_blocks);
}
template <class L>
static void pooled(L& layers, const std::vector<size_t>& after_blocks) {
  layers.pooled(after_blocks);
}
template <class L>
static void activation(L& layers, const std::string& name) {
  layers.activation(name);
}
template <class L>
static void gate(L& layers, const std::string& name) {
  layers.gate(name);
}

#if defined(__clang__)
#define LCNET_COMPILER "clang " __clang_version__
#else
#define LCNET_COMPILER "GCC " __VERSION__
#endif

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // what a cache of the program still holds when it ends is no leak
  using nb::arg;
  nb::class_<Layers>(m, "Layers")
      .def(nb::init<>())
      .def("feature_maps", &feature_maps<Layers>, arg("after_blocks"))
      .def("pooled", &pooled<Layers>, arg("after_blocks"))
      .def("activation", &activation<Layers>, arg("name"))
      .def("gate", &gate<Layers>, arg("name"))
      .def("stem", &Layers::stem, arg("w"), arg("b"), arg("strides") = Strides{2, 2})
      .def("block", &Layers::block, arg("strides"), arg("dw_w"), arg("dw_b"), arg("pw_w"), arg("pw_b"), arg("shortcut") = false)
      .def("pointwise", &Layers::pointwise, arg("w"), arg("b"))
      .def("squeeze_excite", &Layers::squeeze_excite, arg("reduce_w"), arg("reduce_b"), arg("expand_w"), arg("expand_b"))
      .def("head", &Layers::head, arg("w"), arg("b"), arg("activate") = true)
      .def("classifier", &Layers::classifier, arg("w"), arg("b"));

  nb::class_<Int8Layers>(m, "Int8Layers")
      .def(nb::init<>())
      .def("feature_maps", &feature_maps<Int8Layers>, arg("after_blocks"))
      .def("pooled", &pooled<Int8Layers>, arg("after_blocks"))
      .def("activation", &activation<Int8Layers>, arg("name"))
      .def("gate", &gate<Int8Layers>, arg("name"))
      .def("stem", &Int8Layers::stem, arg("w"), arg("scale"), arg("b"), arg("in_scale"), arg("in_zero"), arg("mean_255"),
           arg("strides") = Strides{2, 2})
      .def("block", &Int8Layers::block, arg("strides"), arg("dw_w"), arg("dw_scale"), arg("dw_b"), arg("dw_in_scale"),
           arg("dw_in_zero"), arg("pw_w"), arg("pw_scale"), arg("pw_b"), arg("pw_in_scale"), arg("pw_in_zero"),
           arg("shortcut") = false)
      .def("pointwise", &Int8Layers::pointwise, arg("w"), arg("scale"), arg("b"), arg("in_scale"), arg("in_zero"))
      .def("float_block", &Int8Layers::float_block, arg("strides"), arg("dw_w"), arg("dw_b"), arg("pw_w"), arg("pw_b"),
           arg("shortcut") = false)
      .def("float_pointwise", &Int8Layers::float_pointwise, arg("w"), arg("b"))
      .def("squeeze_excite", &Int8Layers::squeeze_excite, arg("reduce_w"), arg("reduce_b"), arg("expand_w"), arg("expand_b"))
      .def("head", &Int8Layers::head, arg("w"), arg("scale"), arg("b"), arg("in_scale"), arg("in_zero"), arg("activate") = true)
      .def("classifier", &Int8Layers::classifier, arg("w"), arg("scale"), arg("b"), arg("in_scale"), arg("in_zero"))
      .def("float_head", &Int8Layers::float_head, arg("w"), arg("b"), arg("activate") = true)
      .def("float_classifier", &Int8Layers::float_classifier, arg("w"), arg("b"));

  nb::class_<Engine>(m, "Engine")
      .def(
          "__init__",
          [](Engine* self, const Layers& layers, size_t threads, const std::string& isa, bool bf16) {
            require(threads >= 1 && threads <= 1024, "threads must be 1 to 1024");
            const lcnet::Precision precision = bf16 ? lcnet::Precision::bf16 : lcnet::Precision::f32;
            lcnet::Network network(lcnet::select_kernels(isa, precision), layers.source(), precision);
            new (self) Engine{std::make_unique<lcnet::Engine>(std::move(network), threads)};
          },
          arg("layers"), arg("threads"), arg("isa"), arg("bf16"))
      .def(
          "__init__",
          [](Engine* self, const Int8Layers& layers, size_t threads, const std::string& isa, bool bf16) {
            require(threads >= 1 && threads <= 1024, "threads must be 1 to 1024");
            require(!bf16, "a quantised network has no bf16 arithmetic");
            const lcnet::Int8Kernels& kernels = *lcnet::select_kernels(isa).int8;
            lcnet::Int8Network network(kernels, layers.source(), lcnet::float_kernels(kernels));
            new (self) Engine{std::make_unique<lcnet::Int8Engine>(std::move(network), threads)};
          },
          arg("layers"), arg("threads"), arg("isa"), arg("bf16"))
      .def_prop_ro("isa", [](const Engine& e) { return e.any->interface().isa; })
      .def_prop_ro("threads", [](const Engine& e) { return e.any->threads(); })
      .def_prop_ro("cached_arenas", [](const Engine& e) { return e.any->cached_arenas(); })
      .def("run", &run, arg("x"), arg("logits").none(), arg("embeddings").none(), arg("maps"))
      .def("run_head", &run_head, arg("features"), arg("logits").none(), arg("embeddings").none());

  nb::class_<lcnet::Pool>(m, "Pool").def(nb::init<size_t>(), arg("threads"));
  m.def("dwgrad", &dwgrad, arg("pool"), arg("x").noconvert(), arg("dy").noconvert(), arg("strides"), arg("dw").noconvert(),
        arg("isa"));
  m.def("resize", &resize, arg("image"), arg("scaled"), arg("box"), arg("filter"), arg("out").noconvert(), arg("isa"));
  m.def("prepare", &prepare, arg("image"), arg("scaled"), arg("box"), arg("filter"), arg("table"), arg("out").noconvert(),
        arg("isa"));

  m.def("scaled_size", &scaled_size, arg("size"), arg("input"), arg("crop_pct"), arg("mode"), arg("library"));
  m.def("kept", &kept, arg("scaled"), arg("input"), arg("library"));
  m.def("fill", &fill, arg("mean"), arg("mode"));
  m.def("batch_norm", &batch_norm, arg("gamma"), arg("beta"), arg("mean"), arg("var"), arg("eps"), arg("scale").noconvert(),
        arg("shift").noconvert());
  m.def("fold", &fold, arg("w"), arg("gamma"), arg("beta"), arg("mean"), arg("var"), arg("eps"), arg("folded").noconvert(),
        arg("bias").noconvert());

  m.def("decode_jpeg", &decode_jpeg, arg("data"), arg("out").noconvert(), arg("isa"));
  m.def("arrow_pixels", &arrow_pixels, arg("array"), arg("height"), arg("width"));

  m.def("fma_peak", &fma_peak, arg("seconds"), nb::call_guard<Released>());
  m.attr("compiler") = LCNET_COMPILER;
  m.def("selected_isa", [] { return lcnet::select_kernels("").isa; });
  m.def("isas", [] {
    std::vector<std::tuple<std::string, bool>> rows;
    for (const lcnet::Isa& isa : lcnet::isas()) rows.emplace_back(isa.kernels->isa, isa.supported);
    return rows;
  });
}
