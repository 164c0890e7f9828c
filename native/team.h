// The threads that work on one image together: who am I, how many are we, wait for the others.
#pragma once

#include <atomic>
#include <cstddef>

namespace lcnet {

class Team {
 public:
  explicit Team(size_t size) : size_(size) {}
  size_t size() const { return size_; }
  void barrier();  // returns when every member has called it

  // The part of [0, n) that belongs to member `t`, in steps of `step`.
  struct Range {
    size_t begin, end;
  };
  Range share(size_t t, size_t n, size_t step = 1) const {
    const size_t steps = (n + step - 1) / step;
    const size_t begin = steps * t / size_ * step, end = steps * (t + 1) / size_ * step;
    return {begin < n ? begin : n, end < n ? end : n};
  }

 private:
  const size_t size_;
  std::atomic<size_t> arrived_{0}, round_{0};
};

}  // namespace lcnet
