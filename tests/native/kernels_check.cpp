// Kernels of one capability beside plain loops in double precision. test_kernels.py compiles this
// with them, also for processors that are not here, and runs it, there on an emulated one.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/convolution.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/depthwise.h"
#include "kernels/elementwise.h"
#include "kernels/gelu.h"
#include "kernels/half.h"
#include "kernels/indexing.h"
#include "kernels/matmul.h"
#include "kernels/matvec.h"
#include "kernels/normalization.h"
#include "kernels/optimizer.h"
#include "kernels/pooling.h"
#include "kernels/recurrent.h"
#include "kernels/scan.h"
#include "kernels/softmax.h"
#include "kernels/topk.h"
#include "kernels/winograd.h"
#include "thread_pool.h"

namespace kernels = dtorch::DTORCH_CAPABILITY;
using dtorch::Convolution;
using dtorch::Epilogue;
using std::size_t;

namespace {

int failures = 0;

template <class T>
constexpr bool is_float = std::is_same_v<T, float>;

// Numbers from -1 to 1, always the same.
template <class T = double>
std::vector<T> numbers(size_t n, std::uint64_t seed = 1) {
  std::vector<T> made(n);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 1;
  for (T& x : made) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    x = static_cast<T>(static_cast<double>(state >> 11) / 4503599627370496.0 - 1.0);
  }
  return made;
}

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what.c_str());
  ++failures;
}

// Within `float_bound`, or 1e-13, of the largest number expected.
template <class T, class E>
void close(const std::vector<T>& got, const std::vector<E>& expected, const std::string& what,
           double float_bound = 2e-6) {
  double most = 1e-30, error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto a = static_cast<double>(got[i]), b = static_cast<double>(expected[i]);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    most = std::max(most, std::fabs(b));
    const double off = std::fabs(a - b);
    error = std::isnan(off) ? std::numeric_limits<double>::infinity() : std::max(error, off);
  }
  const double bound = is_float<T> ? float_bound : float_bound * 1e-7;
  const std::string name = what + (is_float<T> ? " (float)" : " (double)");
  expect(got.size() == expected.size() && error <= bound * most,
         name + ": off by " + std::to_string(error / most / bound) + " times what is allowed");
}

// ------------------------------------------------------------------------------- products

template <class T>
void check_product(size_t batches, size_t rows, size_t depth, size_t columns, int order,
                   size_t slots) {
  const bool a_across = order & 1, b_across = order & 2, with_start = order & 4;
  const auto a = numbers<T>(batches * rows * depth), b = numbers<T>(batches * depth * columns, 2);
  const auto start = numbers<T>(columns, 3);
  std::vector<size_t> a_at(batches), b_at(batches);
  for (size_t i = 0; i < batches; ++i) {
    a_at[i] = i * rows * depth;
    b_at[i] = i * depth * columns;
  }
  const dtorch::Product s = {batches,
                             rows,
                             columns,
                             depth,
                             a_across ? 1 : depth,
                             a_across ? rows : 1,
                             b_across ? 1 : columns,
                             b_across ? depth : 1,
                             slots};
  std::vector<T> out(batches * rows * columns), workspace(kernels::matmul_workspace<T>(s));
  const bool with_sums = batches == 1 && a_across;
  std::vector<T> sums(with_sums ? rows : 0);
  kernels::matmul<T>(s, a.data(), a_at.data(), b.data(), b_at.data(),
                     with_start ? start.data() : nullptr, out.data(),
                     with_sums ? sums.data() : nullptr, workspace.data());
  std::vector<double> expected(out.size()), expected_sums(sums.size());
  for (size_t n = 0; n < batches; ++n) {
    for (size_t i = 0; i < rows; ++i) {
      for (size_t k = 0; k < depth; ++k) {
        const double x = a[a_at[n] + i * s.a_row + k * s.a_column];
        if (with_sums) expected_sums[i] += x;
        for (size_t j = 0; j < columns; ++j) {
          expected[(n * rows + i) * columns + j] +=
              x * double{b[b_at[n] + k * s.b_row + j * s.b_column]};
        }
      }
      for (size_t j = 0; with_start && j < columns; ++j) {
        expected[(n * rows + i) * columns + j] += double{start[j]};
      }
    }
  }
  const std::string name = "product " + std::to_string(batches) + "x" + std::to_string(rows) + "x" +
                           std::to_string(depth) + "x" + std::to_string(columns) + " order " +
                           std::to_string(order);
  close(out, expected, name);
  close(sums, expected_sums, "row sums of " + name);
}

template <class T>
void check_vectors(size_t rows, size_t columns) {
  const size_t step = columns + 3;
  const auto matrix = numbers<T>(rows * step), across = numbers<T>(columns, 2),
             down = numbers<T>(rows, 3);
  std::vector<T> right(rows), left(columns);
  kernels::matrix_times_vector(matrix.data(), step, rows, columns, across.data(), right.data());
  kernels::vector_times_matrix(down.data(), matrix.data(), step, rows, columns, left.data());
  std::vector<double> e_right(rows), e_left(columns);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      e_right[i] += double{matrix[i * step + j]} * double{across[j]};
      e_left[j] += double{matrix[i * step + j]} * double{down[i]};
    }
  }
  close(right, e_right, "matrix times vector");
  close(left, e_left, "vector times matrix");
}

template <class T>
void check_products() {
  for (size_t rows : {1, 6, 35, 530}) {
    for (size_t columns : {1, 7, 64, 600}) check_vectors<T>(rows, columns);
  }
  const size_t sides[] = {1, 2, 3, 7, 16, 33, 65, 131};
  int order = 0;
  for (size_t rows : sides) {
    for (size_t depth : sides) {
      for (size_t columns : sides) check_product<T>(1, rows, depth, columns, order++ % 8, 1);
    }
  }
  for (order = 0; order < 8; ++order) {
    check_product<T>(9, 5, 7, 19, order, 2);
    check_product<T>(2, 66, 19, 35, order, 3);
    check_product<T>(1, 300, 301, 70, order, 3);
    check_product<T>(1, 37, 270, 600, order, 2);
    check_product<T>(1, 700, 20, 17, order, 2);
  }
}

