#include "kernels/scan.h"

#include <cstdint>

#include "kernels/integers.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t columns_at_once = scan_columns;
constexpr std::size_t rows_at_once = scan_rows;  // chains of additions in flight

template <class T>
struct WideOf {
  using type = T;
};
template <>
struct WideOf<float> {
  using type = double;
};

struct Sum {
  static constexpr int start = 0;
  template <class T>
  [[gnu::always_inline]] static inline void apply(T& total, T x) {
    total += x;
  }
};
struct Product {
  static constexpr int start = 1;
  template <class T>
  [[gnu::always_inline]] static inline void apply(T& total, T x) {
    total *= x;
  }
};

// `Count` rows of n elements, `row` apart.
template <class F, std::size_t Count, class T>
void scan_rows_of(const T* input, T* out, std::size_t n, bool reverse) {
  using Wide = typename WideOf<T>::type;
  Wide totals[Count];
  for (std::size_t r = 0; r < Count; ++r) totals[r] = F::start;
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t i = reverse ? n - 1 - k : k;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < Count; ++r) {
      F::apply(totals[r], static_cast<Wide>(input[r * n + i]));
      out[r * n + i] = static_cast<T>(totals[r]);
    }
  }
}

template <class F, class T>
void scan_columns_of(const T* input, T* out, ScanShape s, std::size_t columns) {
  using Wide = typename WideOf<T>::type;
  Wide totals[columns_at_once];
  for (std::size_t j = 0; j < columns; ++j) totals[j] = F::start;
  for (std::size_t k = 0; k < s.count; ++k) {
    const std::size_t at = (s.reverse ? s.count - 1 - k : k) * s.inner;
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) {
      F::apply(totals[j], static_cast<Wide>(input[at + j]));
      out[at + j] = static_cast<T>(totals[j]);
    }
  }
}

template <class F, class T>
void scan_part(ScanShape s, const T* input, T* out, std::size_t part) {
  if (s.inner == 1) {
    const std::size_t row = part * rows_at_once, rows = smaller(s.outer - row, rows_at_once);
    input += row * s.count;
    out += row * s.count;
    if (rows == rows_at_once) {
      return scan_rows_of<F, rows_at_once>(input, out, s.count, s.reverse);
    }
    for (std::size_t r = 0; r < rows; ++r) {
      scan_rows_of<F, 1>(input + r * s.count, out + r * s.count, s.count, s.reverse);
    }
    return;
  }
  const std::size_t blocks = divide_up(s.inner, columns_at_once);
  const std::size_t column = part % blocks * columns_at_once;
  const std::size_t at = part / blocks * s.count * s.inner + column;
  scan_columns_of<F>(input + at, out + at, s, smaller(s.inner - column, columns_at_once));
}

}  // namespace

template <class T>
void scan(Scan op, ScanShape s, const T* input, T* out, std::size_t first, std::size_t last) {
  for (std::size_t part = first; part < last; ++part) {
    if (op == Scan::sum) {
      scan_part<Sum>(s, input, out, part);
    } else {
      scan_part<Product>(s, input, out, part);
    }
  }
}

template void scan(Scan, ScanShape, const float*, float*, std::size_t, std::size_t);
template void scan(Scan, ScanShape, const double*, double*, std::size_t, std::size_t);
template void scan(Scan, ScanShape, const std::uint64_t*, std::uint64_t*, std::size_t, std::size_t);

}  // namespace dtorch::DTORCH_CAPABILITY
