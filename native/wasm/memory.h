// Memory by whole cache lines, which begin one. Null if there is none.
#pragma once

#include <cstddef>

namespace lcnet {

void* allocate(size_t size);
void release(void* p);

}  // namespace lcnet
