#include "scan.h"

#include "block.h"

namespace lcnet::jpeg {

constexpr uint8_t kEoi = 0xd9, kRst0 = 0xd0;

// Where coded data end at the latest: a block takes less than kBeyondBits bytes, of which each may be followed by a stuffed one,
// and may be followed by a restart. `size` where the file ends before. What a header says may be too many blocks for 32 bits.
static size_t coded_end(const Header& header, const Layout& layout, size_t size) {
  const uint64_t blocks = uint64_t{layout.units} * layout.strips * (layout.across * layout.down + 2);
  const uint64_t most = header.scan + 2 * (blocks + 1) * kBeyondBits;
  return size < most ? size : static_cast<size_t>(most);
}

Scan::Scan(const Header& header, const Layout& layout, const uint8_t* data, size_t size, Workspace& workspace)
    : header_(header), layout_(layout) {
  const size_t end = coded_end(header, layout, size);
  next_ = data ? data + header.scan : nullptr;
  end_ = data ? data + end : nullptr;
  copy_ = workspace.take<uint8_t>(end - header.scan + kBeyondBits);
  dc_tables_ = workspace.take<DcTable>(kTables);
  ac_tables_ = workspace.take<AcTable>(kTables);
}

bool Scan::begin() {
  bool dc_made[kTables] = {}, ac_made[kTables] = {};
  for (uint32_t c = 0; c < header_.components; ++c) {
    const uint8_t dc = header_.component[c].dc, ac = header_.component[c].ac;
    if (!dc_made[dc] && !make_table(header_.dc[dc], dc_tables_[dc])) return false;
    if (!ac_made[ac] && !make_table(header_.ac[ac], ac_tables_[ac])) return false;
    dc_made[dc] = ac_made[ac] = true;
  }
  piece();
  return true;
}

bool Scan::strip(const Plane* planes) {
  for (uint32_t unit = 0; unit < layout_.units;) {
    if (!left_ && !restart()) return false;
    const uint32_t here = layout_.units - unit, n = left_ < here ? left_ : here;
    if (!run(planes, unit, unit + n)) return false;
    unit += n;
    if (header_.restart) left_ -= n;
  }
  return true;
}

bool Scan::run(const Plane* planes, uint32_t first, uint32_t end) {
  Bits bits = bits_;
  for (uint32_t unit = first; unit < end; ++unit)
    for (uint32_t c = 0; c < header_.components; ++c) {
      const Plane& plane = planes[c];
      const Component& component = header_.component[c];
      const DcTable& dc_table = dc_tables_[component.dc];
      const AcTable& ac_table = ac_tables_[component.ac];
      for (uint32_t y = 0; y < plane.down; ++y)
        for (uint32_t x = 0; x < plane.across; ++x)
          if (!read_block(bits, dc_table, ac_table, dc_[c], plane.block(unit * plane.across + x, y))) return false;
    }
  bits_ = bits;
  return true;
}

bool Scan::finished() const { return bits_.finished() && ends_with(kEoi); }

void Scan::piece() {
  uint8_t* out = copy_;
  next_ = unstuff(next_, end_, out);
  bits_ = Bits(copy_, out);
  left_ = header_.restart ? header_.restart : ~0u;
  for (int32_t& dc : dc_) dc = 0;
}

bool Scan::restart() {
  if (!bits_.finished() || !ends_with(static_cast<uint8_t>(kRst0 + restarts_++ % 8))) return false;
  next_ += 2;
  piece();
  return true;
}

}  // namespace lcnet::jpeg
