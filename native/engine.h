// A network ready to run on many images from many threads: the packed weights, the threads, and arenas that are reused.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <vector>

#include "pool.h"
#include "runner.h"

namespace lcnet {

class Engine {
 public:
  Engine(const Kernels& kernels, const NetworkSource& source, size_t threads, Precision precision = Precision::f32);

  // `images` pictures of the same size, [images][in_chans][height][width]. The outputs of the first picture are where `out`
  // says, the others follow without gaps. Callable from many threads at once.
  void run(const float* x, size_t images, size_t height, size_t width, const Outputs& out);

  // Embeddings and logits from feature maps of stride 32, [images][features][height][width] in their own size.
  void run_head(const float* features, size_t images, size_t height, size_t width, const Outputs& out);

  const Network& network() const { return network_; }
  size_t threads() const { return pool_.threads(); }
  size_t cached_arenas() const;

 private:
  struct Shape;
  class Lease;
  void run_together(const float* x, size_t height, size_t width, const Outputs& out);
  void run_apart(const float* x, size_t images, size_t height, size_t width, const Outputs& out);
  template <class Work>
  void each_member(size_t images, size_t height, size_t width, Work&& work);

  Network network_;
  Pool pool_;
  std::list<std::shared_ptr<Shape>> shapes_;  // most recently used first
};

}  // namespace lcnet
