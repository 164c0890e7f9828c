#include "sinks.h"

namespace lcnet {

// The channel count and the bytes of a pixel, known to the compiler.
template <size_t C, size_t Step = C>
static void look_up(const uint8_t* in, const float* table, const Planes& to, float* out) {
  for (size_t x = 0; x < to.width; ++x)
    for (size_t c = 0; c < C; ++c)
      out[static_cast<ptrdiff_t>(c) * to.plane + static_cast<ptrdiff_t>(x)] = table[c * 256 + in[x * Step + c]];
}

void PlaneSink::row(size_t y, const uint8_t* pixels) {
  static_assert(kMaxResizeChannels == 4);
  constexpr decltype(&look_up<1>) by_channels[] = {look_up<1>, look_up<2>, look_up<3>, look_up<4>};
  const bool padded = planes_.channels == 3 && planes_.step == 4;
  (padded ? look_up<3, 4> : by_channels[planes_.channels - 1])(pixels, table_, planes_, planes_.out + y * planes_.pitch);
}

}  // namespace lcnet
