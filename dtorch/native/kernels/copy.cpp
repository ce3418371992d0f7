#include "kernels/copy.h"

#include "kernels/integers.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// The dim whose elements are neighbours in `from`, if that is not the last; -1 if there is none.
int crossed_dim(const CopyPlan& s) {
  if (s.from[s.ndim - 1] == 1) return -1;
  for (int d = 0; d < s.ndim - 1; ++d) {
    if (s.from[d] == 1) return d;
  }
  return -1;
}

// Offsets of index `part` of the dims before the last. That of `crossed` counts blocks of a vector.
template <class T>
class Place {
 public:
  Place(const CopyPlan& s, int crossed, std::size_t part) : s_(s), crossed_(crossed) {
    for (int d = s.ndim - 2; d >= 0; --d) {
      const std::size_t count = counts(d);
      index_[d] = part % count;
      part /= count;
      move(d, static_cast<std::ptrdiff_t>(index_[d]));
    }
  }

  void next() {
    for (int d = s_.ndim - 2; d >= 0; --d) {
      move(d, 1);
      if (++index_[d] < counts(d)) return;
      move(d, -static_cast<std::ptrdiff_t>(index_[d]));
      index_[d] = 0;
    }
  }

  std::size_t counts(int d) const {
    return d == crossed_ ? divide_up(s_.sizes[d], lanes<T>) : s_.sizes[d];
  }
  std::size_t index(int d) const { return index_[d]; }

  std::ptrdiff_t from = 0, to = 0;

 private:
  void move(int d, std::ptrdiff_t steps) {
    if (d == crossed_) steps *= static_cast<std::ptrdiff_t>(lanes<T>);
    from += steps * s_.from[d];
    to += steps * s_.to[d];
  }

  const CopyPlan& s_;
  const int crossed_;
  std::size_t index_[CopyPlan::max_dims];
};

// to[j * to_step + i] = from[i * from_step + j] for i < rows and j < columns.
template <class T>
void copy_across(const T* from, std::ptrdiff_t from_step, std::size_t rows, std::size_t columns,
                 T* to, std::ptrdiff_t to_step) {
  constexpr std::size_t n = lanes<T>;
  for (std::size_t i = 0; i < rows; i += n) {
    const std::size_t high = smaller(rows - i, n);
    Vector<T> block[n];
    for (std::size_t k = 0; k < n; ++k) {
      const T* row = from + static_cast<std::ptrdiff_t>(i + k) * from_step;
      block[k] = k < high ? load_some(row, columns) : Vector<T>{};
    }
    transpose<T>(block);
    for (std::size_t k = 0; k < columns; ++k) {
      store_some(to + static_cast<std::ptrdiff_t>(k) * to_step + i, block[k], high);
    }
  }
}

}  // namespace

template <class T>
std::size_t copy_parts(const CopyPlan* plan, std::size_t* size) {
  const CopyPlan& s = *plan;
  const int crossed = crossed_dim(s);
  const Place<T> start(s, crossed, 0);
  std::size_t parts = 1;
  for (int d = 0; d < s.ndim - 1; ++d) parts *= start.counts(d);
  *size = s.sizes[s.ndim - 1] * (crossed < 0 ? 1 : lanes<T>);
  return parts;
}

template <class T>
void copy_elements(const CopyPlan* plan, const T* from, T* to, std::size_t begin, std::size_t end) {
  const CopyPlan& s = *plan;
  const int crossed = crossed_dim(s);
  const std::size_t n = s.sizes[s.ndim - 1];
  const std::ptrdiff_t step = s.from[s.ndim - 1];
  Place<T> place(s, crossed, begin);
  for (std::size_t part = begin; part < end; ++part, place.next()) {
    const T* in = from + place.from;
    T* out = to + place.to;
    if (crossed >= 0) {
      const std::size_t first = place.index(crossed) * lanes<T>;
      copy_across(in, step, n, smaller(s.sizes[crossed] - first, lanes<T>), out, s.to[crossed]);
    } else if (step == 1) {
      __builtin_memcpy(out, in, n * sizeof(T));
    } else {
      for (std::size_t i = 0; i < n; ++i) out[i] = in[static_cast<std::ptrdiff_t>(i) * step];
    }
  }
}

#define DTORCH_INSTANTIATE(T)                                        \
  template std::size_t copy_parts<T>(const CopyPlan*, std::size_t*); \
  template void copy_elements(const CopyPlan*, const T*, T*, std::size_t, std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
