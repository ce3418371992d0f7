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
DTORCH_BINARY(WherePositive, (b > T(0) ? a : T(0)))
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
BinaryLoop floating_binary(Binary op) {
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
    case Binary::count:
      break;
  }
  return nullptr;
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
      return floating_binary<T>(op);
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
    default:
      return nullptr;
  }
}

// Many running sums: whole vectors, several of them in flight, and few roundings for each. Their
// order is fixed by the code.
template <class T>
T sum_of(const T* input, std::size_t n) {
  constexpr std::size_t lanes = 64;
  T sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += input[i + lane];
  }
  for (std::size_t lane = 0; i < n; ++i, ++lane) sums[lane] += input[i];
  for (std::size_t width = lanes / 2; width; width /= 2) {
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

template <class T>
void rows_added(const T* input, T* sums, std::size_t rows, std::size_t columns) {
  for (std::size_t j = 0; j < columns; ++j) sums[j] = 0;
  std::size_t i = 0;
  for (; i + 4 <= rows; i += 4, input += 4 * columns) {
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      sums[j] +=
          (input[j] + input[columns + j]) + (input[2 * columns + j] + input[3 * columns + j]);
    }
  }
  for (; i < rows; ++i, input += columns) {
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) sums[j] += input[j];
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
      return floating_unary<float>(op);
    case Element::float64:
      return floating_unary<double>(op);
    default:
      return nullptr;
  }
}

float sum_block(const float* input, std::size_t n) { return sum_of(input, n); }
double sum_block(const double* input, std::size_t n) { return sum_of(input, n); }

void sum_rows(const float* input, float* sums, std::size_t rows, std::size_t columns) {
  rows_added(input, sums, rows, columns);
}
void sum_rows(const double* input, double* sums, std::size_t rows, std::size_t columns) {
  rows_added(input, sums, rows, columns);
}

}  // namespace dtorch::DTORCH_CAPABILITY
