#include "planes.h"

#include <string.h>

namespace lcnet::jpeg {

void Plane::lay_out(const Header& header, const Layout& layout, uint32_t index, Workspace& workspace) {
  const Component& component = header.component[index];
  across = component.across;
  down = component.down;
  width = (header.width * across + layout.across - 1) / layout.across;
  height = (header.height * down + layout.down - 1) / layout.down;
  blocks_across = static_cast<size_t>(layout.units) * across;
  block_pitch = blocks_across + kJpegBlocksBeyond;
  pitch = kBefore + (8 * blocks_across + kJpegBeyond + Workspace::kAlign - 1) / Workspace::kAlign * Workspace::kAlign;
  blocks = workspace.take<int16_t>(block_pitch * down * kJpegBlock);
  samples = workspace.take<uint8_t>(pitch * (8 * down + 1));
  for (size_t i = 0; i < kJpegBlock; ++i) {
    quanta.quantum[i] = header.quanta[component.quanta][i];
    quanta.most[i] = static_cast<uint16_t>(kJpegMost / quanta.quantum[i]);
  }
}

void Plane::clear() { memset(blocks, 0, block_pitch * down * kJpegBlock * sizeof *blocks); }

bool Plane::transform(const JpegKernels& kernels) {
  bool within = true;
  for (uint32_t y = 0; y < down; ++y) within &= kernels.transform(block(0, y), blocks_across, quanta, row(8 * y), pitch);
  for (uint32_t y = 0; y < 8 * down; ++y) {
    uint8_t* samples_of_row = row(y);
    samples_of_row[-1] = samples_of_row[0];
    samples_of_row[width] = samples_of_row[width - 1];
  }
  return within;
}

void Plane::move_on() { memcpy(row(-1) - kBefore, row(8 * down - 1) - kBefore, pitch); }

}  // namespace lcnet::jpeg
