#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

#include "tables.h"

namespace lcnet {

std::vector<Isa> isas() {
  return {
#if LCNET_X86
      // The compiler's check asks the operating system too, which must save the wide registers.
      {&kernels__avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")},
      {&kernels__avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
      {&kernels__scalar, true},
  };
}

const Kernels& select_kernels(const std::string& name) {
  const char* forced = std::getenv("LCNET_ISA");
  const std::string wanted = !name.empty() ? name : forced ? forced : "";
  std::string known;
  for (const Isa& isa : isas()) {
    const bool named = wanted == isa.kernels->isa;
    if (isa.supported && (named || wanted.empty())) return *isa.kernels;
    if (named) throw std::invalid_argument("this CPU does not have the ISA '" + wanted + "'");
    known += std::string(known.empty() ? "" : ", ") + isa.kernels->isa;
  }
  throw std::invalid_argument("unknown ISA '" + wanted + "': this build has " + known);
}

}  // namespace lcnet
