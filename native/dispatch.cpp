#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "kernels/tables.h"
#include "system.h"

#if LCNET_X86
#include <cpuid.h>
#endif

namespace lcnet {

#if LCNET_X86
struct Cpu {
  bool avx2 = false, avx512 = false, vnni = false, bf16 = false;
};

// What this CPU has and its operating system saves the registers of. The compilers' own check wants a library of theirs to have
// begun, which not every linker brings.
static Cpu cpu() {
  Cpu found;
  unsigned a, b, c, d, saved, above;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return found;
  const bool fma = c >> 12 & 1;
  asm("xgetbv" : "=a"(saved), "=d"(above) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return found;
  const unsigned ymm = 0x06, zmm = 0xe6, f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  found.avx2 = (saved & ymm) == ymm && fma && b >> 5 & 1;
  found.avx512 = found.avx2 && (saved & zmm) == zmm && (b & f_dq_bw_vl) == f_dq_bw_vl;
  found.vnni = found.avx512 && c >> 11 & 1;
  const bool more = a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d);
  found.bf16 = found.vnni && more && a >> 5 & 1;
  return found;
}
#endif

std::vector<Isa> isas() {
#if LCNET_X86
  static const Cpu has = cpu();
#endif
  return {
#if LCNET_X86
      {&kernels__avx512bf16, has.bf16},
      {&kernels__avx512vnni, has.vnni},
      {&kernels__avx512, has.avx512},
      {&kernels__avx2, has.avx2},
#endif
#if LCNET_ARM64
      {&kernels__neon_dot, has_dot_product()},
      {&kernels__neon, true},
#endif
      {&kernels__scalar, true},
  };
}

const Kernels& select_kernels(const std::string& name, Precision precision) {
  const char* forced = std::getenv("LCNET_ISA");
  const std::string wanted = !name.empty() ? name : forced ? forced : "";
  std::string known;
  for (const Isa& isa : isas()) {
    const bool named = wanted == isa.kernels->isa;
    // Emulated bfloat16 would be slower than float: it runs only if asked for by name.
    const bool able = precision == Precision::f32 || (isa.kernels->bf16 && (named || isa.kernels != &kernels__scalar));
    if (isa.supported && able && (named || wanted.empty())) return *isa.kernels;
    if (named && isa.supported) throw std::invalid_argument("the ISA '" + wanted + "' has no bf16 arithmetic");
    if (named) throw std::invalid_argument("this CPU does not have the ISA '" + wanted + "'");
    known += std::string(known.empty() ? "" : ", ") + isa.kernels->isa;
  }
  if (wanted.empty())
    throw std::invalid_argument(
        "this CPU has no bf16 arithmetic (AVX512-BF16): use precision 'fp32', or ISA 'scalar' to "
        "compute the same numbers slowly");
  throw std::invalid_argument("unknown ISA '" + wanted + "': this build has " + known);
}

const Kernels& float_kernels(const Int8Kernels& int8) {
  for (const Isa& isa : isas())
    if (isa.kernels->int8 == &int8 && isa.kernels->lanes == int8.lanes) return *isa.kernels;
  throw std::invalid_argument(std::string("no float kernels go with the int8 ones of '") + int8.isa + "'");
}

const JpegKernels& jpeg_kernels(const Kernels& kernels) {
#if LCNET_X86
  if (&kernels == &kernels__avx2) return jpeg_kernels__avx2;
  if (&kernels != &kernels__scalar) return jpeg_kernels__avx512;
#endif
  (void)kernels;
  return jpeg_kernels__scalar;
}

}  // namespace lcnet
