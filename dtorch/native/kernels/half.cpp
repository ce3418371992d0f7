#include "kernels/half.h"

#include "kernels/vector_math.h"
#include "thread_pool.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t at_once = 1 << 14;  // elements for which a thread is worth its while

typedef std::uint32_t Bits __attribute__((may_alias));  // of float

DTORCH_INLINE Bits bits_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
DTORCH_INLINE float number_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

struct Bfloat16 {
  DTORCH_INLINE Bits widened(std::uint32_t half) { return half << 16; }

  DTORCH_INLINE std::uint32_t narrowed(std::uint32_t bits) {
    const std::uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    const std::uint32_t quiet = bits | 0x400000;  // rounding could make a NaN an infinity
    return ((bits << 1) > 0xFF000000 ? quiet : rounded) >> 16;
  }
};

// 5 bits of exponent, 10 of fraction.
struct Float16 {
  static constexpr std::uint32_t infinity = 0x7F800000;  // of float

  DTORCH_INLINE Bits widened(std::uint32_t half) {
    // Read as a float the number is 2^112 times too small, if not infinite or NaN.
    const std::uint32_t moved = (half & 0x7FFF) << 13;
    const std::uint32_t value = bits_of(number_of(moved) * 0x1p112f);
    const std::uint32_t magnitude = moved >= 0x0F800000 ? moved | infinity : value;
    return magnitude | (half & 0x8000) << 16;
  }

  DTORCH_INLINE std::uint32_t narrowed(std::uint32_t bits) {
    const std::uint32_t magnitude = bits & 0x7FFFFFFF;
    const std::uint32_t rounded = magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1);
    // Below 2^-14 the steps are 2^-24: those of the numbers from 0.5 on.
    const std::uint32_t small = bits_of(number_of(magnitude) + 0.5f) - 0x3F000000;
    std::uint32_t half = magnitude < (113u << 23) ? small : rounded >> 13;
    half = magnitude >= (143u << 23) ? 0x7C00 : half;  // 2^16, and what rounds to it does so above
    half = magnitude > infinity ? 0x7E00 : half;
    return half | (bits >> 16 & 0x8000);
  }
};

template <class Format>
void widen(const std::uint16_t* in, float* out, std::size_t count) {
  parallel_for(0, count, at_once, [=](std::size_t begin, std::size_t end) {
    const std::uint16_t* from = in;  // a local one: `to` could overwrite the captured pointer
    Bits* to = reinterpret_cast<Bits*>(out);
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i) to[i] = Format::widened(from[i]);
  });
}

template <class Format>
void narrow(const float* in, std::uint16_t* out, std::size_t count) {
  parallel_for(0, count, at_once, [=](std::size_t begin, std::size_t end) {
    const Bits* from = reinterpret_cast<const Bits*>(in);
#pragma omp simd
    for (std::size_t i = begin; i < end; ++i) {
      out[i] = static_cast<std::uint16_t>(Format::narrowed(from[i]));
    }
  });
}

}  // namespace

void widen_bfloat16(const std::uint16_t* in, float* out, std::size_t count) {
  widen<Bfloat16>(in, out, count);
}
void widen_float16(const std::uint16_t* in, float* out, std::size_t count) {
  widen<Float16>(in, out, count);
}
void narrow_bfloat16(const float* in, std::uint16_t* out, std::size_t count) {
  narrow<Bfloat16>(in, out, count);
}
void narrow_float16(const float* in, std::uint16_t* out, std::size_t count) {
  narrow<Float16>(in, out, count);
}

}  // namespace dtorch::DTORCH_CAPABILITY
