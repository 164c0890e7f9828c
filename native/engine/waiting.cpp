#include "waiting.h"

#include <thread>

#include "../system.h"

namespace lcnet {

// About as long as a piece takes; then the core is given away, as the thread that is waited for may need it.
constexpr int kSpins = 2000;

void wait_for(const Team::Phase& phase, size_t pieces) {
  for (int spin = 0; phase.done.load(std::memory_order_acquire) < pieces; ++spin) {
    if (spin < kSpins)
      relax();
    else
      std::this_thread::yield();
  }
}

}  // namespace lcnet
