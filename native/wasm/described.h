// From the description of a model file and the list of its tensors to the program of a network: families, stages and names as Python's
// lcnet.families and lcnet.arch have them. What does not fit fails by its name.
#pragma once

#include <string>
#include <vector>

#include "../kernels/kernels.h"

namespace lcnet {

constexpr double kMaxMap = 1 << 29;  // values of a map inside the network: 2^31 bytes

// Of the architecture and the preprocessing.
struct Description {
  // numbers: the family's (0: lcnet, 1: lcnetv2), width, in_chans, num_classes, head_channels, head_bias, whether relu, whether the gates are
  // a sigmoid, plain_head, whether quantised, stem_stride h w; then lists, of strides h w of the stages and of depths; then those of
  // Pictures.
  explicit Description(const double* numbers);

  size_t family, in_chans, num_classes, head_channels;
  double width;
  bool head_bias, relu, sigmoid, plain_head, quantized;
  size_t stem_h, stem_w, input_h, input_w;
  std::vector<size_t> strides, depths;  // strides: h and w in turns
  const double* pictures;
  std::vector<float> mean_255;  // what a mean pixel is as codes

  // lcnet_050, lcnetv2_base, or the family with the width.
  std::string name() const;

 private:
  void take_depths();
};

// A feature map: its channels, and how many pixels of the input are one of it.
struct MapSize {
  size_t channels, down, across;
};

class Described {
 public:
  // lines: for each tensor its name, type, shape and place behind `base`, by tabs; for each stage that the classifier reads its name
  // and `read`; for each part that stays in float its name and `kept`. It is kept, as is what the description holds.
  Described(const Description& description, char* lines, uint8_t* base);

  const std::vector<uint32_t>& program() const { return words_; }
  const std::vector<MapSize>& maps() const { return maps_; }
  size_t embedding() const { return embedding_; }

 private:
  struct Line {
    const char *name, *kind, *shape, *place;
    bool used;
  };
  struct Shape {
    size_t out, in, kernel;
    bool matrix = false;
  };

  void read(char* lines);
  Line& find(const std::string& name, const char* kind);
  bool has(const std::string& name, const char* kind);
  uint8_t* tensor(const std::string& name, const char* kind, const std::string& shape);
  float* floats(const std::string& name, const std::string& shape);
  void layer(const std::string& layer, const std::string& unit, const std::string& conv, const std::string& norm, Shape shape,
             bool bias, bool depthwise);
  void whole(const std::string& layer, Shape shape, const std::string& shape_text, bool depthwise);
  size_t scaled(double channels) const;
  void stages();
  size_t block(size_t stage, size_t number, size_t in, size_t out, size_t stride_h, size_t stride_w);
  void ends();
  void take_map(size_t channels);
  void end();

  struct End {
    size_t after, channels;
  };

  const Description& d_;
  uint8_t* const base_;
  std::vector<Line> lines_;
  std::vector<uint32_t> words_, pooled_;
  std::vector<End> ends_, features_;
  std::vector<MapSize> maps_;
  size_t blocks_ = 0, embedding_ = 0, h_ = 0, w_ = 0;
};

}  // namespace lcnet
