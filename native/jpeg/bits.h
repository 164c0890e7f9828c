// The coded bytes of a scan, a piece between two markers at a time, as bits.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace lcnet::jpeg {

constexpr size_t kBeyondBits = 512;  // bytes of zeros behind a piece: more than a block can take

// Copies coded bytes up to the next marker without the zeros that are stuffed behind each 255. Returns the marker's place, `end` if
// there is none; `out` becomes the end of the copy, behind which there must be room for kBeyondBits, which are zeroed.
const uint8_t* unstuff(const uint8_t* from, const uint8_t* end, uint8_t*& out);

// Reads bits from the most significant on. What is read beyond the end is zero, up to kBeyondBits, and `overrun` says so.
//
// A look at the next bits decides how many of them are taken, and so where the look after it is: that is what decoding waits for. The
// eight bytes for it are therefore read before it is decided, from where this look began.
class Bits {
 public:
  static constexpr uint32_t kMost = 27;  // that may be taken after a look

  Bits() = default;
  Bits(const uint8_t* begin, const uint8_t* end) : at_(begin), end_(end), window_(read(begin)) {}

  // The next 64 - 7 - kMost bits or more, at the top.
  uint64_t look() {
    const uint64_t next = window_ << taken_;
    at_ += taken_ >> 3;
    window_ = read(at_);
    taken_ &= 7;
    return next;
  }
  // Goes on by n bits of what was looked at last. Negative: back again.
  void take(int32_t n) { taken_ += static_cast<uint32_t>(n); }

  bool overrun() const { return left() < 0; }
  // Whether no whole byte is left.
  bool finished() const { return left() >= 0 && left() < 8; }

 private:
  static uint64_t read(const uint8_t* at) {
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return eight;
  }
  ptrdiff_t left() const { return (end_ - at_) * 8 - static_cast<ptrdiff_t>(taken_); }

  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  uint64_t window_ = 0;  // the eight bytes at at_
  uint32_t taken_ = 0;   // bits of it
};

}  // namespace lcnet::jpeg
