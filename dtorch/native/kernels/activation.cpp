#include "kernels/activation.h"

#include "kernels/vector_math.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

template <class T>
struct Parameters {
  T a, b, c;
};

// Each has of(x, p), and back(g, x, p): the gradient from g, that of the result, and what it knows.
// Where the gradient is 0 it is written, not multiplied, so that it is 0 for an infinite g as well.

struct Celu {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T> p) {
    const T below = p.a * exponential_minus_1(x * p.c);
    return x > T(0) ? p.b * x : x == x ? below : x;
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T> p) {
    const T below = g * (p.a * p.c * exponential(x * p.c)), above = g * p.b;
    return x <= T(0) ? below : above;
  }
};

template <class T>
DTORCH_INLINE T bounded(T x, T low, T high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

struct HardSigmoid {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    return bounded(x + T(3), T(0), T(6)) / T(6);
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T>) {
    const T inside = g * (T(1) / T(6));
    return magnitude(x) < T(3) ? inside : T(0);
  }
};

struct HardSwish {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    return x * (bounded(x + T(3), T(0), T(6)) / T(6));
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T>) {
    const T inside = g * (x * (T(1) / T(3)) + T(0.5));
    return x <= T(-3) ? T(0) : x >= T(3) ? g : inside;
  }
};

struct HardTanh {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T> p) {
    return bounded(x, p.a, p.b);
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T> p) {
    return x <= p.a || x >= p.b ? T(0) : g;
  }
};

struct LeakyRelu {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T> p) {
    return x > T(0) ? x : x * p.a;
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T> p) {
    const T below = g * p.a;
    return x > T(0) ? g : below;
  }
};

struct LogSigmoid {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    const T below = x > T(0) ? T(0) : x;
    return below - log_of_1_plus(exponential(-magnitude(x)));
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T>) {
    return g * (T(1) / (T(1) + exponential(x)));
  }
};

// With w = exp(x), tanh(log(1 + w)) is (w^2 + 2 w) / (w^2 + 2 w + 2); 1 above 20.
struct Mish {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    const T w = exponential(x > T(20) ? T(20) : x), n = w * (w + T(2));
    return x * (n / (n + T(2)));
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T>) {
    const T w = exponential(x > T(20) ? T(20) : x), n = w * (w + T(2));
    const T share = T(1) / (n + T(2));
    const T below = g * (share * (n + x * (T(4) * w * (w + T(1))) * share));
    return x > T(20) ? g : below;
  }
};

struct Sigmoid {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    return T(1) / (T(1) + exponential(-x));
  }
  template <class T>
  DTORCH_INLINE T back(T g, T out, Parameters<T>) {
    return g * (out * (T(1) - out));
  }
};

struct Silu {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    return x * (T(1) / (T(1) + exponential(-x)));
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T>) {
    const T s = T(1) / (T(1) + exponential(-x));
    return g * (s * (T(1) + x * (T(1) - s)));
  }
};

struct Softplus {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T> p) {
    const T z = x * p.a, above = z < T(0) ? T(0) : z;
    const T smooth = (above + log_of_1_plus(exponential(-magnitude(z)))) / p.a;
    return z > p.b ? x : smooth;
  }
  template <class T>
  DTORCH_INLINE T back(T g, T x, Parameters<T> p) {
    const T z = x * p.a, smooth = g * (T(1) / (T(1) + exponential(-z)));
    return z > p.b ? g : smooth;
  }
};

struct Tanh {
  template <class T>
  DTORCH_INLINE T of(T x, Parameters<T>) {
    return hyperbolic_tangent(x);
  }
  template <class T>
  DTORCH_INLINE T back(T g, T out, Parameters<T>) {
    return g * (T(1) - out * out);
  }
};

// Calls function(F{}) with the struct of an activation.
template <class Function>
void with(Activation f, Function function) {
  switch (f) {
    case Activation::celu:
      return function(Celu{});
    case Activation::hardsigmoid:
      return function(HardSigmoid{});
    case Activation::hardswish:
      return function(HardSwish{});
    case Activation::hardtanh:
      return function(HardTanh{});
    case Activation::leaky_relu:
      return function(LeakyRelu{});
    case Activation::logsigmoid:
      return function(LogSigmoid{});
    case Activation::mish:
      return function(Mish{});
    case Activation::sigmoid:
      return function(Sigmoid{});
    case Activation::silu:
      return function(Silu{});
    case Activation::softplus:
      return function(Softplus{});
    case Activation::tanh:
      return function(Tanh{});
  }
}

template <class T>
Parameters<T> narrow(ActivationParameters p) {
  return {static_cast<T>(p.a), static_cast<T>(p.b), static_cast<T>(p.c)};
}

}  // namespace

template <class T>
void activate(Activation f, ActivationParameters given, const T* input, T* out, std::size_t n) {
  const Parameters<T> p = narrow<T>(given);
  with(f, [=]<class F>(F) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = F::of(input[i], p);
  });
}

template <class T>
void activate_backward(Activation f, ActivationParameters given, const T* grad, const T* known,
                       T* grad_input, std::size_t n) {
  const Parameters<T> p = narrow<T>(given);
  with(f, [=]<class F>(F) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) grad_input[i] = F::back(grad[i], known[i], p);
  });
}

#define DTORCH_INSTANTIATE(T)                                                               \
  template void activate(Activation, ActivationParameters, const T*, T*, std::size_t);      \
  template void activate_backward(Activation, ActivationParameters, const T*, const T*, T*, \
                                  std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
