#include "decode.h"

#include <string.h>

#include "planes.h"
#include "scan.h"

namespace lcnet::jpeg {

namespace {

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
      : layout(header), header(header), scan(header, layout, data, size, workspace), rows(header, layout, planes, workspace) {
    for (uint32_t c = 0; c < header.components; ++c) planes[c].lay_out(header, layout, c, workspace);
  }

  bool run(const JpegKernels& kernels, uint8_t* pixels, uint32_t channels) {
    for (uint32_t c = 0; c < header.components; ++c) planes[c].clear();
    if (!scan.begin()) return false;
    rows.begin(kernels, pixels, channels);
    for (uint32_t s = 0; s < layout.strips; ++s) {
      if (!scan.strip(planes)) return false;
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
