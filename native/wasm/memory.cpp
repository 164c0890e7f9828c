// Memory in place of the C library's, which is ten times as large: blocks in a list by their addresses, the first free one that is large
// enough. There are some hundred at a time, made and freed in a few rounds: while a model is built, and for a picture.
#include "memory.h"

#include <cstdint>

namespace lcnet {

namespace {

constexpr size_t kLine = 64, kPage = 1 << 16;

// In front of a block's bytes, which begin a line later. Blocks follow each other without gaps, up to `end`.
struct alignas(kLine) Block {
  size_t bytes;  // with this
  bool taken;

  Block* next() { return reinterpret_cast<Block*>(reinterpret_cast<uint8_t*>(this) + bytes); }
};

Block *begin = nullptr, *end = nullptr;

// Free neighbours become one.
void join(Block* block) {
  while (block->next() != end && !block->next()->taken) block->bytes += block->next()->bytes;
}

// As many bytes more behind the last block; false if the engine has none.
bool grow(size_t bytes) {
  const size_t pages = (bytes + kPage - 1) / kPage, at = __builtin_wasm_memory_grow(0, pages);
  if (at == SIZE_MAX) return false;
  auto* block = reinterpret_cast<Block*>(at * kPage);
  if (!begin) begin = end = block;
  end = reinterpret_cast<Block*>((at + pages) * kPage);
  *block = {pages * kPage, false};
  return true;
}

Block* first_free(size_t bytes) {
  Block* last = nullptr;
  for (Block* block = begin; block != end; block = block->next()) {
    if (block->taken) continue;
    join(block);
    if (block->bytes >= bytes) return block;
    last = block->next() == end ? block : nullptr;
  }
  if (!grow(bytes - (last ? last->bytes : 0))) return nullptr;
  if (!last) return first_free(bytes);
  join(last);
  return last;
}

}  // namespace

void* allocate(size_t size) {
  if (size > SIZE_MAX / 2) return nullptr;
  const size_t bytes = (size + 2 * kLine - 1) / kLine * kLine;
  Block* block = first_free(bytes);
  if (!block) return nullptr;
  if (block->bytes > bytes) {
    auto* rest = reinterpret_cast<Block*>(reinterpret_cast<uint8_t*>(block) + bytes);
    *rest = {block->bytes - bytes, false};
    block->bytes = bytes;
  }
  block->taken = true;
  return block + 1;
}

void release(void* p) {
  if (p) (static_cast<Block*>(p) - 1)->taken = false;
}

}  // namespace lcnet

// What sines and cosines do with angles beyond a million: none of a filter's.
extern "C" int __rem_pio2_large(double*, double*, int, int, int) { __builtin_trap(); }
