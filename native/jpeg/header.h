// What a JPEG file says before its pixels (ITU-T T.81, annex B; JFIF 1.02; Adobe's marker as libjpeg reads it).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace lcnet::jpeg {

constexpr size_t kTables = 4;  // of each kind
constexpr size_t kMostComponents = 3;

// A Huffman code: how many words there are of each length from 1 to 16, and what they stand for.
struct Code {
  bool given = false;
  uint8_t counts[16];
  uint8_t symbols[256];
};

struct Component {
  uint8_t id, across, down;  // samples to a unit of the picture, 1 or 2
  uint8_t quanta, dc, ac;    // its tables
};

struct Header {
  uint32_t width = 0, height = 0;
  uint32_t components = 0;  // 1: grey; 3: luminance, blue and red difference
  Component component[kMostComponents];
  uint32_t restart = 0;  // units between two restarts; 0: none
  bool quanta_given[kTables] = {};
  uint16_t quanta[kTables][64];  // by rows
  Code dc[kTables], ac[kTables];
  size_t scan = 0;  // where coded data begin
};

// Which place of a block, by rows, comes k-th.
inline constexpr uint8_t kZigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
                                        41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
                                        30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// Reads up to the first coded byte. False for what is not for us to decode: progressive, lossless and arithmetic files, other colours
// than grey and YCbCr, other samplings than 1 x 1, 2 x 1, 1 x 2 and 2 x 2, several scans, and whatever is odd or damaged.
bool read_header(const uint8_t* data, size_t size, Header& header);

}  // namespace lcnet::jpeg
