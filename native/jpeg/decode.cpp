#include "decode.h"

#include <string.h>

#include <algorithm>

#include "huffman.h"
#include "planes.h"

namespace lcnet::jpeg {

namespace {

constexpr uint8_t kEoi = 0xd9, kRst0 = 0xd0;

// Where coded data end at the latest: a block takes less than kBeyondBits bytes, of which each may be followed by a stuffed one,
// and may be followed by a restart. `size` where the file ends before.
size_t coded_end(const Header& header, const Layout& layout, size_t size) {
  const size_t blocks = static_cast<size_t>(layout.units) * layout.strips * (layout.across * layout.down + 2);
  return std::min(size, header.scan + 2 * (blocks + 1) * kBeyondBits);
}

// The coded data of the scan, and what has been decoded of them.
class Scan {
 public:
  Scan(const Header& header, const uint8_t* data, size_t size, Workspace& workspace)
      : header_(header), next_(data ? data + header.scan : nullptr), end_(data ? data + size : nullptr),
        copy_(workspace.take<uint8_t>(size - header.scan + kBeyondBits)), tables_(workspace.take<Table>(2 * kMostComponents)) {}

  // False if a code is no code.
  bool begin() {
    for (uint32_t c = 0; c < header_.components; ++c) {
      const Component& component = header_.component[c];
      if (!make_table(header_.dc[component.dc], true, dc_table(c))) return false;
      if (!make_table(header_.ac[component.ac], false, ac_table(c))) return false;
    }
    piece();
    return true;
  }

  // Decodes the blocks of one strip.
  bool strip(const Layout& layout, const Plane* planes) {
    for (uint32_t unit = 0; unit < layout.units; ++unit) {
      if (header_.restart && units_ == header_.restart && !restart()) return false;
      for (uint32_t c = 0; c < header_.components; ++c)
        if (!blocks(planes[c], unit, c)) return false;
      ++units_;
    }
    return true;
  }

  // Whether the picture ends where its last block does.
  bool finished() const { return bits_.finished() && ends_with(kEoi); }

 private:
  Table& dc_table(uint32_t c) { return tables_[2 * c]; }
  Table& ac_table(uint32_t c) { return tables_[2 * c + 1]; }

  bool blocks(const Plane& plane, uint32_t unit, uint32_t c) {
    for (uint32_t y = 0; y < plane.down; ++y)
      for (uint32_t x = 0; x < plane.across; ++x)
        if (!read_block(bits_, dc_table(c), ac_table(c), dc_[c], plane.block(unit * plane.across + x, y))) return false;
    return true;
  }

  // The bytes up to the next marker.
  void piece() {
    uint8_t* out = copy_;
    next_ = unstuff(next_, end_, out);
    bits_ = Bits(copy_, out);
    units_ = 0;
    for (int32_t& dc : dc_) dc = 0;
  }

  bool restart() {
    if (!bits_.finished() || !ends_with(static_cast<uint8_t>(kRst0 + restarts_++ % 8))) return false;
    next_ += 2;
    piece();
    return true;
  }

  // Whether the piece does.
  bool ends_with(uint8_t marker) const { return end_ - next_ >= 2 && next_[1] == marker; }

  const Header& header_;
  const uint8_t* next_;  // behind the piece
  const uint8_t* end_;
  uint8_t* copy_;
  Table* tables_;
  Bits bits_;
  int32_t dc_[kMostComponents];
  uint32_t units_ = 0;  // since the last restart
  uint32_t restarts_ = 0;
};

// Rows of samples to rows of pixels.
class Rows {
 public:
  Rows(const Header& header, const Layout& layout, const Plane* planes, Workspace& workspace)
      : header_(header), layout_(layout), planes_(planes) {
    const size_t width = header.width + 2 * kJpegBeyond;
    for (uint8_t*& row : wide_) row = workspace.take<uint8_t>(width + kJpegBeyond);
    line_ = workspace.take<uint8_t>(3 * width);
  }

  void begin(const JpegKernels& kernels, uint8_t* pixels, uint32_t channels) {
    kernels_ = &kernels;
    pixels_ = pixels;
    channels_ = channels;
    if (header_.components == 1)
      for (uint8_t* row : wide_) memset(row, 128, header_.width + kJpegBeyond);
  }

