// Vectors of the width of the capability a file is built for, and what is done with them. Only for
// files in kernels/. GCC's and Clang's vector extension: +, * and conversions work element by
// element, a * b + c is one instruction where the processor has it.
#pragma once

#include <cstddef>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

#if defined(__AVX512F__)
#define DTORCH_VECTOR_BYTES 64
#elif defined(__AVX__)
#define DTORCH_VECTOR_BYTES 32
#else
#define DTORCH_VECTOR_BYTES 16
#endif

template <class T>
struct VectorOf;
// Aligned as an element is: they are read and written at any place.
template <>
struct VectorOf<float> {
  typedef float type __attribute__((vector_size(DTORCH_VECTOR_BYTES), aligned(4), may_alias));
};
template <>
struct VectorOf<double> {
  typedef double type __attribute__((vector_size(DTORCH_VECTOR_BYTES), aligned(8), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
inline constexpr std::size_t lanes = DTORCH_VECTOR_BYTES / sizeof(T);
#if defined(__AVX512F__)
// Vectors of half the size, for what is left at the end of a row.
template <class T>
struct HalfVectorOf;
template <>
struct HalfVectorOf<float> {
  typedef float type __attribute__((vector_size(32), aligned(4), may_alias));
};
template <>
struct HalfVectorOf<double> {
  typedef double type __attribute__((vector_size(32), aligned(8), may_alias));
};
#endif

template <class T>
using Whole = decltype(Vector<T>{} < Vector<T>{});  // integers as wide as T

template <class T>
DTORCH_INLINE Vector<T> load(const T* at) {
  return *reinterpret_cast<const Vector<T>*>(at);
}
template <class T>
DTORCH_INLINE void store(T* at, Vector<T> value) {
  *reinterpret_cast<Vector<T>*>(at) = value;
}

// Elements first .. last of a vector.
template <class T, class Of = VectorOf<T>>
class Between {
 public:
  using V = typename Of::type;

  Between() : Between(0, 0) {}
  Between(std::ptrdiff_t first, std::ptrdiff_t last) {
    first = within(first);
    last = within(last);
#if defined(__AVX512F__)
    mask_ = ((1u << last) - 1u) & ~((1u << first) - 1u);
#elif defined(__AVX2__)
    for (std::ptrdiff_t i = 0; i < n; ++i) mask_[i] = first <= i && i < last ? -1 : 0;
#else
    first_ = first;
    last_ = last;
#endif
  }

  // Those of `outside` elsewhere; what is left out is not read.
  V load_or(const T* at, V outside) const {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(T) == 4) {
      return _mm512_mask_loadu_ps(outside, static_cast<__mmask16>(mask_), at);
    } else if constexpr (sizeof(V) == 64) {
      return _mm512_mask_loadu_pd(outside, static_cast<__mmask8>(mask_), at);
    } else if constexpr (sizeof(T) == 4) {
      return _mm256_mask_loadu_ps(outside, static_cast<__mmask8>(mask_), at);
    } else {
      return _mm256_mask_loadu_pd(outside, static_cast<__mmask8>(mask_), at);
    }
#elif defined(__AVX2__)
    const auto mask = reinterpret_cast<__m256i>(mask_);
    if constexpr (sizeof(T) == 4) {
      return mask_ ? V(_mm256_maskload_ps(at, mask)) : outside;
    } else {
      return mask_ ? V(_mm256_maskload_pd(at, mask)) : outside;
    }
#else
    if (first_ == 0 && last_ == n) return load(at);
    for (std::ptrdiff_t i = first_; i < last_; ++i) outside[i] = at[i];
    return outside;
#endif
  }

  V load_or_zero(const T* at) const { return load_or(at, V{}); }

  // What is left out is not written.
  void store(T* at, V value) const {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(T) == 4) {
      _mm512_mask_storeu_ps(at, static_cast<__mmask16>(mask_), value);
    } else if constexpr (sizeof(V) == 64) {
      _mm512_mask_storeu_pd(at, static_cast<__mmask8>(mask_), value);
    } else if constexpr (sizeof(T) == 4) {
      _mm256_mask_storeu_ps(at, static_cast<__mmask8>(mask_), value);
    } else {
      _mm256_mask_storeu_pd(at, static_cast<__mmask8>(mask_), value);
    }
#elif defined(__AVX2__)
    const auto mask = reinterpret_cast<__m256i>(mask_);
    if (_mm256_movemask_epi8(mask) == -1) {  // the next ones are slow on some processors
      *reinterpret_cast<V*>(at) = value;
    } else if constexpr (sizeof(T) == 4) {
      _mm256_maskstore_ps(at, mask, value);
    } else {
      _mm256_maskstore_pd(at, mask, value);
    }
#else
    for (std::ptrdiff_t i = first_; i < last_; ++i) at[i] = value[i];
#endif
  }

 private:
  static constexpr auto n = static_cast<std::ptrdiff_t>(sizeof(V) / sizeof(T));
  static std::ptrdiff_t within(std::ptrdiff_t place) {
    return place < 0 ? 0 : place > n ? n : place;
  }

#if defined(__AVX512F__)
  unsigned mask_;
#elif defined(__AVX2__)
  Whole<T> mask_;
#else
  std::ptrdiff_t first_, last_;
#endif
};

// Elements first .. last, zeros elsewhere.
template <class T>
DTORCH_INLINE Vector<T> load_between(const T* at, std::ptrdiff_t first, std::ptrdiff_t last) {
  if (first <= 0 && last >= static_cast<std::ptrdiff_t>(lanes<T>)) return load(at);
  return Between<T>(first, last).load_or_zero(at);
}

// The first `count` of a vector; the rest are those of `rest`, or are left alone.
template <class T>
DTORCH_INLINE Vector<T> load_some(const T* at, std::size_t count, Vector<T> rest = Vector<T>{}) {
  if (count >= lanes<T>) return load(at);
  return Between<T>(0, static_cast<std::ptrdiff_t>(count)).load_or(at, rest);
}
template <class T>
DTORCH_INLINE void store_some(T* at, Vector<T> value, std::size_t count) {
  if (count >= lanes<T>) return store(at, value);
#if defined(__AVX512F__)
  const auto mask = (1u << count) - 1u;
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(at, static_cast<__mmask16>(mask), value);
  } else {
    _mm512_mask_storeu_pd(at, static_cast<__mmask8>(mask), value);
  }
#else
  for (std::size_t i = 0; i < count; ++i) at[i] = value[i];
#endif
}

