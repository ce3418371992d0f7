#include "kernels/mersenne.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr int word_count = 624;

inline std::uint64_t mix64(std::uint64_t value) {
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

}  // namespace

void seed_mersenne(std::uint32_t* words, std::int32_t* position, std::uint64_t seed) {
  // Seeds may be apart by what the numbers are apart: unmixed, one's would be the next one's.
  const std::uint64_t start = mix64(seed);
#pragma omp simd
  for (int i = 0; i < word_count / 2; ++i) {
    const std::uint64_t mixed = mix64(start + (i + 1) * 0x9E3779B97F4A7C15u);
    words[2 * i] = static_cast<std::uint32_t>(mixed);
    words[2 * i + 1] = static_cast<std::uint32_t>(mixed >> 32);
  }
  *position = word_count;
}

}  // namespace dtorch::DTORCH_CAPABILITY
