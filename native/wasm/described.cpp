#include "described.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../fail.h"

namespace lcnet {

namespace {

struct Row {
  size_t channels, first, other, stride,
      depth;  // kernels of the first block and of the others; depth 0: as the description says
  bool se = false, split = false, branched = false, shortcut = false;
};
struct Family {
  const char *stem, *stem_norm;
  size_t stem_channels, first_map, lone;
  std::vector<const char*> stages;
  std::vector<Row> rows;
  std::vector<double> widths;
};

const Family& family(size_t number) {
  static const Family families[] = {
      {"conv_stem",
       "bn1",
       16,
       0,
       0,
       {"blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4", "blocks.5"},
       {{32, 3, 3, 1, 1}, {64, 3, 3, 2, 2}, {128, 3, 3, 2, 2}, {256, 3, 5, 2, 2}, {256, 5, 5, 1, 4}, {512, 5, 5, 2, 2, true}},
       {0.25, 0.35, 0.5, 0.75, 1, 1.5, 2, 2.5}},
      {"stem.0.conv",
       "stem.0.bn",
       32,
       1,
       1,
       {"stem", "stages.0", "stages.1", "stages.2", "stages.3"},
       {{64, 3, 3, 1, 1},
        {128, 3, 3, 2, 0},
        {256, 3, 3, 2, 0},
        {512, 5, 5, 2, 0, true, true, true},
        {1024, 5, 5, 2, 0, false, false, true, true}},
       {0.75, 1, 1.25}},
  };
  return families[number];
}

std::string number(size_t n) {
  std::string text;
  do text.insert(text.begin(), static_cast<char>('0' + n % 10));
  while (n /= 10);
  return text;
}

size_t digits(const char* text) {
  size_t n = 0;
  for (; *text >= '0' && *text <= '9'; ++text) n = 10 * n + static_cast<size_t>(*text - '0');
  return n;
}

[[noreturn]] void refuse(const std::string& name, const char* why) { fail((name + why).c_str()); }

std::vector<size_t> list(const double*& at) {
  std::vector<size_t> values(static_cast<size_t>(*at++));
  for (size_t& value : values) value = static_cast<size_t>(*at++);
  return values;
}

}  // namespace

Description::Description(const double* n)
    : family(static_cast<size_t>(n[0])), in_chans(static_cast<size_t>(n[2])), num_classes(static_cast<size_t>(n[3])),
      head_channels(static_cast<size_t>(n[4])), width(n[1]), head_bias(n[5] != 0), relu(n[6] != 0), sigmoid(n[7] != 0),
      plain_head(n[8] != 0), quantized(n[9] != 0), stem_h(static_cast<size_t>(n[10])), stem_w(static_cast<size_t>(n[11])) {
  const double* at = n + 12;
  strides = list(at);
  depths = list(at);
  take_depths();
  pictures = at;
  input_h = static_cast<size_t>(at[0]), input_w = static_cast<size_t>(at[1]);
  for (size_t c = 0; c < in_chans; ++c) mean_255.push_back(static_cast<float>(255 * at[12 + c]));
}

// More may be there than the stages that there are ask for, but no more than the family does.
void Description::take_depths() {
  const auto& rows = lcnet::family(family).rows;
  const auto open = [](const Row& r) { return !r.depth; };
  const auto end =
      rows.begin() + static_cast<ptrdiff_t>(strides.empty() ? rows.size() : std::min(strides.size() / 2, rows.size()));
  const auto count = static_cast<size_t>(std::count_if(rows.begin(), end, open));
  const auto most = static_cast<size_t>(std::count_if(rows.begin(), rows.end(), open));
  if (depths.size() < count || depths.size() > most) fail("architecture.depths are not as many as the family's stages need");
  depths.resize(count);
}

std::string Description::name() const {
  const std::string percent = number(static_cast<size_t>(width * 100 + 0.5));
  if (!family) return "lcnet_" + std::string(3 - percent.size(), '0') + percent;
  constexpr const char* sizes[] = {"small", "base", "large"};
  constexpr size_t third[] = {4, 6, 8};
  for (size_t i = 0; i < 3; ++i)
    if (width == lcnet::family(1).widths[i] && depths == std::vector<size_t>{2, 2, third[i], 2})
      return std::string("lcnetv2_") + sizes[i];
  std::string text = "lcnetv2 (width " + (width == 0.75 ? "0.75" : width == 1 ? "1" : std::string("1.25")) + ", depths";
  for (size_t depth : depths) text += " " + number(depth);
  return text + ")";
}

Described::Described(const Description& d, char* lines, uint8_t* base) : d_(d), base_(base) {
  read(lines);
  const auto& widths = family(d.family).widths;
  if (std::find(widths.begin(), widths.end(), d.width) == widths.end()) fail("architecture.width is none of the family's");
  h_ = d.input_h, w_ = d.input_w;
  const void* mean = d.mean_255.data();
  words_ = {d.quantized, d.relu, d.sigmoid, d.plain_head, d.stem_h, d.stem_w, reinterpret_cast<uint32_t>(mean)};
  stages();
  ends();
  end();
}

// Cuts the text in its place.
void Described::read(char* text) {
  while (*text) {
    char* const end = std::strchr(text, '\n');
    *end = 0;
    const char* fields[4] = {text, "", "", ""};
    for (size_t f = 1; f < 4 && (text = std::strchr(text, '\t')); ++f) *text++ = 0, fields[f] = text;
    lines_.push_back({fields[0], fields[1], fields[2], fields[3], false});
    text = end + 1;
  }
}

Described::Line& Described::find(const std::string& name, const char* kind) {
  for (Line& line : lines_)
    if (name == line.name && !std::strcmp(kind, line.kind)) return line;
  refuse(name, " is missing, or not of the type that the network needs");
}

bool Described::has(const std::string& name, const char* kind) {
  const auto same = [&](const Line& line) { return name == line.name && !std::strcmp(kind, line.kind); };
  const auto at = std::find_if(lines_.begin(), lines_.end(), same);
  if (at != lines_.end()) at->used = true;
  return at != lines_.end();
}

uint8_t* Described::tensor(const std::string& name, const char* kind, const std::string& shape) {
  Line& line = find(name, kind);
  if (shape != line.shape) refuse(name, (std::string(" has shape [") + line.shape + "], expected [" + shape + "]").c_str());
  line.used = true;
  return base_ + digits(line.place);
}

static size_t count_of(const std::string& shape) {
  size_t count = 1;
  for (const char* at = shape.c_str(); at; at = std::strchr(at, ','), at = at ? at + 1 : nullptr) count *= digits(at);
  return count;
}

static bool ends_with(const std::string& text, const char* end) {
  const size_t n = std::strlen(end);
  return text.size() >= n && !text.compare(text.size() - n, n, end);
}

float* Described::floats(const std::string& name, const std::string& shape) {
  auto* values = reinterpret_cast<float*>(tensor(name, "F32", shape));
  const float least = ends_with(name, "scale") ? 1e-30f : ends_with(name, "running_var") ? 0.0f : -__FLT_MAX__;
  const float most = ends_with(name, "input_scale") ? 1e30f : __FLT_MAX__;
  for (size_t i = 0; i < count_of(shape); ++i)
    if (!(values[i] >= least && values[i] <= most))
      refuse(name, " has NaN, Inf or values out of their range: the weights are damaged");
  return values;
}

// A layer of a quantised file that is in int8.
void Described::whole(const std::string& layer, Shape s, const std::string& shape, bool depthwise) {
  const std::string out = number(s.out), in = number(depthwise ? s.out : s.in);
  const auto* w = reinterpret_cast<int8_t*>(tensor(layer + ".weight", "I8", shape));
  if (std::count(w, w + count_of(shape), -128)) refuse(layer, ".weight has values of -128, expected -127 to 127");
  const float *scale = floats(layer + ".scale", out), *bias = floats(layer + ".bias", out);
  // Whatever the input, no layer's outputs, six times at most, may become Inf.
  const double most = 127.0 * 255.0 * static_cast<double>(s.in * s.kernel * s.kernel);
  for (size_t o = 0; o < s.out; ++o)
    if (6 * (scale[o] * most + std::abs(static_cast<double>(bias[o]))) > static_cast<double>(__FLT_MAX__))
      refuse(layer, " can overflow float32");
  for (const void* p : {static_cast<const void*>(w), static_cast<const void*>(scale), static_cast<const void*>(bias),
                        static_cast<const void*>(floats(layer + ".input_scale", in)),
                        static_cast<const void*>(tensor(layer + ".input_zero", "U8", in))})
    words_.push_back(reinterpret_cast<uint32_t>(p));
}

void Described::layer(const std::string& layer, const std::string& unit, const std::string& conv, const std::string& norm,
                      Shape s, bool bias, bool depthwise) {
  const std::string out = number(s.out), k = number(s.kernel), in = out + "," + number(s.in),
                    shape = s.matrix ? in : in + "," + k + "," + k;
  const bool in_int8 = d_.quantized && !unit.empty() && !has(unit, "kept"), folded = !norm.empty() && !d_.quantized;
  words_.insert(words_.end(), {in_int8 ? 3u : folded ? 1u : 2u, s.out, s.in, s.kernel});
  if (in_int8) return whole(layer, s, shape, depthwise);
  const std::string& name = d_.quantized ? layer : conv;
  const auto put = [&](float* values) { words_.push_back(reinterpret_cast<uint32_t>(values)); };
  put(floats(name + ".weight", shape));
  if (folded)
    for (const char* key : {".weight", ".bias", ".running_mean", ".running_var"}) put(floats(norm + key, out));
  else
    put(bias || d_.quantized ? floats(name + ".bias", out) : nullptr);
}

size_t Described::scaled(double channels) const {
  const double v = channels * d_.width;
  const size_t rounded = std::max<size_t>(8, static_cast<size_t>(v + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * v ? rounded + 8 : rounded;
}

// The input becomes smaller, and a map of that many channels must not be too large.
void Described::take_map(size_t channels) {
  if (static_cast<double>(channels) * static_cast<double>(h_) * static_cast<double>(w_) > kMaxMap)
    fail("preprocessing.input_size makes maps inside the network too large");
}

size_t Described::block(size_t stage, size_t n, size_t in, size_t out, size_t stride_h, size_t stride_w) {
  const Family& f = family(d_.family);
  const Row& r = f.rows[stage];
  const bool second = d_.family, shortcut = r.shortcut && in == out && stride_h * stride_w == 1;
  const std::string name = f.stages[stage] + std::string(".") + number(stage ? n : f.lone), at = name + ".";
  const size_t kernel = n ? r.other : r.first, se = in / 4, mid = out / 2;
  h_ = (h_ - 1) / stride_h + 1, w_ = (w_ - 1) / stride_w + 1;
  take_map(std::max(in, out));
  words_.insert(words_.end(), {stride_h, stride_w, r.se, r.split, shortcut});
  const std::string dw = at + (r.branched ? "dw_conv" : second ? "dw_conv.conv" : "conv_dw");
  const std::string dw_norm = r.branched ? "" : at + (second ? "dw_conv.bn" : "bn1");
  layer(at + "conv_dw", name, dw, dw_norm, {in, 1, kernel}, true, true);
  if (r.se) {
    layer(at + "se.conv_reduce", "", at + (second ? "se.fc1" : "se.conv_reduce"), "", {se, in, 1}, true, false);
    layer(at + "se.conv_expand", "", at + (second ? "se.fc2" : "se.conv_expand"), "", {in, se, 1}, true, false);
  }
  const std::string pw = at + (r.split ? "pw_conv.0" : second ? "pw_conv" : "conv_pw");
  layer(at + "conv_pw", name, second ? pw + ".conv" : pw, second ? pw + ".bn" : at + "bn2", {r.split ? mid : out, in, 1}, true,
        false);
  if (r.split) layer(at + "conv_pw2", name, at + "pw_conv.1.conv", at + "pw_conv.1.bn", {out, mid, 1}, true, false);
  ++blocks_;
  return out;
}

void Described::stages() {
  const Family& f = family(d_.family);
  size_t last = f.stages.size();
  while (!d_.head_channels && last && !has(f.stages[last - 1], "read")) --last;
  std::vector<size_t> strides = d_.strides;
  if (strides.empty())
    for (const Row& r : f.rows) strides.insert(strides.end(), {r.stride, r.stride});
  if (!last || strides.size() != 2 * last)
    fail("architecture.stage_strides or classifier_input is not of the stages that there are");
  h_ = (h_ - 1) / d_.stem_h + 1, w_ = (w_ - 1) / d_.stem_w + 1;
  size_t in = scaled(static_cast<double>(f.stem_channels)), open = 0, down = d_.stem_h, across = d_.stem_w;
  take_map(in);
  layer("conv_stem", "conv_stem", f.stem, f.stem_norm, {in, d_.in_chans, 3}, false, false);
  const size_t count = words_.size();
  words_.push_back(0);
  for (size_t s = 0; s < last; ++s) {
    const Row& r = f.rows[s];
    const size_t out = scaled(static_cast<double>(r.channels));
    const size_t depth = r.depth ? r.depth : d_.depths[open++], h = strides[2 * s], w = strides[2 * s + 1];
    for (size_t b = 0; b < depth; ++b) in = block(s, b, in, out, b ? 1 : h, b ? 1 : w);
    down *= h, across *= w;
    ends_.push_back({blocks_, out});
    if (!maps_.empty() && maps_.back().down == down && maps_.back().across == across) maps_.pop_back(), features_.pop_back();
    if (s >= f.first_map || s + 1 == last) maps_.push_back({out, down, across}), features_.push_back(ends_.back());
  }
  words_[count] = blocks_;
}

// Maps that leave the network or are pooled, head and classifier.
void Described::ends() {
  const Family& f = family(d_.family);
  size_t features = 0;
  for (size_t s = 0; s < ends_.size(); ++s)
    if (d_.head_channels ? s + 1 == ends_.size() : has(f.stages[s], "read"))
      pooled_.push_back(ends_[s].after), features += ends_[s].channels;
  words_.push_back(features_.size());
  for (const End& end : features_) words_.push_back(end.after);
  words_.push_back(pooled_.size());
  words_.insert(words_.end(), pooled_.begin(), pooled_.end());
  embedding_ = d_.head_channels ? d_.head_channels : features;
  if (d_.head_channels)
    layer("conv_head", "conv_head", "conv_head", "", {embedding_, features, 1}, d_.head_bias, false);
  else
    words_.push_back(0);
  if (d_.num_classes)
    layer("classifier", "classifier", "classifier", "", {d_.num_classes, embedding_, 1, true}, true, false);
  else
    words_.push_back(0);
}

// What is left may count the steps of batch norms, and nothing else.
void Described::end() {
  constexpr char counter[] = "num_batches_tracked";
  for (const Line& line : lines_) {
    if (line.used) continue;
    const std::string name = line.name, norm = name.substr(0, name.size() - std::min(name.size(), sizeof counter - 1));
    const bool counts =
        ends_with(name, counter) && has(norm + "running_mean", "F32") && !std::strcmp(line.kind, "I64") && !*line.shape;
    if (!counts) refuse(name, " does not belong to the network");
  }
}

}  // namespace lcnet
