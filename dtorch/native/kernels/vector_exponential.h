// The exponential of vectors: methods and bounds are those of vector_math.h. Only for files in
// kernels/.
#pragma once

#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {

template <class T>
struct ExponentialParts;
template <>
struct ExponentialParts<float> {
  static constexpr float rounder = 12582912.0f, inverse = 1.44269504f;
  static constexpr float high = 0.693145752f, low = 1.42860677e-6f;
  static constexpr float least = -104.0f, most = 89.0f, least_normal = -87.0f;
  static constexpr int bias = 127, mantissa = 23;
};
template <>
struct ExponentialParts<double> {
  static constexpr double rounder = 6755399441055744.0, inverse = 1.4426950408889634;
  static constexpr double high = 6.93147180369123816490e-01, low = 1.90821492927058770002e-10;
  static constexpr double least = -746.0, most = 710.0, least_normal = -708.0;
  static constexpr int bias = 1023, mantissa = 52;
};

// `bound` where x is less; NaN stays.
template <class T>
DTORCH_INLINE Vector<T> at_least(Vector<T> bound, Vector<T> x) {
#if defined(__AVX512F__)  // the compiler takes two instructions
  if constexpr (sizeof(T) == 4) {
    return _mm512_mask_max_ps(x, __mmask16(-1), bound, x);
  } else {
    return _mm512_mask_max_pd(x, __mmask8(-1), bound, x);
  }
#else
  return x < bound ? bound : x;
#endif
}

// x = n ln 2 + r, and exp(r) - 1. The low bits of `shifted` are n.
template <class T>
struct Exponent {
  Vector<T> shifted, n, p;

  explicit Exponent(Vector<T> x) {
    using E = ExponentialParts<T>;
    shifted = x * E::inverse + E::rounder;
    n = shifted - E::rounder;
    p = exponential_minus_1_near_0<T>((x - n * E::high) - n * E::low);
  }
};

// 2^r - 1 for |r| <= 1/2: r times a polynomial fitted to the least largest error, 1e-7.
DTORCH_INLINE Vector<float> power_of_2_minus_1_near_0(Vector<float> r) {
  Vector<float> p = Vector<float>{} + 1.326472709e-3f;
  p = p * r + 9.671512862e-3f;
  p = p * r + 5.550733746e-2f;
  p = p * r + 2.402224208e-1f;
  p = p * r + 6.931469776e-1f;
  return p * r;
}

#if defined(__AVX512F__)

// p 2^n, rounded once: results that are no normal numbers need nothing more. With a mask, as GCC
// warns of its own header's plain form.
DTORCH_INLINE Vector<float> times_power_of_2(Vector<float> p, Vector<float> n) {
  return _mm512_mask_scalef_ps(p, __mmask16(-1), p, n);
}
DTORCH_INLINE Vector<double> times_power_of_2(Vector<double> p, Vector<double> n) {
  return _mm512_mask_scalef_pd(p, __mmask8(-1), p, n);
}

// exp(x) of x <= 0.
template <class T>
DTORCH_INLINE Vector<T> exponential_below(Vector<T> x) {
  const Exponent<T> found(at_least<T>(Vector<T>{} + ExponentialParts<T>::least, x));
  return times_power_of_2(found.p + T(1), found.n);
}

template <class T>
DTORCH_INLINE Vector<T> exponential(Vector<T> x) {
  const Vector<T> most = Vector<T>{} + ExponentialParts<T>::most;
  return exponential_below<T>(x > most ? most : x);
}

// 2^x of finite x <= 0.
DTORCH_INLINE Vector<float> power_of_2(Vector<float> x) {
  const Vector<float> n = (x + ExponentialParts<float>::rounder) - ExponentialParts<float>::rounder;
  return times_power_of_2(power_of_2_minus_1_near_0(x - n) + 1.0f, n);
}

#else

// 2^n, where n is in the low bits.
template <class T>
DTORCH_INLINE Vector<T> whole_power_of_2(Vector<T> low_bits) {
  using E = ExponentialParts<T>;
  return __builtin_bit_cast(Vector<T>, (__builtin_bit_cast(Whole<T>, low_bits) + E::bias)
                                           << E::mantissa);
}

// exp(x) of x <= 0; results that are no normal numbers become 0.
template <class T>
DTORCH_INLINE Vector<T> exponential_below(Vector<T> x) {
  const Exponent<T> found(x);
  const Vector<T> power = whole_power_of_2<T>(found.shifted);
  return x < ExponentialParts<T>::least_normal ? Vector<T>{} : found.p * power + power;
}

template <class T>
DTORCH_INLINE Vector<T> exponential(Vector<T> x) {
  using E = ExponentialParts<T>;
  const Vector<T> least = Vector<T>{} + E::least, most = Vector<T>{} + E::most;
  x = x < least ? least : x;
  x = x > most ? most : x;
  const Exponent<T> found(x);
  const Vector<T> half_shifted = found.n * T(0.5) + E::rounder;
  const Vector<T> rest_shifted = (found.n - (half_shifted - E::rounder)) + E::rounder;
  const Vector<T> power = whole_power_of_2<T>(half_shifted);
  return (found.p * power + power) * whole_power_of_2<T>(rest_shifted);
}

DTORCH_INLINE Vector<float> power_of_2(Vector<float> x) {
  const Vector<float> shifted = x + ExponentialParts<float>::rounder;
  const Vector<float> r = x - (shifted - ExponentialParts<float>::rounder);
  const Vector<float> power = whole_power_of_2<float>(shifted);
  return x < -126.0f ? Vector<float>{} : power_of_2_minus_1_near_0(r) * power + power;
}

#endif

}  // namespace dtorch::DTORCH_CAPABILITY
