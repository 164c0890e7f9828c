#include "huffman.h"

namespace lcnet::jpeg {

// Places beyond the last one, where a run of zeros may lead, are the last one.
struct Places {
  uint8_t of[64 + 16];
  explicit constexpr Places(const uint8_t* zigzag) : of{} {
    for (size_t k = 0; k < sizeof of; ++k) of[k] = zigzag[k < 64 ? k : 63];
  }
};

constexpr Places kPlaces(kZigzag);

// Every look that begins with this word.
static void fill(uint32_t word, uint32_t length, uint32_t symbol, bool zero_is_whole, Table& table) {
  const uint32_t size = symbol & 15, spare = kLook - length;
  for (uint32_t rest = 0; rest < 1u << spare; ++rest) {
    const bool whole = size ? size <= spare && size <= kMostAcBits : zero_is_whole;
    const int32_t number = whole && size ? extended(rest >> (spare - size), size) : 0;
    const uint32_t middle = whole ? (symbol >> 4) + 1 : symbol;
    table.look[word << spare | rest] =
        static_cast<uint32_t>(number) << 16 | middle << 8 | (whole ? kWhole | (length + size) : length);
  }
}

bool make_table(const Code& code, bool zero_is_whole, Table& table) {
  memset(table.look, 0, sizeof table.look);
  memcpy(table.symbols, code.symbols, sizeof table.symbols);
  uint32_t word = 0, at = 0;
  for (uint32_t length = 1; length <= 16; ++length, word <<= 1) {
    table.place[length] = static_cast<int32_t>(at) - static_cast<int32_t>(word);
    for (uint32_t i = 0; i < code.counts[length - 1]; ++i, ++word, ++at) {
      if (word + 1 >= 1u << length) return false;  // that of all ones is no word
      if (length <= kLook) fill(word, length, code.symbols[at], zero_is_whole, table);
    }
    table.limit[length] = word << (16 - length);
  }
  return true;
}

static bool read_dc(Bits& bits, const Table& table, int32_t& dc) {
  bits.refill();
  const Entry entry = table.look[bits.top(kLook)];
  if (entry & kWhole) {
    bits.skip(entry & 63);
    dc += static_cast<int32_t>(entry) >> 16;
  } else {
    const uint32_t size = take_symbol(table, entry, bits);
    if (size > kMostDcBits) return false;
    if (size) dc += extended(bits.take(size), size);
  }
  return dc >= -32767 && dc <= 32767;
}

bool read_block(Bits& bits, const Table& dc_table, const Table& ac_table, int32_t& dc, int16_t* block) {
  if (!read_dc(bits, dc_table, dc)) return false;
  block[0] = static_cast<int16_t>(dc);
  uint32_t k = 0;
  while (k < 63) {
    bits.refill();
    const Entry entry = ac_table.look[bits.top(kLook)];
    if (entry & kWhole) {
      k += entry >> 8 & 255;
      block[kPlaces.of[k]] = static_cast<int16_t>(entry >> 16);
      bits.skip(entry & 63);
      continue;
    }
    const uint32_t symbol = take_symbol(ac_table, entry, bits), size = symbol & 15;
    if (symbol == 0) return !bits.overrun();  // end of block
    if (symbol == kNoSymbol || size > kMostAcBits || (!size && symbol != 0xf0)) return false;
    k += (symbol >> 4) + 1;
    if (size) block[kPlaces.of[k]] = static_cast<int16_t>(extended(bits.take(size), size));
  }
  return k == 63 && !bits.overrun();
}

}  // namespace lcnet::jpeg
