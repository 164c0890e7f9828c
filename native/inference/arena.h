// The working memory of a run: one buffer, cut into places when a plan is made, so that a run allocates nothing.
#pragma once

#include <cstdint>

#include "buffer.h"

namespace lcnet {

using Arena = Buffer<std::byte>;

// Where values of one type begin, counted from the start of an arena or of a part of it.
template <class T>
struct Place {
  size_t offset = 0;

  T* in(std::byte* part) const { return reinterpret_cast<T*>(part + offset); }
  // For values of different types that take turns in one place.
  template <class U>
  Place<U> as() const {
    return {offset};
  }
};

// Hands out places, each on a cache line of its own. Fails beyond half of what a size can be, so that two of them still have a sum.
class Places {
 public:
  template <class T>
  Place<T> take(size_t count) {
    if (count > (kMost - bytes_) / sizeof(T)) fail_memory();
    const Place<T> place{bytes_};
    bytes_ += (count * sizeof(T) + 63) / 64 * 64;
    return place;
  }
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kMost = SIZE_MAX / 2 - 255;  // whole cache lines

  size_t bytes_ = 0;
};

}  // namespace lcnet
