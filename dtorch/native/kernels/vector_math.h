// Elementary functions as plain arithmetic without branches, so that the compiler vectorises the
// loops that call them. Only for files in kernels/ (namespace of the capability they are built
// for).
#pragma once

#include <cstdint>

namespace dtorch::DTORCH_CAPABILITY {

#define DTORCH_INLINE [[gnu::always_inline]] static inline

// exp(x) = 2^n exp(r), r = x - n ln 2, |r| <= ln(2) / 2, with ln 2 split in two so that r is exact.
//
// Adding 1.5 * 2^23 (2^52) rounds to an integer and leaves it in the low bits of the sum. 2^n is
// applied as 2^m 2^(n-m), as neither 2^128 nor a denormal result is one power with a finite
// exponent. exp(r) - 1 - r is r^2 times a polynomial that interpolates (exp(r) - 1 - r) / r^2 at
// Chebyshev nodes: relative error of exp(r) 1e-8 (float, degree 4) and 2e-17 (double, degree 9).
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
  float p = 1.392621347e-3f;
  p = p * r + 8.363202972e-3f;
  p = p * r + 4.166655444e-2f;
  p = p * r + 1.666657685e-1f;
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
  double p = 2.51004241570050668e-8;
  p = p * r + 2.76201387197339956e-7;
  p = p * r + 2.75572683786841929e-6;
  p = p * r + 2.48015211902177277e-5;
  p = p * r + 1.98412698631059687e-4;
  p = p * r + 1.38888889172817933e-3;
  p = p * r + 8.33333333333005135e-3;
  p = p * r + 4.16666666666239915e-2;
  p = p * r + 1.66666666666666675e-1;
  p = p * r + 0.500000000000000103;
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