// ---------------------------------------------------------------------------- element by element

template <class T>
void check_unary() {
  using dtorch::Unary;
  const auto positive = [](Unary op) { return op == Unary::sqrt || op == Unary::rsqrt; };
  const auto right = [](Unary op, double x) -> double {
    const double s = 1 / (1 + std::exp(-x)), held = std::min(std::max(x + 3, 0.0), 6.0) / 6;
    switch (op) {
      case Unary::neg:
        return -x;
      case Unary::abs:
        return std::fabs(x);
      case Unary::square:
        return x * x;
      case Unary::sqrt:
        return std::sqrt(x);
      case Unary::exp:
        return std::exp(x);
      case Unary::tanh:
        return std::tanh(x);
      case Unary::sigmoid:
        return s;
      case Unary::relu:
        return x < 0 ? 0 : x;
      case Unary::reciprocal:
        return 1 / x;
      case Unary::hardsigmoid:
        return held;
      case Unary::hardswish:
        return x * held;
      case Unary::logsigmoid:
        return -std::log1p(std::exp(-x));
      case Unary::mish:
        return x * std::tanh(std::log1p(std::exp(x)));
      case Unary::relu6:
        return std::min(std::max(x, 0.0), 6.0);
      case Unary::silu:
        return x * s;
      case Unary::sign:
        return (x > 0) - (x < 0);
      case Unary::rsqrt:
        return 1 / std::sqrt(x);
      case Unary::erf:
        return std::erf(x);
      default:
        return 0;
    }
  };
  const auto element = is_float<T> ? dtorch::Element::float32 : dtorch::Element::float64;
  for (int op = 0; op < static_cast<int>(Unary::count); ++op) {
    const auto loop = kernels::unary_loop(static_cast<Unary>(op), element);
    if (loop == nullptr) continue;
    for (size_t n : {1, 6, 67}) {
      auto x = numbers<T>(n, n + 5);
      for (T& value : x) value *= positive(static_cast<Unary>(op)) && value < 0 ? T(-8) : T(8);
      std::vector<T> out(n);
      loop(x.data(), out.data(), n);
      std::vector<double> expected;
      for (T value : x) expected.push_back(right(static_cast<Unary>(op), value));
      close(out, expected, "unary " + std::to_string(op));
    }
  }
}

template <class T>
void check_binary() {
  using dtorch::Binary;
  const auto right = [](Binary op, T a, T b) -> T {
    const double x = a, y = b, rest = std::fmod(x, y);
    const double moved = rest != 0 && (y < 0) != (rest < 0) ? rest + y : rest;
    switch (op) {
      case Binary::add:
        return a + b;
      case Binary::sub:
        return a - b;
      case Binary::mul:
        return a * b;
      case Binary::div:
        return a / b;
      case Binary::maximum:
        return std::max(a, b);
      case Binary::minimum:
        return std::min(a, b);
      case Binary::where_positive:
        return b > 0 ? a : T(0);
      case Binary::fmod:
        return static_cast<T>(rest);
      case Binary::remainder:
        return static_cast<T>(moved);
      case Binary::floor_divide:
        return static_cast<T>(std::floor(x / y));
      case Binary::eq:
        return a == b;
      case Binary::ne:
        return a != b;
      case Binary::lt:
        return a < b;
      case Binary::le:
        return a <= b;
      case Binary::gt:
        return a > b;
      case Binary::ge:
        return a >= b;
      default:
        return T(0);
    }
  };
  const auto element = is_float<T> ? dtorch::Element::float32 : dtorch::Element::float64;
  for (int op = 0; op < static_cast<int>(Binary::count); ++op) {
    const auto loop = kernels::binary_loop(static_cast<Binary>(op), element);
    for (int steps = 0; steps < 4; ++steps) {
      const size_t n = 35;
      auto a = numbers<T>(n, 8), b = numbers<T>(n, 9);
      for (T& value : a) value *= 20;
      a[3] = b[3];
      std::vector<T> out(n), expected(n);
      if (dtorch::is_comparison(static_cast<Binary>(op))) {
        std::vector<std::uint8_t> found(n);
        loop(a.data(), b.data(), found.data(), n, steps & 1, steps >> 1);
        for (size_t i = 0; i < n; ++i) out[i] = found[i];
      } else {
        loop(a.data(), b.data(), out.data(), n, steps & 1, steps >> 1);
      }
      for (size_t i = 0; i < n; ++i) {
        expected[i] = right(static_cast<Binary>(op), a[steps & 1 ? i : 0], b[steps >> 1 ? i : 0]);
      }
      close(out, expected, "binary " + std::to_string(op), 2e-7);
    }
  }
}

