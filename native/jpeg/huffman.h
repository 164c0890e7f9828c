// Huffman codes of JPEG files: words and the numbers that follow them, found by one look at the next bits where they are short.
#pragma once

#include "header.h"

namespace lcnet::jpeg {

constexpr uint32_t kLook = 10;                          // bits
constexpr uint32_t kMostAcBits = 10, kMostDcBits = 11;  // of a number in a file of 8 bits

constexpr uint32_t kEnd = 128;  // places that the end of a block goes on: beyond all others

// The number of n bits, n >= 1: those that begin with 0 are negative.
inline int32_t extended(uint32_t bits, uint32_t n) {
  const auto value = static_cast<int32_t>(bits);
  return bits >> (n - 1) ? value : value - (1 << n) + 1;
}

// What is common to both kinds: words that are longer than kLook, one by one.
struct Words {
  uint32_t limit[18];  // of words of each length, with 16 bits: the first that is longer
  int32_t place[17];   // of a word of each length, added to the word: its place among the symbols
  uint8_t symbols[256];
};

// What the next kLook bits mean, one word and its number:
//   length  how many of them it takes: word and number if it is whole, else the word, 0 for one that is longer than kLook
//   middle  whole: by how many places it goes on, kEnd at the end of a block; else the symbol
struct Look {
  uint8_t length = 0, middle = 0;
  bool whole = false;
  int16_t number = 0;
};

struct DcTable {
  Look look[1 << kLook];
  Words words;
};

// What the next kLook bits mean, one or two words and their numbers. Where there is no second, it goes on by nothing and its number
// is the first again.
struct Two {
  uint8_t length;     // how many bits both take; of a word that is not whole, its own, or 0
  uint8_t first;      // how many the first takes, 0 if it is not whole
  uint8_t places[2];  // by how many each goes on; of a word that is not whole, the symbol
  int16_t number[2];
};

struct AcTable {
  Two look[1 << kLook];
  Words words;
};

// False for a code that libjpeg refuses.
bool make_table(const Code& code, DcTable& table);
bool make_table(const Code& code, AcTable& table);

}  // namespace lcnet::jpeg
