// Seeding of a Mersenne twister by other means than its own, which takes as long as a sample.
#pragma once

#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  // Fills a twister's 624 words with the numbers of SplitMix64 (Steele et al. 2014), low half first,
  // and says that all were used, so that it makes new ones before it gives the first number.
  void seed_mersenne(std::uint32_t* words, std::int32_t* position, std::uint64_t seed);
)
