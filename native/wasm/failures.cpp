// How the core ends in WebAssembly what cannot go on: a sentence, then a trap. There are neither exceptions nor standard streams, and
// what the libraries would print them with is kept out of the module.
#include <cstdarg>
#include <new>

#include "../fail.h"
#include "memory.h"

namespace lcnet {

static char failure[256];

const char* last_failure() { return failure; }

void fail(const char* what) {
  for (size_t i = 0; i + 1 < sizeof failure && (failure[i] = what[i]); ++i) {
  }
  __builtin_trap();
}
void fail_memory() { fail("there is not enough memory"); }

static void* allocated(size_t bytes) {
  void* const p = allocate(bytes);
  if (!p) fail_memory();
  return p;
}

}  // namespace lcnet

void* operator new(size_t bytes) { return lcnet::allocated(bytes); }
void* operator new(size_t bytes, std::align_val_t) { return lcnet::allocated(bytes); }
void* operator new(size_t bytes, std::align_val_t, const std::nothrow_t&) noexcept { return lcnet::allocate(bytes); }
void operator delete(void* p) noexcept { lcnet::release(p); }
void operator delete(void* p, size_t) noexcept { lcnet::release(p); }
void operator delete(void* p, std::align_val_t) noexcept { lcnet::release(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { lcnet::release(p); }

_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char*, ...) { lcnet::fail_memory(); }  // of a vector that is too long
_LIBCPP_END_NAMESPACE_STD

extern "C" void abort() { __builtin_trap(); }
