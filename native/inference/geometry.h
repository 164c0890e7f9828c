// Sizes of maps and strides of convs, an axis at a time.
#pragma once

#include <cstddef>

namespace lcnet {

struct Stride {
  size_t h, w;

  bool operator==(const Stride&) const = default;
  Stride operator*(Stride s) const { return {h * s.h, w * s.w}; }
};

// How many outputs a conv with k / 2 zeros on both sides has along an axis: the same for every odd kernel k. Strides in a row
// make the map that their product makes.
constexpr size_t strided(size_t size, size_t stride) { return (size - 1) / stride + 1; }

// Of all strides in a network from its image on to the input of block `count`.
template <class Network>
Stride total_stride(const Network& net, size_t count) {
  Stride total = net.stem_stride;
  for (size_t i = 0; i < count; ++i) total = total * net.blocks[i].stride;
  return total;
}

}  // namespace lcnet
