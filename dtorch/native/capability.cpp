#include "capability.h"

#if DTORCH_X86
#include <cpuid.h>
#endif

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace dtorch {
namespace {

constexpr Capability all[] = {Capability::baseline, Capability::avx2, Capability::avx512};

#if DTORCH_X86

// Bits of the registers in which a processor says what it has; the manufacturers' manuals number
// them.
struct Features {
  std::uint32_t basic = 0, extended = 0, amd = 0, more = 0;  // leaf 1, 7, 0x80000001, 7.1
  std::uint64_t saved = 0;  // registers that the operating system keeps when threads change
};

Features read_features() {
  Features found;
  std::uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d)) found.basic = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    found.extended = b;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) found.more = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d)) found.amd = c;
  if (found.basic >> 27 & 1) {  // OSXSAVE: the next instruction is there
    std::uint32_t low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    found.saved = std::uint64_t{high} << 32 | low;
  }
  return found;
}

const Features& features() {
  static const Features found = read_features();
  return found;
}

constexpr std::uint64_t bits(std::initializer_list<int> numbers) {
  std::uint64_t made = 0;
  for (int number : numbers) made |= std::uint64_t{1} << number;
  return made;
}

constexpr bool has(std::uint64_t found, std::uint64_t wanted) { return (found & wanted) == wanted; }

// All that the compiler may use for x86-64-v3.
bool has_avx2() {
  const Features& f = features();
  // SSE3, SSSE3, FMA, CX16, SSE4.1, SSE4.2, MOVBE, POPCNT, OSXSAVE, AVX, F16C
  return has(f.basic, bits({0, 9, 12, 13, 19, 20, 22, 23, 27, 28, 29})) &&
         has(f.extended, bits({3, 5, 8})) &&  // BMI1, AVX2, BMI2
         has(f.amd, bits({0, 5})) &&          // LAHF and SAHF, LZCNT
         has(f.saved, bits({1, 2}));          // vectors of 16 and of 32 bytes
}

// And for x86-64-v4.
bool has_avx512() {
  const Features& f = features();
  // AVX-512 F, DQ, CD, BW, VL; masks, the halves of vectors of 64 bytes, the vectors beyond 16
  return has_avx2() && has(f.extended, bits({16, 17, 28, 30, 31})) && has(f.saved, bits({5, 6, 7}));
}

#endif

bool supported(Capability capability) {
#if DTORCH_X86
  switch (capability) {
    case Capability::baseline:
      return true;
    case Capability::avx2:
      return has_avx2();
    case Capability::avx512:
      return has_avx512();
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

std::vector<Capability> capabilities() {
  std::vector<Capability> found;
  for (Capability candidate : all) {
    if (supported(candidate)) found.push_back(candidate);
  }
  return found;
}

bool has_bfloat16_products() {
#if DTORCH_X86
  return capability() == Capability::avx512 && has(features().more, bits({5}));
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
