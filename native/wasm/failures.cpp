// How the core ends in WebAssembly what cannot go on: a sentence, then a trap. There are neither exceptions nor standard streams, and
// what the libraries would print them with is kept out of the module.
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../fail.h"

namespace lcnet {

static char failure[256];

const char* last_failure() { return failure; }

void fail(const char* what) {
  std::strncpy(failure, what, sizeof failure - 1);
  __builtin_trap();
}
void fail_memory() { fail("there is not enough memory"); }

static void* allocated(void* p) {
  if (!p) fail_memory();
  return p;
}
static size_t whole(size_t bytes, std::align_val_t align) {
  return (bytes + static_cast<size_t>(align) - 1) & -static_cast<size_t>(align);
}

}  // namespace lcnet

void* operator new(size_t bytes) { return lcnet::allocated(std::malloc(bytes ? bytes : 1)); }
void* operator new(size_t bytes, std::align_val_t align) {
  return lcnet::allocated(std::aligned_alloc(static_cast<size_t>(align), lcnet::whole(bytes, align)));
}
void* operator new(size_t bytes, std::align_val_t align, const std::nothrow_t&) noexcept {
  return std::aligned_alloc(static_cast<size_t>(align), lcnet::whole(bytes, align));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char*, ...) { lcnet::fail_memory(); }  // of a vector that is too long
_LIBCPP_END_NAMESPACE_STD

extern "C" void abort() { __builtin_trap(); }
