// A block out of the coded bits. Inline, and with the reader in a local variable of whoever reads many, so that it stays in registers.
#pragma once

#include "bits.h"
#include "huffman.h"

namespace lcnet::jpeg {

constexpr uint32_t kNoSymbol = 256, kZeros = 0xf0;  // kZeros: sixteen of them

// Places beyond the last one are the last one.
struct Places {
  uint8_t of[64 + 2 * kEnd];
  constexpr Places() : of{} {
    for (size_t k = 0; k < sizeof of; ++k) of[k] = kZigzag[k < 64 ? k : 63];
  }
};

inline constexpr Places kPlaces;

// What a look begins with: a word that is not whole in the table, and the number behind it.
struct Word {
  uint32_t symbol = kNoSymbol, length = 0;
  uint64_t rest;  // of the look

  // `length`: the word's if it is known, and then its symbol is; else 0.
  Word(const Words& words, uint64_t look, uint32_t known_length, uint32_t known_symbol) : rest(look) {
    length = known_length;
    if (length) {
      symbol = known_symbol;
    } else {
      const auto next = static_cast<uint32_t>(look >> 48);
      length = kLook + 1;
      while (length <= 16 && next >= words.limit[length]) ++length;
      if (length > 16) return;
      symbol = words.symbols[static_cast<int32_t>(look >> (64 - length)) + words.place[length]];
    }
    rest <<= length;
  }
  int32_t number(uint32_t size) const { return size ? extended(static_cast<uint32_t>(rest >> (64 - size)), size) : 0; }
};

inline bool read_dc(Bits& bits, const DcTable& table, int32_t& dc) {
  const uint64_t next = bits.look();
  const Look& look = table.look[next >> (64 - kLook)];
  if (look.whole) {
    bits.take(look.length);
    dc += look.number;
  } else {
    const Word word(table.words, next, look.length, look.middle);
    if (word.symbol > kMostDcBits) return false;
    bits.take(static_cast<int32_t>(word.length + word.symbol));
    dc += word.number(word.symbol);
  }
  return dc >= -32767 && dc <= 32767;
}

// One branch ends the loop, foreseen or not: after the first of two numbers there is none. If that was the block's last one, the
// second is none of its numbers. It has been written to the last place at most, and before the first.
inline bool read_ac(Bits& bits, const AcTable& table, int16_t* block) {
  uint32_t k = 0;
  while (k < 63) {
    const uint64_t next = bits.look();
    const Two& two = table.look[next >> (64 - kLook)];
    if (two.first) {
      const uint32_t first = k + two.places[0];
      k = first + two.places[1];
      bits.take(two.length);
      block[kPlaces.of[k]] = two.number[1];
      block[kPlaces.of[first]] = two.number[0];
      if (k < 63) continue;
      if (first >= 63) {
        bits.take(two.first - two.length);
        k = first;
      }
      break;
    }
    const Word word(table.words, next, two.length, two.places[0]);
    const uint32_t size = word.symbol & 15;
    if (word.symbol == kNoSymbol || size > kMostAcBits || (!size && word.symbol && word.symbol != kZeros)) return false;
    bits.take(static_cast<int32_t>(word.length + size));
    k += word.symbol ? (word.symbol >> 4) + 1 : kEnd;
    if (size) block[kPlaces.of[k]] = static_cast<int16_t>(word.number(size));
  }
  return (k == 63 || k >= kEnd) && !bits.overrun();
}

// Decodes one block into zeros. False if it is damaged. `dc` is the last block's, and becomes this one's.
inline bool read_block(Bits& bits, const DcTable& dc_table, const AcTable& ac_table, int32_t& dc, int16_t* block) {
  if (!read_dc(bits, dc_table, dc)) return false;
  block[0] = static_cast<int16_t>(dc);
  return read_ac(bits, ac_table, block);
}

}  // namespace lcnet::jpeg
