// The kernel tables that this build has. LCNET_X86 says whether it is for x86-64, LCNET_ARM64 for AArch64.
#pragma once

#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#define LCNET_X86 1
#else
#define LCNET_X86 0
#endif
#if defined(__aarch64__) || defined(_M_ARM64)
#define LCNET_ARM64 1
#else
#define LCNET_ARM64 0
#endif

namespace lcnet {

extern const Kernels kernels__scalar;
extern const Int8Kernels int8_kernels__scalar;

// The specification in the layout of another table; fails if there is none of that shape.
const Kernels& scalar_kernels(size_t lanes, size_t panel);

const Int8Kernels& int8_scalar_kernels(size_t lanes, size_t group);

#if LCNET_X86
extern const Kernels kernels__avx2;
extern const Kernels kernels__avx512;
extern const Kernels kernels__avx512vnni;
extern const Kernels kernels__avx512bf16;
extern const Int8Kernels int8_kernels__avx2;
extern const Int8Kernels int8_kernels__avx512vnni;
#endif
#if LCNET_ARM64
extern const Kernels kernels__neon;
extern const Kernels kernels__neon_dot;
extern const Int8Kernels int8_kernels__neon;
extern const Int8Kernels int8_kernels__neon_dot;
#endif

}  // namespace lcnet