template <int First, class V, int... I>
DTORCH_INLINE V every_second(V a, V b, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, b, (First + 2 * I)...);
}
// Every second element of two vectors, from the first or the second on.
template <class V>
DTORCH_INLINE V even_elements(V a, V b) {
  return every_second<0>(
      a, b, std::make_integer_sequence<int, static_cast<int>(sizeof(V) / sizeof(a[0]))>());
}
template <class V>
DTORCH_INLINE V odd_elements(V a, V b) {
  return every_second<1>(
      a, b, std::make_integer_sequence<int, static_cast<int>(sizeof(V) / sizeof(a[0]))>());
}

template <int First, class V, int... I>
DTORCH_INLINE V in_turns(V a, V b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (I % 2 * n + (First + I) / 2)...);
}
// The reverse: a has the even, b the odd elements of two vectors, which they become.
template <class V>
DTORCH_INLINE void interleave(V& a, V& b) {
  constexpr int n = sizeof(V) / sizeof(a[0]);
  const V low = in_turns<0>(a, b, std::make_integer_sequence<int, n>());
  b = in_turns<n>(a, b, std::make_integer_sequence<int, n>());
  a = low;
}

DTORCH_INLINE Vector<float> magnitude(Vector<float> x) {
  return __builtin_bit_cast(Vector<float>, __builtin_bit_cast(Whole<float>, x) & 0x7fffffff);
}

template <class T, std::size_t Step, int... I>
DTORCH_INLINE Vector<T> across(Vector<T> a, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(a, a, (I ^ static_cast<int>(Step))...);
}
// f of all elements of a vector: of halves, then of their halves, and so on.
template <class T, std::size_t Step = lanes<T> / 2, class F>
DTORCH_INLINE T fold(Vector<T> a, F f) {
  constexpr auto elements = std::make_integer_sequence<int, static_cast<int>(lanes<T>)>();
  a = f(a, across<T, Step>(a, elements));
  if constexpr (Step == 1) {
    return a[0];
  } else {
    return fold<T, Step / 2>(a, f);
  }
}

template <std::size_t Step, class V, int... I>
DTORCH_INLINE void exchange(V& a, V& b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I), step = Step;
  const V low = __builtin_shufflevector(a, b, (I & step ? n + I - step : I)...);
  const V high = __builtin_shufflevector(a, b, (I & step ? n + I : I + step)...);
  a = low;
  b = high;
}

// Transposes a square of vectors in place: blocks of 1, 2, 4, ... change places across the
// diagonal.
template <class T, std::size_t Step = 1>
DTORCH_INLINE void transpose(Vector<T>* rows) {
  if constexpr (Step < lanes<T>) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < lanes<T>; ++i) {
      if ((i & Step) == 0) {
        exchange<Step>(rows[i], rows[i + Step],
                       std::make_integer_sequence<int, static_cast<int>(lanes<T>)>());
      }
    }
    transpose<T, Step * 2>(rows);
  }
}

// Transposes a block of memory: out[j * out_step + i] = in[i * in_step + j] for i < rows and
// j < columns; i from `rows` up to a whole number of vectors gives zeros.
template <class T>
DTORCH_INLINE void transpose_into(const T* in, std::size_t in_step, std::size_t rows,
                                  std::size_t columns, T* out, std::size_t out_step) {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t i = 0; i < rows; i += n) {
    for (std::size_t j = 0; j < columns; j += n) {
      Vector<T> block[n];
      const std::size_t wide = columns - j < n ? columns - j : n;
      const std::size_t high = rows - i < n ? rows - i : n;
      const T* from = in + i * in_step + j;
      T* to = out + j * out_step + i;
      if (wide == n && high == n) {
#pragma GCC unroll 16
        for (std::size_t k = 0; k < n; ++k) block[k] = load(from + k * in_step);
        transpose<T>(block);
#pragma GCC unroll 16
        for (std::size_t k = 0; k < n; ++k) store(to + k * out_step, block[k]);
      } else {
        for (std::size_t k = 0; k < n; ++k) {
          block[k] = k < high ? load_some(from + k * in_step, wide) : Vector<T>{};
        }
        transpose<T>(block);
        for (std::size_t k = 0; k < wide; ++k) store(to + k * out_step, block[k]);
      }
    }
  }
}

}  // namespace dtorch::DTORCH_CAPABILITY
