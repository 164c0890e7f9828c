#include "system.h"

#include <cstdlib>

#if defined(_WIN32)
#include <malloc.h>
#include <process.h>
#else
#include <pthread.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace lcnet {

#if defined(_WIN32)

void* allocate_aligned(size_t bytes) { return _aligned_malloc(bytes, 64); }
void free_aligned(void* memory) { _aligned_free(memory); }
int process() { return _getpid(); }
void around_forks(void (*)(), void (*)()) {}  // there are none

#else

void* allocate_aligned(size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, 64, bytes) ? nullptr : memory;
}
void free_aligned(void* memory) { std::free(memory); }
int process() { return getpid(); }
void around_forks(void (*before)(), void (*after)()) { pthread_atfork(before, after, after); }

#endif

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace lcnet
