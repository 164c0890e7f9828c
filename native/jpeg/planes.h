// The samples of a component, a strip of the picture at a time: one row of units, and the last row of the strip above.
#pragma once

#include "../kernels/jpeg/jpeg.h"
#include "header.h"

namespace lcnet::jpeg {

// Cuts pieces that begin on a cache line out of memory, or only counts them where there is none.
class Workspace {
 public:
  static constexpr size_t kAlign = 64;
  explicit Workspace(uint8_t* memory) : memory_(memory) {}
  template <class T>
  T* take(size_t n) {
    T* piece = memory_ ? reinterpret_cast<T*>(memory_ + used_) : nullptr;
    used_ += (n * sizeof(T) + kAlign - 1) / kAlign * kAlign;
    return piece;
  }
  size_t used() const { return used_; }

 private:
  uint8_t* memory_;
  size_t used_ = 0;
};

// How a picture is cut into units: the blocks of all components that lie over each other.
struct Layout {
  explicit Layout(const Header& header)
      : across(header.component[0].across), down(header.component[0].down), units((header.width - 1) / (8 * across) + 1),
        strips((header.height - 1) / (8 * down) + 1) {}
  uint32_t across, down;   // blocks of the first component in a unit; the others have one
  uint32_t units, strips;  // in a strip, in the picture
};

struct Plane {
  static constexpr size_t kBefore = 64;  // bytes before a row

  void lay_out(const Header& header, const Layout& layout, uint32_t index, Workspace& workspace);

  // Makes all blocks zero.
  void clear();
  // Whether its blocks, which become zeros, have become samples.
  bool transform(const JpegKernels& kernels);
  // Between two strips: the last row becomes the one above.
  void move_on();

  // Row y of the strip, -1 for the one above.
  uint8_t* row(ptrdiff_t y) const { return samples + (y + 1) * static_cast<ptrdiff_t>(pitch) + kBefore; }
  int16_t* block(size_t x, size_t y) const { return blocks + (y * block_pitch + x) * kJpegBlock; }

  uint32_t across = 1, down = 1;   // blocks in a unit
  uint32_t width = 0, height = 0;  // samples, without those that only fill blocks
  size_t blocks_across = 0, block_pitch = 0, pitch = 0;
  int16_t* blocks = nullptr;
  uint8_t* samples = nullptr;
  JpegQuanta quanta;
};

}  // namespace lcnet::jpeg