template <class T>
void check_activations() {
  using dtorch::Activation;
  const dtorch::ActivationParameters p = {1.5, 1.25, 0.75};
  const auto right = [&](Activation f, double x) -> double {
    const double s = 1 / (1 + std::exp(-x));
    switch (f) {
      case Activation::celu:
        return x > 0 ? p.b * x : p.a * std::expm1(x * p.c);
      case Activation::hardsigmoid:
        return std::min(std::max(x + 3, 0.0), 6.0) / 6;
      case Activation::hardswish:
        return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
      case Activation::hardtanh:
        return std::min(std::max(x, -1.0), 1.25);
      case Activation::leaky_relu:
        return x > 0 ? x : x * p.a;
      case Activation::logsigmoid:
        return -std::log1p(std::exp(-x));
      case Activation::mish:
        return x * std::tanh(std::log1p(std::exp(x)));
      case Activation::sigmoid:
        return s;
      case Activation::silu:
        return x * s;
      case Activation::softplus:
        return x * p.a > p.b ? x : std::log1p(std::exp(x * p.a)) / p.a;
      case Activation::tanh:
        return std::tanh(x);
    }
    return 0;
  };
  const size_t n = 101;
  auto x = numbers<T>(n, 12);
  for (T& value : x) value *= 6;
  const auto grad = numbers<T>(n, 13);
  for (int number = 0; number <= static_cast<int>(Activation::tanh); ++number) {
    const auto f = static_cast<Activation>(number);
    auto q = p;
    if (f == Activation::hardtanh) q.a = -1;
    std::vector<T> out(n), back(n);
    std::vector<double> expected(n), expected_back(n);
    kernels::activate(f, q, x.data(), out.data(), n);
    const bool from_result = f == Activation::sigmoid || f == Activation::tanh;
    kernels::activate_backward(f, q, grad.data(), from_result ? out.data() : x.data(), back.data(),
                               n);
    for (size_t i = 0; i < n; ++i) {
      const double at = x[i], step = 1e-6;
      expected[i] = right(f, at);
      expected_back[i] = double{grad[i]} * (right(f, at + step) - right(f, at - step)) / (2 * step);
    }
    close(out, expected, "activation " + std::to_string(number));
    std::vector<float> rounded(back.begin(), back.end());
    close(rounded, expected_back, "gradient of activation " + std::to_string(number), 1e-5);
  }
  if constexpr (is_float<T>) {
    std::vector<T> out(n), back(n);
    std::vector<double> expected, expected_back;
    kernels::gelu(x.data(), out.data(), n);
    kernels::gelu_backward(grad.data(), x.data(), back.data(), n);
    for (size_t i = 0; i < n; ++i) {
      const double at = x[i], below = std::erfc(-at / std::sqrt(2.0)) / 2;
      expected.push_back(at * below);
      expected_back.push_back(double{grad[i]} *
                              (below + at * std::exp(-at * at / 2) / std::sqrt(2 * M_PI)));
    }
    close(out, expected, "gelu");
    close(back, expected_back, "gradient of gelu");
  }
}

template <class T>
void check_sums() {
  for (size_t n : {1, 5, 64, 200, 1001}) {
    const auto x = numbers<T>(3 * n, n);
    const double sum = std::accumulate(x.begin(), x.end(), 0.0);
    expect(
        std::fabs(double{kernels::sum_block(x.data(), 3 * n)} - sum) < (is_float<T> ? 1e-4 : 1e-11),
        "sum");
    std::vector<double> rows(n);
    kernels::sum_rows(x.data(), rows.data(), 3, n);
    std::vector<double> expected(n);
    for (size_t i = 0; i < 3 * n; ++i) expected[i % n] += double{x[i]};
    close(rows, expected, "sums of columns");
  }
}

void check_choices() {
  bool conditions[37];
  std::uint16_t a[37], b[37], out[37];
  for (int i = 0; i < 37; ++i) {
    conditions[i] = i % 3 == 0;
    a[i] = static_cast<std::uint16_t>(i);
    b[i] = static_cast<std::uint16_t>(1000 + i);
  }
  kernels::choose_loop(2)(conditions, a, b, out, 37, 1, 0);
  for (int i = 0; i < 37; ++i) expect(out[i] == (conditions[i] ? a[i] : 1000), "choice");
}

// -------------------------------------------------------------------------------- rows

template <class T>
void check_softmax() {
  for (size_t columns : {1, 3, 8, 17, 70}) {
    const size_t rows = 5, n = rows * columns;
    auto x = numbers<T>(n, columns);
    for (T& value : x) value *= 9;
    const auto grad = numbers<T>(n, columns + 1);
    std::vector<T> out(n), logs(n), back(n), log_back(n);
    kernels::softmax(x.data(), out.data(), rows, columns);
    kernels::log_softmax(x.data(), logs.data(), rows, columns);
    kernels::softmax_backward(grad.data(), out.data(), back.data(), rows, columns);
    kernels::log_softmax_backward(grad.data(), logs.data(), log_back.data(), rows, columns);
    std::vector<std::int64_t> target(rows);
    std::vector<T> losses(rows), tops(rows), log_sums(rows), loss_back(n);
    for (size_t i = 0; i < rows; ++i) target[i] = static_cast<std::int64_t>(i * 5 % columns);
    const T* none = nullptr;
    expect(kernels::cross_entropy_forward(x.data(), target.data(), none, -1, losses.data(),
                                          tops.data(), log_sums.data(), rows, columns) == rows,
           "targets are accepted");
    kernels::cross_entropy_backward(grad.data(), x.data(), target.data(), none, -1, tops.data(),
                                    log_sums.data(), loss_back.data(), rows, columns);
    std::vector<double> e_out(n), e_logs(n), e_back(n), e_log_back(n), e_losses(rows), e_loss(n);
    for (size_t i = 0; i < rows; ++i) {
      const size_t at = i * columns;
      double sum = 0, products = 0, grads = 0;
      for (size_t j = at; j < at + columns; ++j) sum += std::exp(double{x[j]});
      for (size_t j = at; j < at + columns; ++j) {
        e_out[j] = std::exp(double{x[j]}) / sum;
        e_logs[j] = double{x[j]} - std::log(sum);
        products += double{grad[j]} * e_out[j];
        grads += double{grad[j]};
      }
      for (size_t j = at; j < at + columns; ++j) {
        e_back[j] = e_out[j] * (double{grad[j]} - products);
        e_log_back[j] = double{grad[j]} - e_out[j] * grads;
        e_loss[j] = double{grad[i]} * e_out[j];
      }
      const size_t t = at + static_cast<size_t>(target[i]);
      e_losses[i] = -e_logs[t];
      e_loss[t] -= double{grad[i]};
    }
    close(out, e_out, "softmax");
    close(logs, e_logs, "logarithm of softmax");
    close(back, e_back, "gradient of softmax", 1e-5);
    close(log_back, e_log_back, "gradient of the logarithm of softmax", 1e-5);
    close(losses, e_losses, "cross entropy");
    close(loss_back, e_loss, "gradient of cross entropy", 1e-5);
  }
}

