#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "kernels/tables.h"

namespace lcnet {

#if LCNET_X86
// The compiler's check asks the operating system too, which must save the wide registers.
static bool avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
}

static bool avx512vnni() { return avx512() && __builtin_cpu_supports("avx512vnni"); }
#endif

std::vector<Isa> isas() {
  return {
#if LCNET_X86
      {&kernels__avx512bf16, avx512vnni() && __builtin_cpu_supports("avx512bf16")},
      {&kernels__avx512vnni, avx512vnni()},
      {&kernels__avx512, avx512()},
      {&kernels__avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
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

}  // namespace lcnet
