// A network ready to run on many images from many threads: the packed weights, the threads, and arenas that are reused.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "../inference/heads.h"
#include "../inference/int8/heads.h"
#include "pool.h"

namespace lcnet {

// What a caller needs to know to size inputs and outputs.
struct Interface {
  const char* isa;
  size_t in_chans, features, embedding, classes, feature_maps, pooled;  // channels, and how many maps
};
struct MapShape {
  size_t channels, height, width;
};

// Callable from many threads at once.
class AnyEngine {
 public:
  virtual ~AnyEngine() = default;

  // `images` pictures of the same size, [images][in_chans][height][width]. The outputs of the first picture are where `out`
  // says, the others follow without gaps.
  virtual void run(const float* x, size_t images, size_t height, size_t width, const Outputs& out) = 0;

  // Embeddings and logits from the last block's output, [images][features][height][width] in its own size. Of a network that
  // pools no other.
  virtual void run_head(const float* features, size_t images, size_t height, size_t width, const Outputs& out) = 0;

  virtual Interface interface() const = 0;
  // Of an image of that size.
  virtual MapShape feature_map(size_t number, size_t height, size_t width) const = 0;
  virtual size_t threads() const = 0;
  virtual size_t cached_arenas() const = 0;
};

// What runs a network in float, and what runs a quantised one.
struct FloatParts {
  using Network = lcnet::Network;
  using Plan = lcnet::Plan;
  using Runner = lcnet::Runner;
  using Heads = lcnet::Heads;
};
struct Int8Parts {
  using Network = Int8Network;
  using Plan = Int8Plan;
  using Runner = Int8Runner;
  using Heads = Int8Heads;
};

template <class Parts>
class EngineOf : public AnyEngine {
 public:
  using Network = typename Parts::Network;

  EngineOf(Network network, size_t threads);

  void run(const float* x, size_t images, size_t height, size_t width, const Outputs& out) override;
  void run_head(const float* features, size_t images, size_t height, size_t width, const Outputs& out) override;
  Interface interface() const override;
  MapShape feature_map(size_t number, size_t height, size_t width) const override;
  size_t threads() const override { return pool_.threads(); }
  size_t cached_arenas() const override;

  const Network& network() const { return network_; }

 private:
  using Plan = typename Parts::Plan;
  using Runner = typename Parts::Runner;
  using Heads = typename Parts::Heads;
  struct Shape;
  class Lease;
  bool in_front(const Outputs& out) const;
  Outputs outputs_of(const Outputs& out, size_t image) const;
  void run_together(const float* x, size_t height, size_t width, const Outputs& out);
  void run_apart(const float* x, size_t images, size_t height, size_t width, const Outputs& out);
  template <class Work>
  void each_member(size_t images, size_t height, size_t width, Work&& work);

  Network network_;
  Pool pool_;
  std::list<std::shared_ptr<Shape>> shapes_;  // most recently used first
};

using Engine = EngineOf<FloatParts>;
using Int8Engine = EngineOf<Int8Parts>;

}  // namespace lcnet
