#include "fail.h"

#include <new>
#include <stdexcept>

namespace lcnet {

void fail(const char* what) { throw std::invalid_argument(what); }
void fail_memory() { throw std::bad_alloc(); }

}  // namespace lcnet
