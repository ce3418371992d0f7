#include "kernels/elementwise.h"

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {

namespace {

// Each operation once: a type with a static function on one element (or pair of elements).
#define DTORCH_BINARY(name, expression)                      \
  struct name {                                              \
    template <class T>                                       \
    [[gnu::always_inline]] static inline auto of(T a, T b) { \
      return expression;                                     \
    }                                                        \
  };
DTORCH_BINARY(Add, static_cast<T>(a + b))
DTORCH_BINARY(Sub, static_cast<T>(a - b))
DTORCH_BINARY(Mul, static_cast<T>(a* b))
DTORCH_BINARY(Div, static_cast<T>(a / b))
DTORCH_BINARY(Maximum, static_cast<T>((a > b || a != a) ? a : b))
DTORCH_BINARY(Minimum, static_cast<T>((a < b || a != a) ? a : b))
DTORCH_BINARY(WherePositive, (b <= T(0) ? T(0) : a))
DTORCH_BINARY(Eq, static_cast<std::uint8_t>(a == b))
DTORCH_BINARY(Ne, static_cast<std::uint8_t>(a != b))
DTORCH_BINARY(Lt, static_cast<std::uint8_t>(a < b))
DTORCH_BINARY(Le, static_cast<std::uint8_t>(a <= b))
DTORCH_BINARY(Gt, static_cast<std::uint8_t>(a > b))
DTORCH_BINARY(Ge, static_cast<std::uint8_t>(a >= b))
#undef DTORCH_BINARY

// Integers wrap; signed overflow is undefined in C++, unsigned is not.
struct WrapAdd {
  [[gnu::always_inline]] static inline std::int64_t of(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
};
struct WrapSub {
  [[gnu::always_inline]] static inline std::int64_t of(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  }
};
struct WrapMul {
  [[gnu::always_inline]] static inline std::int64_t of(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  }
};

DTORCH_INLINE float copied_sign(float size, float sign) { return __builtin_copysignf(size, sign); }
DTORCH_INLINE double copied_sign(double size, double sign) {
  return __builtin_copysign(size, sign);
}
DTORCH_INLINE float floor_of(float x) { return __builtin_floorf(x); }
DTORCH_INLINE double floor_of(double x) { return __builtin_floor(x); }

template <class T, class F>
void binary(const void* a_data, const void* b_data, void* out_data, std::size_t n, int a_step,
            int b_step) {
  using R = decltype(F::of(T{}, T{}));
  const T* a = static_cast<const T*>(a_data);
  const T* b = static_cast<const T*>(b_data);
  R* out = static_cast<R*>(out_data);
  if (a_step && b_step) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = F::of(a[i], b[i]);
  } else if (a_step) {
    const T other = *b;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = F::of(a[i], other);
  } else if (b_step) {
    const T other = *a;
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = F::of(other, b[i]);
  } else {
    const R value = F::of(*a, *b);
    for (std::size_t i = 0; i < n; ++i) out[i] = value;
  }
}

DTORCH_INLINE float fmod_of(float a, float b) { return __builtin_fmodf(a, b); }
DTORCH_INLINE double fmod_of(double a, double b) { return __builtin_fmod(a, b); }

// What is left of a division that was rounded towards 0.
#if defined(__FMA__)
DTORCH_INLINE float whole(float x) { return __builtin_truncf(x); }
DTORCH_INLINE double whole(double x) { return __builtin_trunc(x); }
DTORCH_INLINE float less_product(float a, float q, float b) { return __builtin_fmaf(-q, b, a); }
DTORCH_INLINE double less_product(double a, double q, double b) { return __builtin_fma(-q, b, a); }

// fmod of up to `at_once` pairs. a - q b is exact, and the rounded quotient q at most one too
// large, as long as the quotient is so small that floats have its fractions.
template <class T>
void fmod_some(const T* a, const T* b, T* out, std::size_t n, int a_step, int b_step) {
  constexpr T most = sizeof(T) == 4 ? T(1 << 22) : T(1ull << 51);
  int others = 0;
#pragma omp simd reduction(| : others)
  for (std::size_t i = 0; i < n; ++i) {
    const T x = a[a_step ? i : 0], y = b[b_step ? i : 0];
    const T q = whole(x / y), size = magnitude(y);
    T rest = less_product(x, q, y);
    rest = (x < T(0) ? -rest : rest) < T(0) ? rest + (x < T(0) ? -size : size) : rest;
    out[i] = copied_sign(q == T(0) ? magnitude(x) : magnitude(rest), x);
    others |= !(magnitude(q) < most);
  }
  if (!others) return;
  for (std::size_t i = 0; i < n; ++i) out[i] = fmod_of(a[a_step ? i : 0], b[b_step ? i : 0]);
}
#else
template <class T>
void fmod_some(const T* a, const T* b, T* out, std::size_t n, int a_step, int b_step) {
  for (std::size_t i = 0; i < n; ++i) out[i] = fmod_of(a[a_step ? i : 0], b[b_step ? i : 0]);
}
#endif

// of(rest, a, b) from the remainder of fmod, or the remainder itself.
struct Fmod {
  template <class T>
  [[gnu::always_inline]] static inline T of(T rest, T, T) {
    return rest;
  }
};
struct Remainder {
  template <class T>
  [[gnu::always_inline]] static inline T of(T rest, T, T b) {
    const T moved = (b < T(0)) != (rest < T(0)) ? rest + b : rest;
    return rest == T(0) ? copied_sign(T(0), b) : moved;
  }
};
struct FloorDivide {
  template <class T>
  [[gnu::always_inline]] static inline T of(T rest, T a, T b) {
    T quotient = (a - rest) / b;
    quotient = rest != T(0) && (b < T(0)) != (rest < T(0)) ? quotient - T(1) : quotient;
    const T below = floor_of(quotient);
    const T nearest = quotient - below > T(0.5) ? below + T(1) : below;
    return b == T(0) ? a / b : quotient == T(0) ? copied_sign(T(0), a / b) : nearest;
  }
};

template <class T, class F>
void division(const void* a_data, const void* b_data, void* out_data, std::size_t n, int a_step,
              int b_step) {
  constexpr std::size_t at_once = 256;
  const T* a = static_cast<const T*>(a_data);
  const T* b = static_cast<const T*>(b_data);
  T* out = static_cast<T*>(out_data);
  for (std::size_t i = 0; i < n; i += at_once) {
    const std::size_t some = n - i < at_once ? n - i : at_once;
    const T* x = a + (a_step ? i : 0);
    const T* y = b + (b_step ? i : 0);
    T rest[at_once];  // `out` may be one of the operands
    fmod_some(x, y, rest, some, a_step, b_step);
#pragma omp simd
    for (std::size_t k = 0; k < some; ++k) {
      out[i + k] = F::of(rest[k], x[a_step ? k : 0], y[b_step ? k : 0]);
    }
  }
}

DTORCH_INLINE float root(float x) { return __builtin_sqrtf(x); }
DTORCH_INLINE double root(double x) { return __builtin_sqrt(x); }

#define DTORCH_UNARY(name, expression)               \
  struct name {                                      \
    template <class T>                               \
    [[gnu::always_inline]] static inline T of(T x) { \
      return expression;                             \
    }                                                \
  };
DTORCH_UNARY(Neg, -x)
DTORCH_UNARY(Abs, magnitude(x))
DTORCH_UNARY(Square, x* x)
DTORCH_UNARY(Sqrt, root(x))
DTORCH_UNARY(Exp, exponential(x))
DTORCH_UNARY(Tanh, hyperbolic_tangent(x))
DTORCH_UNARY(Sigmoid, T(1) / (T(1) + exponential(-x)))
DTORCH_UNARY(Relu, x < T(0) ? T(0) : x)
DTORCH_UNARY(Reciprocal, T(1) / x)
DTORCH_UNARY(Sign, T(x > T(0)) - T(x < T(0)))
DTORCH_UNARY(Rsqrt, T(1) / root(x))
DTORCH_UNARY(Erf, error_function(x))
#undef DTORCH_UNARY

template <class T, class F>
void unary(const void* input_data, void* out_data, std::size_t n) {
  const T* input = static_cast<const T*>(input_data);
  T* out = static_cast<T*>(out_data);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = F::of(input[i]);
}

// An activation with the default parameters.
template <class T, Activation f>
void activation(const void* input, void* out, std::size_t n) {
  const ActivationParameters parameters = {0, 6, 0};  // of relu6, the others have none
  activate(f, parameters, static_cast<const T*>(input), static_cast<T*>(out), n);
}

template <class T>
BinaryLoop common_binary(Binary op) {
  switch (op) {
    case Binary::add:
      return binary<T, Add>;
    case Binary::sub:
      return binary<T, Sub>;
    case Binary::mul:
      return binary<T, Mul>;
    case Binary::div:
      return binary<T, Div>;
    case Binary::maximum:
      return binary<T, Maximum>;
    case Binary::minimum:
      return binary<T, Minimum>;
    case Binary::where_positive:
      return binary<T, WherePositive>;
    case Binary::eq:
      return binary<T, Eq>;
    case Binary::ne:
      return binary<T, Ne>;
    case Binary::lt:
      return binary<T, Lt>;
    case Binary::le:
      return binary<T, Le>;
    case Binary::gt:
      return binary<T, Gt>;
    case Binary::ge:
      return binary<T, Ge>;
    default:
      return nullptr;
  }
}

template <class T>
BinaryLoop floating_binary(Binary op) {
  switch (op) {
    case Binary::fmod:
      return division<T, Fmod>;
    case Binary::remainder:
      return division<T, Remainder>;
    case Binary::floor_divide:
      return division<T, FloorDivide>;
    default:
      return common_binary<T>(op);
  }
}

BinaryLoop integer_binary(Binary op) {
  using T = std::int64_t;
  switch (op) {
    case Binary::add:
      return binary<T, WrapAdd>;
    case Binary::sub:
      return binary<T, WrapSub>;
    case Binary::mul:
      return binary<T, WrapMul>;
    case Binary::div:
      return nullptr;  // gives a floating result
    default:
      return common_binary<T>(op);
  }
}

template <class T>
UnaryLoop floating_unary(Unary op) {
  switch (op) {
    case Unary::neg:
      return unary<T, Neg>;
    case Unary::abs:
      return unary<T, Abs>;
    case Unary::square:
      return unary<T, Square>;
    case Unary::sqrt:
      return unary<T, Sqrt>;
    case Unary::exp:
      return unary<T, Exp>;
    case Unary::tanh:
      return unary<T, Tanh>;
    case Unary::sigmoid:
      return unary<T, Sigmoid>;
    case Unary::relu:
      return unary<T, Relu>;
    case Unary::reciprocal:
      return unary<T, Reciprocal>;
    case Unary::hardsigmoid:
      return activation<T, Activation::hardsigmoid>;
    case Unary::hardswish:
      return activation<T, Activation::hardswish>;
    case Unary::logsigmoid:
      return activation<T, Activation::logsigmoid>;
    case Unary::mish:
      return activation<T, Activation::mish>;
    case Unary::relu6:
      return activation<T, Activation::hardtanh>;
    case Unary::silu:
      return activation<T, Activation::silu>;
    case Unary::sign:
      return unary<T, Sign>;
    case Unary::rsqrt:
      return unary<T, Rsqrt>;
    default:
      return nullptr;
  }
}

// By bits, which is vectorised, as a choice between elements in memory is not. T is unsigned.
template <class T>
DTORCH_INLINE T chosen(bool condition, T a, T b) {
  const T mask = static_cast<T>(T(0) - static_cast<T>(condition));
  return static_cast<T>((a & mask) | (b & static_cast<T>(~mask)));
}

template <class T>
void choose(const bool* condition, const void* a_data, const void* b_data, void* out_data,
            std::size_t n, int a_step, int b_step) {
  const T* a = static_cast<const T*>(a_data);
  const T* b = static_cast<const T*>(b_data);
  const T value = *a, other = *b;
  T* out = static_cast<T*>(out_data);
  if (a_step && b_step) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = chosen(condition[i], a[i], b[i]);
  } else if (a_step) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = chosen(condition[i], a[i], other);
  } else if (b_step) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = chosen(condition[i], value, b[i]);
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = chosen(condition[i], value, other);
  }
}

