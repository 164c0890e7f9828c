// The rows of a picture for kernels that read a little beyond the end of a row.
#pragma once

#include <algorithm>

#include "resize.h"

namespace lcnet {

constexpr size_t kReadBeyond = 64;  // bytes; no kernel reads as many

inline size_t padded(size_t bytes) { return (bytes + kReadBeyond - 1) / kReadBeyond * kReadBeyond + kReadBeyond; }

// Beyond a row lies the next one; the last few rows, after which the picture's memory may end, are copied.
class Source {
 public:
  explicit Source(const Picture& picture)
      : pixels_(picture.pixels), row_bytes_(picture.width * picture.channels),
        copied_(std::max(picture.height, kReadBeyond / row_bytes_ + 1) - kReadBeyond / row_bytes_ - 1) {
    tail_.reserve((picture.height - copied_) * row_bytes_ + kReadBeyond);
    tail_.assign(pixels_ + copied_ * row_bytes_, pixels_ + picture.height * row_bytes_);
    tail_.resize(tail_.size() + kReadBeyond);
  }
  const uint8_t* row(size_t y) const {
    return y < copied_ ? pixels_ + y * row_bytes_ : tail_.data() + (y - copied_) * row_bytes_;
  }
  size_t row_bytes() const { return row_bytes_; }

 private:
  const uint8_t* pixels_;
  size_t row_bytes_;
  size_t copied_;  // the first row that is in `tail_`
  std::vector<uint8_t> tail_;
};

}  // namespace lcnet