struct Moments {
  double mean, variance;
};

// Of elements first, first + step, ... in `blocks` blocks that are `apart`.
template <class T>
Moments moments_of(const T* x, size_t blocks, size_t apart, size_t n) {
  double sum = 0, squares = 0;
  for (size_t b = 0; b < blocks; ++b) {
    for (size_t k = 0; k < n; ++k) sum += double{x[b * apart + k]};
  }
  const double count = static_cast<double>(blocks * n), mean = sum / count;
  for (size_t b = 0; b < blocks; ++b) {
    for (size_t k = 0; k < n; ++k) {
      squares += (double{x[b * apart + k]} - mean) * (double{x[b * apart + k]} - mean);
    }
  }
  return {mean, squares / count};
}

// (images, channels, pixels); images 0 stands for rows of `pixels`.
template <class T>
void check_normalization(size_t images, size_t channels, size_t pixels, double offset) {
  const bool by_row = images == 0;
  const size_t blocks = by_row ? 1 : images, groups = channels, apart = channels * pixels;
  const size_t n = blocks * apart, affine = by_row ? pixels : channels;
  auto x = numbers<T>(n, pixels);
  for (T& value : x) value += static_cast<T>(offset);
  const auto weight = numbers<T>(affine, 2), bias = numbers<T>(affine, 3), grad = numbers<T>(n, 4);
  std::vector<T> out(n), average(groups), variance(groups), scale(groups), back(n);
  std::vector<T> grad_weight(affine), grad_bias(affine);
  if (by_row) {
    kernels::normalize_rows(x.data(), weight.data(), bias.data(), 1e-5, out.data(), average.data(),
                            variance.data(), scale.data(), groups, pixels);
    kernels::normalize_rows_backward(grad.data(), x.data(), weight.data(), average.data(),
                                     scale.data(), back.data(), grad_weight.data(),
                                     grad_bias.data(), groups, pixels);
  } else {
    kernels::normalize_channels(x.data(), weight.data(), bias.data(), 1e-5, out.data(),
                                average.data(), variance.data(), scale.data(), images, channels,
                                pixels, 0, channels);
    kernels::normalize_channels_backward(grad.data(), x.data(), weight.data(), average.data(),
                                         scale.data(), back.data(), grad_weight.data(),
                                         grad_bias.data(), images, channels, pixels, 0, channels);
  }
  std::vector<double> e_out(n), e_variance(groups), e_back(n), e_weight(affine), e_bias(affine);
  for (size_t c = 0; c < groups; ++c) {
    const Moments found = moments_of(x.data() + c * pixels, blocks, apart, pixels);
    const double rescale = 1 / std::sqrt(found.variance + 1e-5);
    const double count = static_cast<double>(blocks * pixels);
    double sum = 0, products = 0;
    e_variance[c] = found.variance;
    const auto each = [&](auto function) {
      for (size_t b = 0; b < blocks; ++b) {
        for (size_t k = 0; k < pixels; ++k) {
          const size_t at = b * apart + c * pixels + k, a = by_row ? k : c;
          function(at, a, (double{x[at]} - found.mean) * rescale);
        }
      }
    };
    each([&](size_t at, size_t a, double y) {
      e_out[at] = y * double{weight[a]} + double{bias[a]};
      e_weight[a] += double{grad[at]} * y;
      e_bias[a] += double{grad[at]};
      sum += double{grad[at]} * double{weight[a]} / count;
      products += double{grad[at]} * double{weight[a]} * y / count;
    });
    each([&](size_t at, size_t a, double y) {
      e_back[at] = (double{grad[at]} * double{weight[a]} - sum - y * products) * rescale;
    });
  }
  const std::string name = (by_row ? "rows" : "channels") + std::string(" of ") +
                           std::to_string(pixels) + " around " + std::to_string(offset);
  // Gradients know the mean as it was rounded; so do the sums above, beside those of double.
  const double bound = 4e-6 * (1 + offset / 4), forward = is_float<T> ? 4e-6 : bound;
  close(out, e_out, "normalised " + name, forward);
  close(variance, e_variance, "variance of " + name, forward);
  close(back, e_back, "gradient of normalised " + name, bound);
  close(grad_weight, e_weight, "gradient of the weight of normalised " + name, bound);
  close(grad_bias, e_bias, "gradient of the bias of normalised " + name, bound);
}

// ------------------------------------------------------------------------------- convolutions

Convolution convolution_of(size_t images, size_t channels, size_t side, size_t filters,
                           size_t kernel, size_t stride, size_t dilation, size_t groups,
                           std::ptrdiff_t pad) {
  const size_t width = side + 3;
  const auto out = [&](size_t size) {
    return (size + static_cast<size_t>(2 * pad) - dilation * (kernel - 1) - 1) / stride + 1;
  };
  return {images,   channels, side,   width,     filters,    kernel, kernel, stride, stride,
          dilation, dilation, groups, out(side), out(width), 2,      pad,    pad};
}

