// Random memory between pages that may not be touched, for tests of what kernels read and write.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>

#include "../../../native/kernels/bf16.h"

inline std::mt19937 rng(7);

inline size_t pick(size_t low, size_t high) { return std::uniform_int_distribution<size_t>(low, high)(rng); }

// Memory between two pages that fault when touched. It ends exactly at the second, or begins exactly at the first.
class Pages {
 public:
  explicit Pages(size_t bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (bytes + page - 1) / page * page + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) std::abort();
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + bytes_ - page, page, PROT_NONE);
    data = pick(0, 1) ? base_ + bytes_ - page - bytes : base_ + page;
  }
  ~Pages() { munmap(base_, bytes_); }
  Pages(const Pages&) = delete;
  char* data;

 private:
  size_t bytes_;
  char* base_;
};

// What a kernel reads. The error of a sum is bounded by the same sum over absolute values.
struct Input {
  virtual ~Input() = default;
  virtual void make_absolute() = 0;
};

// Guarded floats; the address is aligned to a float and to no more.
class Guarded : public Input {
 public:
  explicit Guarded(size_t n) : n_(n), pages_(n * sizeof(float)) {
    data = reinterpret_cast<float*>(pages_.data);
    for (size_t i = 0; i < n; ++i) data[i] = std::normal_distribution<float>()(rng);
  }

  void make_absolute() override { absolute_of(*this); }
  Guarded& absolute_of(const Guarded& other) {
    for (size_t i = 0; i < n_; ++i) data[i] = std::fabs(other.data[i]);
    return *this;
  }
  size_t size() const { return n_; }
  float* data;

 private:
  size_t n_;
  Pages pages_;
};

// Guarded bytes, random ones.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t n) : pages_(n) {
    data = reinterpret_cast<uint8_t*>(pages_.data);
    for (size_t i = 0; i < n; ++i) data[i] = static_cast<uint8_t>(pick(0, 255));
  }
  uint8_t* data;

 private:
  Pages pages_;
};

// Guarded numbers in bfloat16.
class GuardedBf16 : public Input {
 public:
  explicit GuardedBf16(size_t n) : n_(n), pages_(n * sizeof(lcnet::BF16)) {
    data = reinterpret_cast<lcnet::BF16*>(pages_.data);
    for (size_t i = 0; i < n; ++i) data[i] = lcnet::to_bf16(std::normal_distribution<float>()(rng));
  }
  void make_absolute() override {
    for (size_t i = 0; i < n_; ++i) data[i] &= 0x7fff;
  }
  lcnet::BF16* data;

 private:
  size_t n_;
  Pages pages_;
};
