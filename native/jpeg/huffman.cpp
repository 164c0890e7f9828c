#include "huffman.h"

#include <string.h>

namespace lcnet::jpeg {

namespace {

// Every look that begins with this word. A DC code's symbol is how many bits its number has; an AC code's has that in its lower half,
// and above it how many zeros come before.
void fill(uint32_t word, uint32_t length, uint32_t symbol, bool ac, Look* look) {
  const uint32_t size = symbol & 15, spare = kLook - length;
  const bool whole = size ? size <= spare && size <= kMostAcBits : !ac || symbol == 0;
  for (uint32_t rest = 0; rest < 1u << spare; ++rest) {
    Look& l = look[word << spare | rest];
    l.whole = whole;
    l.length = static_cast<uint8_t>(whole ? length + size : length);
    l.middle = static_cast<uint8_t>(!whole ? symbol : ac && !symbol ? kEnd : (symbol >> 4) + 1);
    l.number = static_cast<int16_t>(whole && size ? extended(rest >> (spare - size), size) : 0);
  }
}

bool make(const Code& code, bool ac, Look* look, Words& words) {
  for (uint32_t i = 0; i < 1u << kLook; ++i) look[i] = {};
  memcpy(words.symbols, code.symbols, sizeof words.symbols);
  uint32_t word = 0, at = 0;
  for (uint32_t length = 1; length <= 16; ++length, word <<= 1) {
    words.place[length] = static_cast<int32_t>(at) - static_cast<int32_t>(word);
    for (uint32_t i = 0; i < code.counts[length - 1]; ++i, ++word, ++at) {
      if (word + 1 >= 1u << length) return false;  // that of all ones is no word
      if (!ac && code.symbols[at] > 15) return false;
      if (length <= kLook) fill(word, length, code.symbols[at], ac, look);
    }
    words.limit[length] = word << (16 - length);
  }
  return true;
}

Two two_of(const Look& first, const Look* second) {
  const uint8_t whole = first.whole ? first.length : 0;
  Two two{first.length, whole, {first.middle, 0}, {first.number, first.number}};
  if (second) {
    two.length = static_cast<uint8_t>(first.length + second->length);
    two.places[1] = second->middle;
    two.number[1] = second->number;
  }
  return two;
}

}  // namespace

bool make_table(const Code& code, DcTable& table) { return make(code, false, table.look, table.words); }

bool make_table(const Code& code, AcTable& table) {
  Look single[1 << kLook];
  if (!make(code, true, single, table.words)) return false;
  for (uint32_t bits = 0; bits < 1u << kLook; ++bits) {
    const Look& first = single[bits];
    const Look& next = single[(bits << first.length) & ((1u << kLook) - 1)];
    const bool both = first.whole && first.middle != kEnd && next.whole && first.length + next.length <= kLook;
    table.look[bits] = two_of(first, both ? &next : nullptr);
  }
  return true;
}

}  // namespace lcnet::jpeg