// function(place in the input, in the weight, in the result) for every product of a convolution.
template <class Function>
void for_each_product(const Convolution& s, Function function) {
  const size_t channels = s.channels / s.groups, filters = s.filters / s.groups;
  for (size_t n = 0; n < s.images; ++n) {
    for (size_t f = 0; f < s.filters; ++f) {
      for (size_t c = 0; c < channels; ++c) {
        for (size_t i = 0; i < s.kernel_height * s.kernel_width; ++i) {
          const size_t ky = i / s.kernel_width, kx = i % s.kernel_width;
          for (size_t y = 0; y < s.out_height; ++y) {
            const auto row =
                static_cast<std::ptrdiff_t>(y * s.stride_height + ky * s.dilation_height) -
                s.pad_height;
            if (row < 0 || row >= static_cast<std::ptrdiff_t>(s.height)) continue;
            for (size_t x = 0; x < s.out_width; ++x) {
              const auto column =
                  static_cast<std::ptrdiff_t>(x * s.stride_width + kx * s.dilation_width) -
                  s.pad_width;
              if (column < 0 || column >= static_cast<std::ptrdiff_t>(s.width)) continue;
              const size_t channel = f / filters * channels + c;
              function(
                  ((n * s.channels + channel) * s.height + static_cast<size_t>(row)) * s.width +
                      static_cast<size_t>(column),
                  (f * channels + c) * s.kernel_height * s.kernel_width + i,
                  ((n * s.filters + f) * s.out_height + y) * s.out_width + x);
            }
          }
        }
      }
    }
  }
}

template <class T>
struct Convolved {
  std::vector<T> input, weight, bias, delta;
  std::vector<double> out, grad_input, grad_weight;

  explicit Convolved(const Convolution& s)
      : input(numbers<T>(s.images * s.channels * s.height * s.width, 1)),
        weight(numbers<T>(s.filters * s.channels / s.groups * s.kernel_height * s.kernel_width, 2)),
        bias(numbers<T>(s.filters, 3)),
        delta(numbers<T>(s.images * s.filters * s.out_height * s.out_width, 4)),
        out(delta.size()),
        grad_input(input.size()),
        grad_weight(weight.size()) {
    const size_t pixels = s.out_height * s.out_width;
    for (size_t i = 0; i < out.size(); ++i) out[i] = double{bias[i / pixels % s.filters]};
    for_each_product(s, [&](size_t i, size_t w, size_t o) {
      out[o] += double{input[i]} * double{weight[w]};
      grad_input[i] += double{delta[o]} * double{weight[w]};
      grad_weight[w] += double{delta[o]} * double{input[i]};
    });
  }
};

template <class T>
void check_convolution(const Convolution& s, const std::string& name) {
  const Convolved<T> known(s);
  std::vector<T> out(known.delta.size()), back(known.input.size()), weights(known.weight.size());
  std::vector<T> workspace(kernels::convolution_workspace<T>(s));
  kernels::convolution(s, known.input.data(), known.weight.data(), known.bias.data(), Epilogue<T>{},
                       out.data(), workspace.data());
  close(out, known.out, name);
  workspace.assign(kernels::convolution_input_workspace<T>(s), T(0));
  kernels::convolution_input(s, known.delta.data(), known.weight.data(), back.data(),
                             workspace.data());
  close(back, known.grad_input, "gradient of the input of " + name);
  workspace.assign(kernels::convolution_weight_workspace<T>(s), T(0));
  kernels::convolution_weight(s, known.delta.data(), known.input.data(), weights.data(),
                              workspace.data());
  close(weights, known.grad_weight, "gradient of the weight of " + name);
}

template <class T>
void check_depthwise(const Convolution& s, const std::string& name) {
  const Convolved<T> known(s);
  std::vector<T> out(known.delta.size()), back(known.input.size()), weights(known.weight.size());
  std::vector<T> workspace(kernels::depthwise_workspace<T>(s));
  kernels::depthwise_convolution(s, known.input.data(), known.weight.data(), known.bias.data(),
                                 false, Epilogue<T>{}, out.data(), workspace.data());
  close(out, known.out, name);
  workspace.assign(kernels::depthwise_weight_workspace<T>(s), T(0));
  kernels::depthwise_weight(s, known.delta.data(), known.input.data(), weights.data(),
                            workspace.data());
  close(weights, known.grad_weight, "gradient of the weight of " + name);
  const bool small = (s.kernel_height == 3 || s.kernel_height == 5) && s.dilation_height == 1;
  if (s.filters != s.channels || !(s.stride_height == 1 || (s.stride_height == 2 && small))) return;
  workspace.assign(kernels::depthwise_input_workspace<T>(s), T(0));
  kernels::depthwise_input(s, known.delta.data(), known.weight.data(), back.data(),
                           workspace.data());
  close(back, known.grad_input, "gradient of the input of " + name);
}

template <class T>
void check_convolutions() {
  for (size_t kernel : {1, 2, 3, 5}) {
    for (size_t stride : {1, 2, 3}) {
      for (size_t dilation : {1, 2}) {
        if (kernel == 1 && dilation == 2) continue;
        const auto pad = static_cast<std::ptrdiff_t>(kernel / 2);
        const std::string name = std::to_string(kernel) + "x" + std::to_string(kernel) +
                                 " stride " + std::to_string(stride) + " dilation " +
                                 std::to_string(dilation);
        check_convolution<T>(convolution_of(2, 6, 11, 14, kernel, stride, dilation, 2, pad),
                             "grouped convolution " + name);
        check_convolution<T>(convolution_of(1, 5, 9, 35, kernel, stride, dilation, 1, 0),
                             "convolution " + name);
        const bool quick = (kernel == 3 || kernel == 5) && stride < 3 && dilation == 1;
        check_depthwise<T>(
            convolution_of(2, 3, 13, 3, kernel, stride, quick ? 1 : dilation, 3, pad),
            "depthwise convolution " + name);
        check_depthwise<T>(convolution_of(1, 2, 10, 4, kernel, stride, dilation, 2, pad),
                           "depthwise convolution of two filters " + name);
      }
    }
  }
  check_convolution<T>(convolution_of(3, 130, 7, 133, 1, 1, 1, 1, 0), "wide convolution");
  check_convolution<T>(convolution_of(6, 33, 6, 34, 3, 1, 1, 1, 1), "convolution, packed once");
}

