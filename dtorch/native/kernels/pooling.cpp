#include "kernels/pooling.h"

#include "kernels/integers.h"
#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// A plane with `value` around it, as far as windows reach; rows are long enough for whole vectors.
template <class T>
struct Framed {
  std::size_t rows, row;

  explicit Framed(const Pooling& s)
      : rows(larger(
            (s.out_height - 1) * s.stride_height + (s.kernel_height - 1) * s.dilation_height + 1,
            s.height + s.pad_height)),
        row(larger(round_up(s.out_width, lanes<T>) * s.stride_width +
                       (s.kernel_width - 1) * s.dilation_width + lanes<T>,
                   s.width + s.pad_width)) {}

  std::size_t size() const { return rows * row; }

  void fill(const Pooling& s, const T* plane, T value, T* out) const {
    for (std::size_t y = 0; y < rows; ++y, out += row) {
      if (y < s.pad_height || y >= s.pad_height + s.height) {
        for (std::size_t x = 0; x < row; ++x) out[x] = value;
        continue;
      }
      for (std::size_t x = 0; x < s.pad_width; ++x) out[x] = value;
      __builtin_memcpy(out + s.pad_width, plane + (y - s.pad_height) * s.width,
                       s.width * sizeof(T));
      for (std::size_t x = s.pad_width + s.width; x < row; ++x) out[x] = value;
    }
  }
};

template <class T>
DTORCH_INLINE Vector<T> load_steps(const T* from, std::size_t step) {
  if (step == 1) return load(from);
  if (step == 2) {
    return even_elements<T>(load(from), load(from + lanes<T>));
  }
  T values[lanes<T>];
  for (std::size_t i = 0; i < lanes<T>; ++i) values[i] = from[i * step];
  return load(values);
}

}  // namespace

template <class T>
std::size_t pooling_workspace(Pooling s) {
  return Framed<T>(s).size();
}

template <class T>
void max_pool(Pooling s, const T* input, T* out, std::int64_t* index, std::size_t planes,
              T* workspace) {
  using Places = decltype(Vector<T>{} < Vector<T>{});  // integers as wide as T
  const Framed<T> framed(s);
  const auto size = static_cast<std::int64_t>(s.height * s.width);
  for (std::size_t p = 0; p < planes; ++p, input += size) {
    framed.fill(s, input, -static_cast<T>(__builtin_inf()), workspace);
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width, index += s.out_width) {
      const std::int64_t row =
          static_cast<std::int64_t>(y * s.stride_height) - static_cast<std::int64_t>(s.pad_height);
      const std::int64_t corner =
          row * static_cast<std::int64_t>(s.width) - static_cast<std::int64_t>(s.pad_width);
      for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
        const T* window = workspace + y * s.stride_height * framed.row + x * s.stride_width;
        Vector<T> best = load_steps(window, s.stride_width);
        Places places = {};
        for (std::size_t i = 0; i < s.kernel_height; ++i) {
          for (std::size_t j = 0; j < s.kernel_width; ++j) {
            const Vector<T> value = load_steps(
                window + i * s.dilation_height * framed.row + j * s.dilation_width, s.stride_width);
            const std::size_t place = i * s.dilation_height * s.width + j * s.dilation_width;
            const Places better = (value > best) | (value != value);
            best = better ? value : best;
            places = better ? Places{} + static_cast<decltype(places[0] + 0)>(place) : places;
          }
        }
        const std::size_t count = smaller(s.out_width - x, lanes<T>);
        store_some(out + x, best, count);
        const std::int64_t start = corner + static_cast<std::int64_t>(x * s.stride_width);
        const auto step = static_cast<std::int64_t>(s.stride_width);
        for (std::size_t k = 0; k < count; ++k) {
          // -inf alone may have been found in the frame.
          const std::int64_t at = start + static_cast<std::int64_t>(k) * step + places[k];
          index[x + k] = at < 0 ? 0 : at >= size ? size - 1 : at;
        }
      }
    }
  }
}

template <class T>
void sum_pool(Pooling s, const T* input, T factor, T* out, std::size_t planes, T* workspace) {
  const Framed<T> framed(s);
  for (std::size_t p = 0; p < planes; ++p, input += s.height * s.width) {
    framed.fill(s, input, T(0), workspace);
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width) {
      for (std::size_t x = 0; x < s.out_width; x += lanes<T>) {
        const T* window = workspace + y * s.stride_height * framed.row + x * s.stride_width;
        Vector<T> sum = {};
        for (std::size_t i = 0; i < s.kernel_height; ++i) {
          for (std::size_t j = 0; j < s.kernel_width; ++j) {
            sum += load_steps(window + i * s.dilation_height * framed.row + j * s.dilation_width,
                              s.stride_width);
          }
        }
        store_some(out + x, sum * factor, s.out_width - x);
      }
    }
  }
}

template <class T>
void spread_windows(Pooling s, const T* delta, T factor, T* out, std::size_t planes) {
  for (std::size_t p = 0; p < planes; ++p, out += s.height * s.width) {
    __builtin_memset(out, 0, s.height * s.width * sizeof(T));
    for (std::size_t y = 0; y < s.out_height; ++y) {
      const std::size_t top = y * s.stride_height, end = top + s.kernel_height;
      for (std::size_t x = 0; x < s.out_width; ++x, ++delta) {
        const T share = *delta * factor;
        const std::size_t left = larger(x * s.stride_width, s.pad_width);
        const std::size_t right =
            smaller(x * s.stride_width + s.kernel_width, s.width + s.pad_width);
        for (std::size_t i = larger(top, s.pad_height); i < smaller(end, s.height + s.pad_height);
             ++i) {
          T* row = out + (i - s.pad_height) * s.width;
          for (std::size_t j = left; j < right; ++j) row[j - s.pad_width] += share;
        }
      }
    }
  }
}

template <class T>
bool add_at_places(const T* delta, const std::int64_t* index, T* out, std::size_t planes,
                   std::size_t count, std::size_t size) {
  for (std::size_t p = 0; p < planes; ++p, delta += count, index += count, out += size) {
    __builtin_memset(out, 0, size * sizeof(T));
    for (std::size_t i = 0; i < count; ++i) {
      if (static_cast<std::size_t>(index[i]) >= size) return false;
      out[index[i]] += delta[i];
    }
  }
  return true;
}

#define DTORCH_INSTANTIATE(T)                                                              \
  template std::size_t pooling_workspace<T>(Pooling);                                      \
  template void max_pool(Pooling, const T*, T*, std::int64_t*, std::size_t, T*);           \
  template void sum_pool(Pooling, const T*, T, T*, std::size_t, T*);                       \
  template void spread_windows(Pooling, const T*, T, T*, std::size_t);                     \
  template bool add_at_places(const T*, const std::int64_t*, T*, std::size_t, std::size_t, \
                              std::size_t);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
