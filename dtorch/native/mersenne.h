// Seeding of a Mersenne twister by other means than its own, which takes as long as a sample.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dtorch {

constexpr std::size_t mersenne_words = 624;

inline std::uint64_t mix64(std::uint64_t value) noexcept {
  value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
  value = (value ^ value >> 27) * 0x94D049BB133111EBu;
  return value ^ value >> 31;
}

// Fills a twister's words with the numbers of SplitMix64 (Steele et al. 2014), low half first.
inline void seed_mersenne(std::uint32_t* words, std::uint64_t seed) noexcept {
  // Seeds may be apart by what the numbers are apart: unmixed, one's would be the next one's.
  const std::uint64_t start = mix64(seed);
  for (std::size_t i = 0; i < mersenne_words / 2; ++i) {
    const std::uint64_t mixed = mix64(start + (i + 1) * 0x9E3779B97F4A7C15u);
    words[2 * i] = static_cast<std::uint32_t>(mixed);
    words[2 * i + 1] = static_cast<std::uint32_t>(mixed >> 32);
  }
}

}  // namespace dtorch