void check_winograd(size_t images, size_t channels, size_t side, size_t filters, size_t stride) {
  const Convolution s = convolution_of(images, channels, side, filters, 3, stride, 1, 1, 1);
  const Convolved<float> known(s);
  dtorch::Winograd w = {images,      channels, s.height, s.width, filters, s.out_height,
                        s.out_width, stride,   1,        1,       2};
  const std::string name = "Winograd's convolution of " + std::to_string(channels) + " channels, " +
                           std::to_string(filters) + " filters, stride " + std::to_string(stride);
  std::vector<float> out(known.delta.size()), back(known.input.size());
  std::vector<float> workspace(kernels::winograd_workspace(w, false));
  kernels::winograd_convolution(w, known.input.data(), known.weight.data(), known.bias.data(),
                                false, {}, out.data(), workspace.data());
  close(out, known.out, name, 1e-5);
  const size_t pad = stride == 1 ? 1 : 0;
  const dtorch::Winograd t = {images,  filters, s.out_height, s.out_width, channels, s.height,
                              s.width, stride,  pad,          pad,         2};
  workspace.assign(kernels::winograd_workspace(t, true), 0.0f);
  kernels::winograd_convolution(t, known.delta.data(), known.weight.data(), nullptr, true, {},
                                back.data(), workspace.data());
  close(back, known.grad_input, "gradient of the input of " + name, 1e-5);
  if (stride != 1) return;
  std::vector<float> weights(known.weight.size());
  workspace.assign(kernels::winograd_weight_workspace(w), 0.0f);
  kernels::winograd_weight(w, known.delta.data(), known.input.data(), weights.data(),
                           workspace.data());
  close(weights, known.grad_weight, "gradient of the weight of " + name, 1e-5);
}

// ---------------------------------------------------------------------------------- windows

