#include "team.h"

#include <thread>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace lcnet {

// About as long as a piece takes; then the core is given away, as the thread that is waited for may need it.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Team::wait(const Phase& phase, size_t pieces) const {
  for (int spin = 0; phase.done.load(std::memory_order_acquire) < pieces; ++spin) {
    if (spin < kSpins)
      relax();
    else
      std::this_thread::yield();
  }
}

}  // namespace lcnet
