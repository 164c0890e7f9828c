#include "system.h"

#if defined(_WIN32)
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

int process() { return _getpid(); }
void around_forks(void (*)(), void (*)()) {}  // there are none

#else

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
