#include "kernels/half.h"

#include "thread_pool.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t at_once = 1 << 14;  // elements for which a thread is worth its while

typedef std::uint32_t Bits __attribute__((may_alias));  // of float

}  // namespace

void widen(const std::uint16_t* in, float* out, std::size_t count) {
  parallel_for(0, count, at_once, [=](std::size_t begin, std::size_t end) {
    const std::uint16_t* from = in;  // a local one: `to` could overwrite the captured pointer
    Bits* to = reinterpret_cast<Bits*>(out);
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i) to[i] = static_cast<Bits>(from[i]) << 16;
  });
}

void narrow(const float* in, std::uint16_t* out, std::size_t count) {
  parallel_for(0, count, at_once, [=](std::size_t begin, std::size_t end) {
    const Bits* from = reinterpret_cast<const Bits*>(in);
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint32_t bits = from[i];
      const std::uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
      const std::uint32_t quiet = bits | 0x400000;  // rounding could make a NaN an infinity
      out[i] = static_cast<std::uint16_t>(((bits << 1) > 0xFF000000 ? quiet : rounded) >> 16);
    }
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
