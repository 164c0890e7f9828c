#include "system.h"

#if defined(_WIN32)
#include <process.h>
#else
#include <pthread.h>
#include <unistd.h>
#endif

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sys/auxv.h>
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

bool has_dot_product() {
#if defined(__APPLE__)
  int has = 0;
  size_t size = sizeof has;
  return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, nullptr, 0) == 0 && has;
#elif defined(__linux__) && defined(__aarch64__)
  constexpr unsigned long kDotProduct = 1 << 20;  // HWCAP_ASIMDDP
  return getauxval(AT_HWCAP) & kDotProduct;
#else
  return false;
#endif
}

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace lcnet
