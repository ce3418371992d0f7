// Random words from counters: Philox4x32-10 of Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3". Only for files in kernels/.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

// The four words of one counter.
struct Words {
  std::uint32_t at[4];
};

DTORCH_INLINE Words philox(Words counter, std::uint32_t low_key, std::uint32_t high_key) {
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.at[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.at[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.at[1] ^ low_key,
                static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter.at[3] ^ high_key,
                static_cast<std::uint32_t>(a)}};
    low_key += 0x9E3779B9u;
    high_key += 0xBB67AE85u;
  }
  return counter;
}

}  // namespace dtorch::DTORCH_CAPABILITY
