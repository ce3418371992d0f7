// Elementary functions as plain arithmetic without branches, so that the compiler vectorises the
// loops that call them. Only for files in kernels/ (namespace of the capability they are built
// for).
#pragma once

#include <cstdint>

namespace dtorch::DTORCH_CAPABILITY {

#define DTORCH_INLINE [[gnu::always_inline]] static inline

// exp(r) - 1 for |r| <= ln(2) / 2: r + r^2 times a polynomial that interpolates (exp(r) - 1 - r) /
// r^2 at Chebyshev nodes. Relative error of exp(r) 1e-8 (float, degree 4) and 2e-17 (double, degree
// 9).
// V is T or a vector of them.
template <class T, class V = T>
DTORCH_INLINE V exponential_minus_1_near_0(V r) {
  V p = V{};
  if constexpr (sizeof(T) == 4) {
    p = p + 1.392621347e-3f;
    p = p * r + 8.363202972e-3f;
    p = p * r + 4.166655444e-2f;
    p = p * r + 1.666657685e-1f;
    p = p * r + 0.5f;
  } else {
    p = p + 2.51004241570050668e-8;
    p = p * r + 2.76201387197339956e-7;
    p = p * r + 2.75572683786841929e-6;
    p = p * r + 2.48015211902177277e-5;
    p = p * r + 1.98412698631059687e-4;
    p = p * r + 1.38888889172817933e-3;
    p = p * r + 8.33333333333005135e-3;
    p = p * r + 4.16666666666239915e-2;
    p = p * r + 1.66666666666666675e-1;
    p = p * r + 0.500000000000000103;
  }
  return p * (r * r) + r;
}

// exp(x) = 2^n exp(r), r = x - n ln 2, |r| <= ln(2) / 2, with ln 2 split in two so that r is exact.
//
// Adding 1.5 * 2^23 (2^52) rounds to an integer and leaves it in the low bits of the sum. 2^n is
// applied as 2^m 2^(n-m), as neither 2^128 nor a denormal result is one power with a finite
// exponent. NaN gives NaN, -inf gives 0, what is too large gives inf: the bounds let the products
// do that.
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
  const float p = exponential_minus_1_near_0<float>(r);
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
  const double p = exponential_minus_1_near_0<double>(r);
  const auto power = [](double low_bits) {
    const auto bits = __builtin_bit_cast(std::uint64_t, low_bits);
    return __builtin_bit_cast(double, (bits + 1023u) << 52);
  };
  const double scale = power(half_shifted);
  return (p * scale + scale) * power(rest_shifted);
}

// exp(x) - 1. Away from 0 the difference is exact enough.
DTORCH_INLINE float exponential_minus_1(float x) {
  const float near = exponential_minus_1_near_0<float>(x), far = exponential(x) - 1.0f;
  return x * x < 0.12f ? near : far;
}
DTORCH_INLINE double exponential_minus_1(double x) {
  const double near = exponential_minus_1_near_0<double>(x), far = exponential(x) - 1.0;
  return x * x < 0.12 ? near : far;
}

// log(1 + x) for x from 0 to 1: the series of 2 atanh(x / (2 + x)), whose argument is at most 1/3.
template <class T>
DTORCH_INLINE T log_of_1_plus(T x) {
  constexpr int terms = sizeof(T) == 4 ? 7 : 17;
  const T s = x / (x + T(2)), z = s * s;
  T p = T(1) / T(2 * terms + 1);
#pragma GCC unroll 17
  for (int i = terms - 1; i >= 0; --i) p = p * z + T(1) / T(2 * i + 1);
  return T(2) * s * p;
}

DTORCH_INLINE float natural_log(float x) { return __builtin_logf(x); }
DTORCH_INLINE double natural_log(double x) { return __builtin_log(x); }

DTORCH_INLINE float magnitude(float x) { return __builtin_fabsf(x); }
DTORCH_INLINE double magnitude(double x) { return __builtin_fabs(x); }

// Near 0 an odd polynomial (Moshier's Cephes library, tanhf.c), elsewhere from the exponential.
DTORCH_INLINE float hyperbolic_tangent(float x) {
  const float size = magnitude(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = 1.0f - 2.0f / (exponential(2.0f * size) + 1.0f);
  return size < 0.625f ? near : __builtin_copysignf(far, x);
}

DTORCH_INLINE double hyperbolic_tangent(double x) {
  const double m = exponential_minus_1(-2.0 * magnitude(x));
  return __builtin_copysign(-m / (m + 2.0), x);
}

DTORCH_INLINE float logistic(float x) { return 1.0f / (1.0f + exponential(-x)); }

// Error function. Below 1 an odd polynomial, above 1 - exp(q(|x|)) with a polynomial for the
// logarithm of the rest, both fitted to the least largest error: 1.3e-7.
DTORCH_INLINE float error_function(float x) {
  const float size = magnitude(x), z = x * x;
  float p = -5.6601514e-4f;
  p = p * z + 4.9247886e-3f;
  p = p * z - 2.6717706e-2f;
  p = p * z + 1.12804115e-1f;
  p = p * z - 3.7612355e-1f;
  p = p * z + 1.1283791f;
  const float t = size > 4.0f ? 4.0f : size;
  float q = -2.1445592e-5f;
  q = q * t + 4.3853023e-4f;
  q = q * t - 4.190857e-3f;
  q = q * t + 2.5171813e-2f;
  q = q * t - 1.0836156e-1f;
  q = q * t - 6.332724e-1f;
  q = q * t - 1.129552f;
  q = q * t + 1.8246051e-4f;
  const float far = __builtin_copysignf(1.0f - exponential(q), x);
  const float found = size < 1.0f ? p * x : far;
  return x != x ? x : found;
}

}  // namespace dtorch::DTORCH_CAPABILITY
