// Elementary functions as plain arithmetic without branches, so that the compiler vectorises the
// loops that call them. Only for files in kernels/ (namespace of the capability they are built for).
#pragma once

#include <cstdint>

namespace dtorch::DTORCH_CAPABILITY {

#define DTORCH_INLINE [[gnu::always_inline]] static inline

// exp(x) = 2^n exp(r), r = x - n ln 2, |r| <= ln(2) / 2, with ln 2 split in two so that r is exact.
//
// Adding 1.5 * 2^23 (2^52) rounds to an integer and leaves it in the low bits of the sum. 2^n is
// applied as 2^m 2^(n-m), as neither 2^128 nor a denormal result is one power with a finite
// exponent. Errors against the true value, over the whole range: below 1 ulp in the normal range.
// NaN gives NaN, -inf gives 0, what is too large gives inf: the bounds let the products do that.
DTORCH_INLINE float exponential(float x) {
  constexpr float rounder = 12582912.0f;
  x = x < -104.0f ? -104.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  const float half_shifted = n * 0.5f + rounder;
  const float half = half_shifted - rounder;
  const float rest_shifted = (n - half) + rounder;
  const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  float p = 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * (r * r) + r;
  const auto power = [](float low_bits) {
    const auto bits = __builtin_bit_cast(std::uint32_t, low_bits);
    return __builtin_bit_cast(float, (bits + 127u) << 23);
  };
  const float scale = power(half_shifted);
  return (p * scale + scale) * power(rest_shifted);
}

DTORCH_INLINE double exponential(double x) {
  constexpr double rounder = 6755399441055744.0;
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double shifted = x * 1.4426950408889634 + rounder;
  const double n = shifted - rounder;
  const double half_shifted = n * 0.5 + rounder;
  const double half = half_shifted - rounder;
  const double rest_shifted = (n - half) + rounder;
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * (r * r) + r;
  const auto power = [](double low_bits) {
    const auto bits = __builtin_bit_cast(std::uint64_t, low_bits);
    return __builtin_bit_cast(double, (bits + 1023u) << 52);
  };
  const double scale = power(half_shifted);
  return (p * scale + scale) * power(rest_shifted);
}

DTORCH_INLINE float natural_log(float x) { return __builtin_logf(x); }
DTORCH_INLINE double natural_log(double x) { return __builtin_log(x); }

}  // namespace dtorch::DTORCH_CAPABILITY
