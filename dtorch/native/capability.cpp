#include "capability.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace dtorch {
namespace {

constexpr Capability all[] = {Capability::baseline, Capability::avx2, Capability::avx512};

bool supported(Capability capability) {
#if DTORCH_X86
  // The features of x86-64-v3 and v4 that the compiler uses in kernels.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  switch (capability) {
    case Capability::baseline:
      return true;
    case Capability::avx2:
      return avx2;
    case Capability::avx512:
      return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
  }
  return false;
#else
  return capability == Capability::baseline;
#endif
}

Capability choose() {
  const char* wanted = std::getenv("DTORCH_CPU_CAPABILITY");
  Capability best = Capability::baseline;
  for (Capability candidate : all) {
    if (wanted != nullptr && name(candidate) == wanted) {
      if (supported(candidate)) return candidate;
      throw std::runtime_error(std::string("DTORCH_CPU_CAPABILITY is '") + wanted +
                               "', but this processor does not have these instructions");
    }
    if (supported(candidate)) best = candidate;
  }
  if (wanted != nullptr && *wanted != '\0') {
    throw std::runtime_error(std::string("DTORCH_CPU_CAPABILITY is '") + wanted +
                             "', expected baseline, avx2 or avx512");
  }
  return best;
}

}  // namespace

Capability capability() {
  static const Capability chosen = choose();
  return chosen;
}

bool has_bfloat16_products() {
#if DTORCH_X86
  static const bool found =
      capability() == Capability::avx512 && __builtin_cpu_supports("avx512bf16");
  return found;
#else
  return false;
#endif
}

std::string_view name(Capability capability) {
  switch (capability) {
    case Capability::baseline:
      return "baseline";
    case Capability::avx2:
      return "avx2";
    case Capability::avx512:
      return "avx512";
  }
  return "unknown";
}

}  // namespace dtorch
