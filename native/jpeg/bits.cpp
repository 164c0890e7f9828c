#include "bits.h"

namespace lcnet::jpeg {

const uint8_t* unstuff(const uint8_t* from, const uint8_t* end, uint8_t*& out) {
  const auto copy = [&](const uint8_t* to) {
    memcpy(out, from, static_cast<size_t>(to - from));
    out += to - from;
  };
  const uint8_t* marker = end;
  while (from < end) {
    const auto* stop = static_cast<const uint8_t*>(memchr(from, 0xff, static_cast<size_t>(end - from)));
    if (!stop || stop + 1 == end) {
      copy(end);
      break;
    }
    if (stop[1]) {
      copy(stop);
      marker = stop;
      break;
    }
    copy(stop + 1);
    from = stop + 2;
  }
  memset(out, 0, kBeyondBits);
  return marker;
}

}  // namespace lcnet::jpeg
