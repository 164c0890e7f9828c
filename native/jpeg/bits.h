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
class Bits {
 public:
  Bits() = default;
  Bits(const uint8_t* begin, const uint8_t* end) : at_(begin), end_(end) {}

  // Makes sure of 32 bits.
  void refill() {
    if (count_ >= 32) return;
    uint64_t next;
    memcpy(&next, at_, sizeof next);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    next = __builtin_bswap64(next);
#endif
    bits_ |= next >> count_;
    at_ += (63 - count_) >> 3;
    count_ |= 56;
  }
  uint32_t top(uint32_t n) const { return static_cast<uint32_t>(bits_ >> (64 - n)); }  // n >= 1
  void skip(uint32_t n) { bits_ <<= n, count_ -= n; }
  uint32_t take(uint32_t n) {
    const uint32_t value = top(n);
    skip(n);
    return value;
  }
  bool overrun() const { return left() < 0; }
  // Whether no whole byte is left.
  bool finished() const { return left() >= 0 && left() < 8; }

 private:
  ptrdiff_t left() const { return (end_ - at_) * 8 + static_cast<ptrdiff_t>(count_); }

  uint64_t bits_ = 0;   // the next ones, from the top on
  uint32_t count_ = 0;  // of them that are counted as read from memory; those below are the next ones too, or zero
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
};

}  // namespace lcnet::jpeg