template <class T>
void check_pooling(size_t kernel, size_t stride, size_t pad, size_t dilation) {
  const size_t planes = 3, height = 13, width = 22;
  const auto out_of = [&](size_t n) {
    return (n + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
  };
  const dtorch::Pooling s = {height, width, kernel,   kernel,   stride,         stride,
                             pad,    pad,   dilation, dilation, out_of(height), out_of(width)};
  const size_t count = planes * s.out_height * s.out_width;
  const auto x = numbers<T>(planes * height * width, 6), delta = numbers<T>(count, 7);
  std::vector<T> largest(count), sums(count), spread(x.size()), scattered(x.size());
  std::vector<std::int64_t> places(count);
  std::vector<T> workspace(kernels::pooling_workspace<T>(s));
  kernels::max_pool(s, x.data(), largest.data(), places.data(), planes, workspace.data());
  kernels::sum_pool(s, x.data(), T(0.5), sums.data(), planes, workspace.data());
  std::vector<double> e_largest(count, -INFINITY), e_sums(count), e_spread(x.size()),
      e_scattered(x.size());
  for (size_t o = 0; o < count; ++o) {
    const size_t plane = o / (s.out_height * s.out_width);
    const size_t y = o / s.out_width % s.out_height, column = o % s.out_width;
    size_t place = 0;
    for (size_t i = 0; i < kernel * kernel; ++i) {
      const size_t row = y * stride + i / kernel * dilation,
                   at = column * stride + i % kernel * dilation;
      if (row < pad || row >= height + pad || at < pad || at >= width + pad) continue;
      const size_t from = (plane * height + row - pad) * width + at - pad;
      e_sums[o] += 0.5 * double{x[from]};
      if (dilation == 1) e_spread[from] += 0.5 * double{delta[o]};
      if (double{x[from]} > e_largest[o]) {
        e_largest[o] = x[from];
        place = from;
      }
    }
    e_scattered[place] += double{delta[o]};
    expect(static_cast<size_t>(places[o]) == place - plane * height * width, "place of a maximum");
  }
  close(largest, e_largest, "maximum of windows", 0);
  close(sums, e_sums, "sum of windows");
  expect(kernels::add_at_places(delta.data(), places.data(), scattered.data(), planes,
                                s.out_height * s.out_width, height * width),
         "places are in the plane");
  close(scattered, e_scattered, "gradient of the maximum of windows");
  if (dilation != 1) return;
  kernels::spread_windows(s, delta.data(), T(0.5), spread.data(), planes);
  close(spread, e_spread, "gradient of the sum of windows");
}

// -------------------------------------------------------------------------------- attention

template <class T>
void check_attention(size_t rows, size_t keys, size_t width, size_t out_width, bool causal) {
  const size_t batches = 2;
  const auto query = numbers<T>(batches * rows * width, 1),
             key = numbers<T>(batches * keys * width, 2);
  const auto value = numbers<T>(batches * keys * out_width, 3);
  const auto grad = numbers<T>(batches * rows * out_width, 4);
  const auto added = numbers<T>(rows * keys, 5);
  const dtorch::Attention s = {batches, rows, keys, width, out_width, 0.5, causal, 0, 1, 0, 2};
  std::vector<size_t> q_at = {0, rows * width}, k_at = {0, keys * width},
                      v_at = {0, keys * out_width}, o_at = {0, rows * out_width}, m_at = {0, 0};
  const dtorch::AttentionMask mask = {added.data(), m_at.data(), keys, 1, true};
  std::vector<T> out(batches * rows * out_width), log_sums(batches * rows);
  std::vector<T> workspace(kernels::attention_workspace<T>(s));
  const dtorch::Matrices<const T> q = {query.data(), q_at.data(), width},
                                  k = {key.data(), k_at.data(), width},
                                  v = {value.data(), v_at.data(), out_width};
  kernels::attention<T>(s, q, k, v, mask, {out.data(), o_at.data(), out_width}, log_sums.data(),
                        workspace.data());
  std::vector<T> grad_query(query.size()), grad_key(key.size()), grad_value(value.size());
  workspace.assign(kernels::attention_backward_workspace<T>(s), T(0));
  kernels::attention_backward<T>(s, {grad.data(), o_at.data(), out_width}, q, k, v, mask,
                                 {out.data(), o_at.data(), out_width}, log_sums.data(),
                                 {grad_query.data(), q_at.data(), width},
                                 {grad_key.data(), k_at.data(), width},
                                 {grad_value.data(), v_at.data(), out_width}, workspace.data());
  std::vector<double> e_out(out.size()), e_query(query.size()), e_key(key.size()),
      e_value(value.size());
  for (size_t b = 0; b < batches; ++b) {
    for (size_t i = 0; i < rows; ++i) {
      const size_t seen = causal ? std::min(i + 1, keys) : keys;
      std::vector<double> weights(seen), slopes(seen);
      double sum = 0, product = 0;
      for (size_t j = 0; j < seen; ++j) {
        double score = 0;
        for (size_t c = 0; c < width; ++c) {
          score +=
              double{query[(b * rows + i) * width + c]} * double{key[(b * keys + j) * width + c]};
        }
        weights[j] = std::exp(score * 0.5 + double{added[i * keys + j]});
        sum += weights[j];
      }
      for (size_t j = 0; j < seen; ++j) {
        weights[j] /= sum;
        for (size_t c = 0; c < out_width; ++c) {
          const size_t o = (b * rows + i) * out_width + c, at = (b * keys + j) * out_width + c;
          e_out[o] += weights[j] * double{value[at]};
          e_value[at] += weights[j] * double{grad[o]};
          slopes[j] += double{grad[o]} * double{value[at]};
        }
        product += slopes[j] * weights[j];
      }
      for (size_t j = 0; j < seen; ++j) {
        const double slope = weights[j] * (slopes[j] - product) * 0.5;
        for (size_t c = 0; c < width; ++c) {
          const size_t at = (b * rows + i) * width + c, other = (b * keys + j) * width + c;
          e_query[at] += slope * double{key[other]};
          e_key[other] += slope * double{query[at]};
        }
      }
    }
  }
  close(out, e_out, "attention");
  close(grad_query, e_query, "gradient of queries", 1e-5);
  close(grad_key, e_key, "gradient of keys", 1e-5);
  close(grad_value, e_value, "gradient of values", 1e-5);
}

// --------------------------------------------------------------------------- recurrent layers

// One step: gradients against differences of the sum of the outputs.
void check_lstm(size_t sequences, size_t width) {
  const size_t gates_of = 4 * width, n = sequences * width;
  const std::int64_t starts[] = {0}, sizes[] = {static_cast<std::int64_t>(sequences)};
  const dtorch::Lstm s = {starts, sizes, 1, sequences, width, 2};
  const auto shares = numbers<float>(sequences * gates_of, 1),
             weight = numbers<float>(gates_of * width, 2);
  const auto hidden = numbers<float>(n, 3), cell = numbers<float>(n, 4);
  auto gates = shares, h = hidden, c = cell;
  std::vector<float> out(n), squashed(n), hiddens(n), cells(n),
      workspace(kernels::lstm_workspace(s));
  kernels::lstm_forward(s, gates.data(), weight.data(), h.data(), c.data(), out.data(),
                        squashed.data(), hiddens.data(), cells.data(), workspace.data());
  const std::vector<float> grad_out(n, 1.0f);
  std::vector<float> grad_hidden(n), grad_cell(n), delta(sequences * gates_of);
  kernels::lstm_backward(s, grad_out.data(), gates.data(), squashed.data(), cells.data(),
                         weight.data(), grad_hidden.data(), grad_cell.data(), delta.data(),
                         workspace.data());
  const auto squash = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> e_out(n), e_hidden(n), e_delta(delta.size());
  for (size_t r = 0; r < sequences; ++r) {
    for (size_t j = 0; j < width; ++j) {
      double gate[4];
      for (size_t g = 0; g < 4; ++g) {
        gate[g] = double{shares[r * gates_of + g * width + j]};
        for (size_t k = 0; k < width; ++k) {
          gate[g] += double{weight[(g * width + j) * width + k]} * double{hidden[r * width + k]};
        }
      }
      const double i = squash(gate[0]), f = squash(gate[1]), u = std::tanh(gate[2]),
                   o = squash(gate[3]);
      const double before = cell[r * width + j], y = std::tanh(f * before + i * u);
      const double state = o * (1 - y * y);
      const double slopes[] = {state * u * i * (1 - i), state * before * f * (1 - f),
                               state * i * (1 - u * u), y * o * (1 - o)};
      e_out[r * width + j] = o * y;
      for (size_t g = 0; g < 4; ++g) {
        e_delta[r * gates_of + g * width + j] = slopes[g];
        for (size_t k = 0; k < width; ++k) {
          e_hidden[r * width + k] += slopes[g] * double{weight[(g * width + j) * width + k]};
        }
      }
    }
  }
  close(out, e_out, "long short-term memory");
  close(delta, e_delta, "gradient of gates", 1e-5);
  close(grad_hidden, e_hidden, "gradient of hidden states", 1e-5);
}

// ------------------------------------------------------------------------ half precision, others

void check_half() {
  std::vector<std::uint16_t> every(65536), again(65536);
  std::iota(every.begin(), every.end(), std::uint16_t{0});
  std::vector<float> wide(65536);
  const auto same_but_nan = [&] {
    for (size_t i = 0; i < every.size(); ++i) {
      if (!std::isnan(wide[i]) && again[i] != every[i]) return false;
      if (std::isnan(wide[i]) && again[i] == 0) return false;
    }
    return true;
  };
  kernels::widen_bfloat16(every.data(), wide.data(), wide.size());
  expect(wide[0x3FC0] == 1.5f && std::isinf(wide[0x7F80]), "bfloat16 is read");
  kernels::narrow_bfloat16(wide.data(), again.data(), wide.size());
  expect(same_but_nan(), "bfloat16 and back");
  kernels::widen_float16(every.data(), wide.data(), wide.size());
  expect(wide[0x3E00] == 1.5f && wide[1] == std::ldexp(1.0f, -24) && std::isinf(wide[0x7C00]),
         "float16 is read");
  kernels::narrow_float16(wide.data(), again.data(), wide.size());
  expect(same_but_nan(), "float16 and back");
  const float between[] = {1 + std::ldexp(1.0f, -11), 1 + 3 * std::ldexp(1.0f, -11), 65520.0f,
                           65519.0f};
  std::uint16_t rounded[4];
  kernels::narrow_float16(between, rounded, 4);
  expect(
      rounded[0] == 0x3C00 && rounded[1] == 0x3C02 && rounded[2] == 0x7C00 && rounded[3] == 0x7BFF,
      "float16 is rounded to even");
}

template <class T>
void check_others() {
  const size_t outer = 3, count = 11, inner = 5, n = outer * count * inner;
  const auto x = numbers<T>(n, 20);
  std::vector<T> sums(n);
  const dtorch::ScanShape scan = {outer, count, inner, false};
  kernels::scan(dtorch::Scan::sum, scan, x.data(), sums.data(), 0, dtorch::parts_of(scan));
  std::vector<double> expected(n);
  for (size_t i = 0; i < n; ++i) {
    expected[i] = double{x[i]} + (i / inner % count == 0 ? 0 : expected[i - inner]);
  }
  close(sums, expected, "running sums");

  std::vector<std::int64_t> index(n);
  for (size_t i = 0; i < n; ++i) index[i] = static_cast<std::int64_t>(i * 7 % count);
  const dtorch::Slices slices = {outer, count, inner};
  std::vector<T> added(n);
  kernels::add_along(x.data(), index.data(), added.data(), slices, count, 0, outer);
  std::fill(expected.begin(), expected.end(), 0.0);
  for (size_t i = 0; i < n; ++i) {
    const size_t o = i / (count * inner), row = static_cast<size_t>(index[i]);
    expected[(o * count + row) * inner + i % inner] += double{x[i]};
  }
  close(added, expected, "sums at places");

  std::vector<T> best(outer * 4);
  std::vector<std::int64_t> at(outer * 4);
  kernels::top_of_rows(x.data(), best.data(), at.data(), outer, count * inner, 4, true);
  std::vector<T> sorted(x.begin(), x.begin() + count * inner);
  std::sort(sorted.rbegin(), sorted.rend());
  for (size_t i = 0; i < 4; ++i) {
    expect(best[i] == sorted[i] && x[static_cast<size_t>(at[i])] == sorted[i], "largest of a row");
  }

  dtorch::CopyPlan plan = {};  // the last dim of what is read comes first in what is written
  plan.ndim = 3;
  const size_t sizes[] = {inner, outer, count};
  const std::ptrdiff_t from[] = {1, count * inner, inner}, to[] = {outer * count, count, 1};
  std::copy(sizes, sizes + 3, plan.sizes);
  std::copy(from, from + 3, plan.from);
  std::copy(to, to + 3, plan.to);
  std::vector<T> turned(n);
  size_t part = 0;
  kernels::copy_elements(&plan, x.data(), turned.data(), 0, kernels::copy_parts<T>(&plan, &part));
  for (size_t i = 0; i < n; ++i) {
    expect(turned[i % inner * outer * count + i / inner] == x[i], "copy in another order");
  }

  auto param = numbers<T>(n, 21), average = numbers<T>(n, 22), square = numbers<T>(n, 23);
  for (T& value : square) value = std::fabs(value);
  std::vector<double> e_param(n);
  for (size_t i = 0; i < n; ++i) {
    const double g = x[i], a = 0.9 * double{average[i]} + 0.1 * g,
                 q = 0.99 * double{square[i]} + 0.01 * g * g;
    e_param[i] = double{param[i]} - 0.1 * (a / 0.1) / (std::sqrt(q / 0.01) + 1e-8);
  }
  const dtorch::AdamOptions adam = {0.1, 0.9, 0.99, 1e-8, 0, false, false, 0.1, 0.01};
  T* none = nullptr;
  kernels::adam_step(adam, param.data(), x.data(), average.data(), square.data(), none, n);
  close(param, e_param, "step of Adam");
}

template <class T>
void check_all() {
  check_products<T>();
  check_unary<T>();
  check_binary<T>();
  check_activations<T>();
  check_sums<T>();
  check_softmax<T>();
  for (size_t pixels : {5, 7, 64, 203, 1030}) {
    for (double offset : {0.0, 50.0, 30000.0}) {
      check_normalization<T>(0, 6, pixels, offset);
      check_normalization<T>(3, 4, pixels, offset);
    }
  }
  check_convolutions<T>();
  for (size_t kernel : {1, 2, 3, 5}) {
    for (size_t stride : {1, 2, 3}) {
      check_pooling<T>(kernel, stride, kernel / 2, 1);
      check_pooling<T>(kernel, stride, 0, 2);
    }
  }
  check_attention<T>(5, 7, 3, 9, false);
  check_attention<T>(70, 150, 17, 20, true);
  check_others<T>();
}

}  // namespace

int main() {
  dtorch::set_num_threads(2);
  check_all<float>();
  check_all<double>();
  check_choices();
  for (size_t stride : {1, 2}) {
    check_winograd(1, 3, 9, 5, stride);
    check_winograd(2, 17, 13, 40, stride);
  }
  check_winograd(1, 256, 5, 257, 1);
  check_lstm(1, 3);
  check_lstm(7, 21);
  check_half();
  if (failures == 0) std::puts("all checks hold");
  return failures == 0 ? 0 : 1;
}