  // Those that are complete once strip `s` is there: the last one of it waits for the next strip, where rows are blended.
  void of_strip(uint32_t s) {
    const uint32_t height = 8 * layout_.down, waiting = layout_.down == 2;
    const uint32_t first = s * height - (s ? waiting : 0);
    const uint32_t end = s + 1 == layout_.strips ? header_.height : (s + 1) * height - waiting;
    for (uint32_t y = first; y < end; ++y) row(y, static_cast<ptrdiff_t>(y) - static_cast<ptrdiff_t>(s * height));
  }

 private:
  // Row y of the picture, row `at` of the strip.
  void row(uint32_t y, ptrdiff_t at) {
    const size_t bytes = static_cast<size_t>(header_.width) * channels_;
    uint8_t* out = pixels_ + y * bytes;
    if (channels_ == 1) {
      memcpy(out, planes_[0].row(at), bytes);
      return;
    }
    const uint8_t* differences[2] = {wide_[0], wide_[1]};
    for (uint32_t c = 1; c < header_.components; ++c) differences[c - 1] = difference(planes_[c], y, at, wide_[c - 1]);
    // The kernel writes beyond a row: into the next ones, where there are enough.
    const bool room = (header_.height - y - 1) * bytes >= 3 * kJpegBeyond;
    kernels_->colors(planes_[0].row(at), differences[0], differences[1], room ? out : line_, header_.width);
    if (!room) memcpy(out, line_, bytes);
  }

  // A row of a difference as wide as the picture: its own, or made in `wide`.
  const uint8_t* difference(const Plane& plane, uint32_t y, ptrdiff_t at, uint8_t* wide) const {
    if (layout_.down == 1) {
      if (layout_.across == 1) return plane.row(at);
      kernels_->widen(plane.row(at), wide, plane.width);
      return wide;
    }
    const ptrdiff_t near_row = (at + 2) / 2 - 1, other = at & 1 ? 1 : -1;
    const bool edge = at & 1 ? y / 2 + 1 == plane.height : y == 0;
    const uint8_t *a = plane.row(near_row), *b = plane.row(edge ? near_row : near_row + other);
    if (layout_.across == 1)
      kernels_->blend(a, b, wide, plane.width, at & 1 ? 2 : 1);
    else
      kernels_->widen_both(a, b, wide, plane.width);
    return wide;
  }

  const Header& header_;
  const Layout layout_;
  const Plane* planes_;
  uint8_t* wide_[2];
  uint8_t* line_;
  const JpegKernels* kernels_ = nullptr;
  uint8_t* pixels_ = nullptr;
  uint32_t channels_ = 3;
};

// Everything, laid out in a workspace.
struct Decoder {
  Decoder(const Header& header, const uint8_t* data, size_t size, Workspace& workspace)
      : layout(header), header(header), scan(header, data, coded_end(header, layout, size), workspace),
        rows(header, layout, planes, workspace) {
    for (uint32_t c = 0; c < header.components; ++c) planes[c].lay_out(header, layout, c, workspace);
  }

  bool run(const JpegKernels& kernels, uint8_t* pixels, uint32_t channels) {
    for (uint32_t c = 0; c < header.components; ++c) planes[c].clear();
    if (!scan.begin()) return false;
    rows.begin(kernels, pixels, channels);
    for (uint32_t s = 0; s < layout.strips; ++s) {
      if (!scan.strip(layout, planes)) return false;
      for (uint32_t c = 0; c < header.components; ++c) {
        if (s) planes[c].move_on();
        if (!planes[c].transform(kernels)) return false;
      }
      rows.of_strip(s);
    }
    return scan.finished();
  }

  const Layout layout;
  const Header& header;
  Plane planes[kMostComponents];
  Scan scan;
  Rows rows;
};

}  // namespace

size_t workspace_bytes(const Header& header, size_t size) {
  Workspace counting(nullptr);
  Decoder(header, nullptr, size, counting);
  return counting.used();
}

bool decode(const JpegKernels& kernels, const Header& header, const uint8_t* data, size_t size, uint8_t* workspace,
            uint8_t* pixels, uint32_t channels) {
  // libjpeg-turbo widens rows of two samples and less in another way.
  const bool narrow = header.components == 3 && header.component[0].across == 2 && header.width <= 4;
  if (narrow || (header.components == 3 && channels == 1)) return false;
  Workspace memory(workspace);
  return Decoder(header, data, size, memory).run(kernels, pixels, channels);
}

}  // namespace lcnet::jpeg
