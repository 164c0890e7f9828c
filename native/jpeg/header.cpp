#include "header.h"

#include <string.h>

namespace lcnet::jpeg {

namespace {

enum Marker : uint8_t {
  kSof0 = 0xc0,
  kSof1 = 0xc1,
  kDht = 0xc4,
  kSoi = 0xd8,
  kSos = 0xda,
  kDqt = 0xdb,
  kDri = 0xdd,
  kApp0 = 0xe0,
  kApp14 = 0xee,
  kApp15 = 0xef,
  kCom = 0xfe,
};

constexpr int kNoTransform = -1;
constexpr uint32_t kMostSide = 65500;  // libjpeg's JPEG_MAX_DIMENSION

// The bytes of a segment, read from its start.
struct Segment {
  const uint8_t* at;
  size_t left;

  bool has(size_t n) const { return left >= n; }
  uint8_t byte() { return --left, *at++; }
  uint32_t word() {
    const uint32_t high = byte();
    return high << 8 | byte();
  }
  bool starts_with(const char* text, size_t n) const { return has(n) && memcmp(at, text, n) == 0; }
};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size, Header& header) : data_(data), size_(size), header_(header) {}

  bool read() {
    if (size_ < 4 || data_[0] != 0xff || data_[1] != kSoi) return false;
    at_ = 2;
    for (;;) {
      if (size_ - at_ < 4 || data_[at_] != 0xff) return false;
      const uint8_t marker = data_[at_ + 1];
      Segment segment{data_ + at_ + 2, 2};
      const size_t length = segment.word();
      if (length < 2 || length > size_ - at_ - 2) return false;
      segment.left = length - 2;
      at_ += 2 + length;
      if (marker == kSos) return scan(segment);
      if (!take(marker, segment)) return false;
    }
  }

 private:
  bool take(uint8_t marker, Segment s) {
    switch (marker) {
      case kSof0:
      case kSof1: return frame(s);
      case kDht: return codes(s);
      case kDqt: return quanta(s);
      case kDri: return restart(s);
      case kApp0: jfif_ |= s.has(14) && s.starts_with("JFIF", 5); return true;
      case kApp14: return adobe(s);
      default: return (marker > kApp0 && marker <= kApp15) || marker == kCom;
    }
  }

  bool frame(Segment s) {
    if (header_.components || !s.has(6) || s.byte() != 8) return false;
    header_.height = s.word();
    header_.width = s.word();
    const uint32_t n = s.byte();
    const auto side = [](uint32_t length) { return length >= 1 && length <= kMostSide; };
    if ((n != 1 && n != 3) || s.left != 3 * n || !side(header_.height) || !side(header_.width)) return false;
    for (uint32_t c = 0; c < n; ++c) {
      Component& component = header_.component[c];
      component.id = s.byte();
      const uint8_t factors = s.byte();
      component.across = factors >> 4;
      component.down = factors & 15;
      component.quanta = s.byte();
      if (component.quanta >= kTables) return false;
    }
    header_.components = n;
    return sampling();
  }

  // The only component of a grey picture has one sample a pixel, whatever its factors say.
  bool sampling() {
    Component* c = header_.component;
    const auto allowed = [](uint8_t n) { return n == 1 || n == 2; };
    if (!allowed(c[0].across) || !allowed(c[0].down)) return false;
    if (header_.components == 1) {
      c[0].across = c[0].down = 1;
      return true;
    }
    const bool ones = c[1].across == 1 && c[1].down == 1 && c[2].across == 1 && c[2].down == 1;
    return ones && c[0].id != c[1].id && c[0].id != c[2].id && c[1].id != c[2].id;
  }

  bool codes(Segment s) {
    while (s.left) {
      if (!s.has(17)) return false;
      const uint8_t which = s.byte();
      if ((which & 15) >= kTables || which >> 4 > 1) return false;
      Code& code = (which >> 4 ? header_.ac : header_.dc)[which & 15];
      size_t total = 0;
      for (uint8_t& count : code.counts) total += count = s.byte();
      if (total > sizeof code.symbols || !s.has(total)) return false;
      memcpy(code.symbols, s.at, total);
      s.at += total, s.left -= total;
      code.given = true;
    }
    return true;
  }

  bool quanta(Segment s) {
    while (s.left) {
      const uint8_t which = s.byte();
      if (which >= kTables || !s.has(64)) return false;  // the upper half says that they have 16 bits
      header_.quanta_given[which] = true;
      for (const uint8_t place : kZigzag) {
        const uint8_t quantum = s.byte();
        if (!quantum) return false;
        header_.quanta[which][place] = quantum;
      }
    }
    return true;
  }

  bool restart(Segment s) {
    if (s.left != 2) return false;
    header_.restart = s.word();
    return true;
  }

  bool adobe(Segment s) {
    if (s.has(12) && s.starts_with("Adobe", 5)) transform_ = s.at[11];
    return true;
  }

  // libjpeg's rules: JFIF means YCbCr; else Adobe's marker says what it is, or else the names of the components.
  bool is_ycc() const {
    if (jfif_) return true;
    if (transform_ != kNoTransform) return transform_ == 1;
    const Component* c = header_.component;
    return c[0].id != 'R' || c[1].id != 'G' || c[2].id != 'B';
  }

  bool scan(Segment s) {
    const uint32_t n = header_.components;
    if (!n || s.left != 4 + 2 * n || s.byte() != n) return false;
    for (uint32_t c = 0; c < n; ++c) {
      Component& component = header_.component[c];
      if (s.byte() != component.id) return false;
      const uint8_t tables = s.byte();
      component.dc = tables >> 4;
      component.ac = tables & 15;
      const bool known = component.dc < kTables && component.ac < kTables;
      if (!known || !header_.dc[component.dc].given || !header_.ac[component.ac].given) return false;
      if (!header_.quanta_given[component.quanta]) return false;
    }
    const bool whole = s.byte() == 0 && s.byte() == 63 && s.byte() == 0;
    header_.scan = at_;
    return whole && (n == 1 || is_ycc());
  }

  const uint8_t* data_;
  size_t size_, at_ = 0;
  Header& header_;
  bool jfif_ = false;
  int transform_ = kNoTransform;
};

}  // namespace

bool read_header(const uint8_t* data, size_t size, Header& header) { return Reader(data, size, header).read(); }

}  // namespace lcnet::jpeg