// Many running sums: whole vectors, several of them in flight, in double precision, to which four
// numbers at a time are added. Their order is fixed by the code.
template <class T>
double sum_of(const T* input, std::size_t n) {
  constexpr std::size_t lanes = 32;
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const T *a = input + i, *b = a + lanes, *c = b + lanes, *d = c + lanes;
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      sums[lane] += static_cast<double>((a[lane] + b[lane]) + (c[lane] + d[lane]));
    }
  }
  for (; i + lanes <= n; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      sums[lane] += static_cast<double>(input[i + lane]);
    }
  }
  for (std::size_t lane = 0; i < n; ++i, ++lane) sums[lane] += static_cast<double>(input[i]);
  for (std::size_t width = lanes / 2; width; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

template <class T>
void rows_added(const T* input, double* sums, std::size_t rows, std::size_t columns) {
  for (std::size_t j = 0; j < columns; ++j) sums[j] = 0;
  std::size_t i = 0;
  for (; i + 4 <= rows; i += 4, input += 4 * columns) {
    const T *a = input, *b = a + columns, *c = b + columns, *d = c + columns;
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      sums[j] += static_cast<double>((a[j] + b[j]) + (c[j] + d[j]));
    }
  }
  for (; i < rows; ++i, input += columns) {
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) sums[j] += static_cast<double>(input[j]);
  }
}

}  // namespace

