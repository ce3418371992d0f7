// Which instruction set this process runs the kernels with.
#pragma once

#include <string_view>
#include <vector>

#if defined(__x86_64__)
#define DTORCH_X86 1
#else
#define DTORCH_X86 0
#endif

namespace dtorch {

enum class Capability { baseline, avx2, avx512 };

// The best one the processor has, unless DTORCH_CPU_CAPABILITY names another.
// Throws std::runtime_error when that name is unknown or the processor lacks it.
Capability capability();

// Those that the processor and the operating system have, the best one last.
std::vector<Capability> capabilities();

// Whether that is AVX-512 and the processor has the instructions AVX512_BF16 besides.
bool has_bfloat16_products();

std::string_view name(Capability capability);

}  // namespace dtorch
