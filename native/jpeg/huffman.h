// Huffman codes of JPEG files: a word and the number that follows it, found by one look at the next bits where both are short.
#pragma once

#include "bits.h"
#include "header.h"

namespace lcnet::jpeg {

constexpr uint32_t kLook = 10;                          // bits
constexpr uint32_t kMostAcBits = 10, kMostDcBits = 11;  // of a number in a file of 8 bits

// What the next kLook bits mean:
//   bits 0 to 5    how many of them it takes: word and number if it is whole, else the word, 0 for one that is longer than kLook
//   bit 7          whether it is whole
//   bits 8 to 15   whole: by how many places it goes on, 1 to 16; else the symbol
//   bits 16 to 31  the number
using Entry = uint32_t;
constexpr Entry kWhole = 1 << 7;

struct Table {
  Entry look[1 << kLook];
  uint32_t limit[18];  // of words of each length, with 16 bits: the first that is longer
  int32_t place[17];   // of a word of each length, added to the word: its place among the symbols
  uint8_t symbols[256];
};

// False for a code that libjpeg refuses. `zero_is_whole`: whether a number of no bits is one, as in the codes of DC.
bool make_table(const Code& code, bool zero_is_whole, Table& table);

// The number of n bits, n >= 1: those that begin with 0 are negative.
inline int32_t extended(uint32_t bits, uint32_t n) {
  const auto value = static_cast<int32_t>(bits);
  return bits >> (n - 1) ? value : value - (1 << n) + 1;
}

constexpr uint32_t kNoSymbol = 256;

// Takes a word and returns its symbol.
inline uint32_t take_symbol(const Table& table, Entry entry, Bits& bits) {
  if (const uint32_t length = entry & 63) {
    bits.skip(length);
    return entry >> 8 & 255;
  }
  const uint32_t word = bits.top(16);
  uint32_t length = kLook + 1;
  while (length <= 16 && word >= table.limit[length]) ++length;
  if (length > 16) return kNoSymbol;
  const auto place = static_cast<int32_t>(bits.take(length)) + table.place[length];
  return table.symbols[place];
}

// Decodes one block into zeros. False if it is damaged. `dc` is the last block's, and becomes this one's.
bool read_block(Bits& bits, const Table& dc_table, const Table& ac_table, int32_t& dc, int16_t* block);

}  // namespace lcnet::jpeg
