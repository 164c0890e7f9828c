// A block of values aligned to a cache line, zeroed, owned by one place.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "../fail.h"

namespace lcnet {

// Buffers made so far by the process: for tests of the hot path.
inline std::atomic<size_t>& buffers_made() {
  static std::atomic<size_t> n{0};
  return n;
}

template <class T>
class Buffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(size_t size) : size_(size) {
    const size_t bytes = (size * sizeof(T) + 63) / 64 * 64 + 64;  // never an empty allocation
    data_.reset(static_cast<T*>(::operator new(bytes, kLine, std::nothrow)));
    buffers_made().fetch_add(1, std::memory_order_relaxed);
    if (!data_) fail_memory();
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](size_t i) { return data_.get()[i]; }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* p) const { ::operator delete(p, kLine); }
  };
  static constexpr std::align_val_t kLine{64};

  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace lcnet
