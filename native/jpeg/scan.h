// The coded data of a picture's only scan.
#pragma once

#include "bits.h"
#include "header.h"
#include "huffman.h"
#include "planes.h"

namespace lcnet::jpeg {

class Scan {
 public:
  Scan(const Header& header, const Layout& layout, const uint8_t* data, size_t size, Workspace& workspace);

  // False if a code is no code.
  bool begin();
  // Decodes the blocks of one strip into zeros. False if they are damaged.
  bool strip(const Plane* planes);
  // Whether the picture ends where its last block does.
  bool finished() const;

 private:
  // Units that follow each other without a restart.
  bool run(const Plane* planes, uint32_t first, uint32_t end);
  void piece();
  bool restart();
  bool ends_with(uint8_t marker) const { return end_ - next_ >= 2 && next_[1] == marker; }

  const Header& header_;
  const Layout& layout_;
  const uint8_t* next_;  // behind the piece, which is what lies between two markers
  const uint8_t* end_;
  uint8_t* copy_;  // of the piece, without the stuffed bytes
  DcTable* dc_tables_;
  AcTable* ac_tables_;
  Bits bits_;
  int32_t dc_[kMostComponents] = {};
  uint32_t left_ = 0;  // units before the next restart
  uint32_t restarts_ = 0;
};

}  // namespace lcnet::jpeg
