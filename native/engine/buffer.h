// A block of floats aligned to a cache line, zeroed, owned by one place.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

namespace lcnet {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t floats) : size_(floats) {
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64 + 64;  // never an empty allocation
    data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    made().fetch_add(1, std::memory_order_relaxed);
    if (!data_) throw std::bad_alloc();
    std::memset(data_.get(), 0, bytes);
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  float& operator[](size_t i) { return data_.get()[i]; }
  size_t size() const { return size_; }

  static size_t count() { return made().load(); }  // buffers made so far by the process: for tests of the hot path

 private:
  static std::atomic<size_t>& made() {
    static std::atomic<size_t> n{0};
    return n;
  }
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  size_t size_ = 0;
};

}  // namespace lcnet