BinaryLoop binary_loop(Binary op, Element element) {
  switch (element) {
    case Element::float32:
      return floating_binary<float>(op);
    case Element::float64:
      return floating_binary<double>(op);
    case Element::int64:
      return integer_binary(op);
    case Element::count:
      break;
  }
  return nullptr;
}

UnaryLoop unary_loop(Unary op, Element element) {
  switch (element) {
    case Element::float32:
      if (op == Unary::erf) return unary<float, Erf>;
      return floating_unary<float>(op);
    case Element::float64:
      return floating_unary<double>(op);
    default:
      return nullptr;
  }
}

ChooseLoop choose_loop(std::size_t bytes) {
  switch (bytes) {
    case 1:
      return choose<std::uint8_t>;
    case 2:
      return choose<std::uint16_t>;
    case 4:
      return choose<std::uint32_t>;
    case 8:
      return choose<std::uint64_t>;
    default:
      return nullptr;
  }
}

double sum_block(const float* input, std::size_t n) { return sum_of(input, n); }
double sum_block(const double* input, std::size_t n) { return sum_of(input, n); }

void sum_rows(const float* input, double* sums, std::size_t rows, std::size_t columns) {
  rows_added(input, sums, rows, columns);
}
void sum_rows(const double* input, double* sums, std::size_t rows, std::size_t columns) {
  rows_added(input, sums, rows, columns);
}

}  // namespace dtorch::DTORCH_CAPABILITY
