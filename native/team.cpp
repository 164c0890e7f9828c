#include "team.h"

#include <thread>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace lcnet {

// A member waits about as long as a layer takes, then gives its core away: the one it waits for may need it.
constexpr int kSpins = 4000;

static void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void Team::barrier() {
  if (size_ == 1) return;
  const size_t round = round_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    return;
  }
  for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
    if (spin < kSpins)
      relax();
    else
      std::this_thread::yield();
  }
}

}  // namespace lcnet
