#include "kernels/pooling.h"

#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

// Every step-th element; Step 0 stands for any other than 1 and 2.
template <std::size_t Step, class T>
DTORCH_INLINE Vector<T> every(const T* at, std::size_t step) {
  if constexpr (Step == 1) return load(at);
  if constexpr (Step == 2) return even_elements(load(at), load(at + lanes<T>));
  Vector<T> values = {};
  for (std::size_t k = 0; k < lanes<T>; ++k) values[k] = at[k * step];
  return values;
}

// Goes along a row of windows by vectors. Nothing is read outside of the plane: `outside` is there.
template <class T, std::size_t Step>
class Rows {
 public:
  Rows(const Pooling& s, T outside, T* memory)
      : s_(s),
        span_((s.kernel_width - 1) * s.dilation_width +
              (Step == 0 ? (lanes<T> - 1) * s.stride_width + 1 : lanes<T> * Step)),
        ends_(reinterpret_cast<Every*>(memory)) {
    for (std::size_t x = 0, i = 0; x < s.out_width; x += lanes<T>) {
      for (std::size_t t = 0; t < s.kernel_width; ++t, ++i) {
        ends_[i] = Every(column(x) + static_cast<std::ptrdiff_t>(t * s.dilation_width),
                         static_cast<std::ptrdiff_t>(s.width),
                         static_cast<std::ptrdiff_t>(s.stride_width), outside);
      }
    }
  }

  static std::size_t elements(const Pooling& s) {
    const std::size_t count = (s.out_width + lanes<T> - 1) / lanes<T> * s.kernel_width;
    return round_up(count * sizeof(Every) / sizeof(T), lanes<T>);
  }

  // function(x, load) for every vector of windows; load(line, t) are the elements that column t of
  // them meets.
  template <class Function>
  void along(Function function) const {
    const Every* ends = ends_;
    for (std::size_t x = 0; x < s_.out_width; x += lanes<T>, ends += s_.kernel_width) {
      const std::ptrdiff_t at = column(x);
      if (at >= 0 && static_cast<std::size_t>(at) + span_ <= s_.width) {
        function(x, [&](const T* line, std::size_t t) {
          return every<Step>(line + at + t * s_.dilation_width, s_.stride_width);
        });
      } else {
        function(x, [&](const T* line, std::size_t t) { return ends[t].load_from(line); });
      }
    }
  }

 private:
  using Every = EveryOf<T, static_cast<std::ptrdiff_t>(Step)>;
  std::ptrdiff_t column(std::size_t x) const {
    return static_cast<std::ptrdiff_t>(x * s_.stride_width) -
           static_cast<std::ptrdiff_t>(s_.pad_width);
  }

  const Pooling& s_;
  std::size_t span_;  // elements from the first to behind the last one that a vector reads
  Every* ends_;
};

// The rows of windows in row y that lie in the plane: first .. last. Row 0 would be at `top`.
struct Inside {
  std::ptrdiff_t top;
  std::size_t first, last;

  Inside(const Pooling& s, std::size_t y)
      : top(static_cast<std::ptrdiff_t>(y * s.stride_height) -
            static_cast<std::ptrdiff_t>(s.pad_height)),
        first(above(s, 0)),
        last(smaller(s.kernel_height, above(s, static_cast<std::ptrdiff_t>(s.height)))) {}

 private:
  // So many rows of the window lie above a row of the plane.
  std::size_t above(const Pooling& s, std::ptrdiff_t row) const {
    const auto step = static_cast<std::ptrdiff_t>(s.dilation_height);
    return row <= top ? 0 : static_cast<std::size_t>((row - top + step - 1) / step);
  }
};

// function(value, place in the window) for the elements of a vector of windows.
template <class T, class Load, class Function>
DTORCH_INLINE void for_each_tap(const Pooling& s, const T* plane, const Inside& rows,
                                Load load_column, Function function) {
  for (std::size_t i = rows.first; i < rows.last; ++i) {
    const std::size_t below = i * s.dilation_height * s.width;
    const T* line = plane + rows.top * static_cast<std::ptrdiff_t>(s.width) + below;
    for (std::size_t t = 0; t < s.kernel_width; ++t) {
      function(load_column(line, t), below + t * s.dilation_width);
    }
  }
}

template <class T>
using Place = decltype(Whole<T>{}[0] + 0);

// Places in windows of row y become places in the plane. A window whose largest element is `least`
// has found none that is larger: its place is that of its first element, where that is no padding.
template <class T, class P>
DTORCH_INLINE void put_places(const Pooling& s, std::size_t y, const Inside& rows, const P* places,
                              const T* out, T least, std::int64_t* index) {
  const auto width = static_cast<std::int64_t>(s.width);
  const auto step = static_cast<std::int64_t>(s.stride_width);
  const std::int64_t corner =
      (static_cast<std::int64_t>(y * s.stride_height) - static_cast<std::int64_t>(s.pad_height)) *
          width -
      static_cast<std::int64_t>(s.pad_width);
#pragma omp simd
  for (std::size_t x = 0; x < s.out_width; ++x) {
    index[x] = corner + static_cast<std::int64_t>(x) * step + places[x];
  }
  const auto between = static_cast<std::int64_t>(s.dilation_width);
  const std::int64_t lowest = rows.top + static_cast<std::int64_t>(rows.first * s.dilation_height);
  const std::int64_t row = lowest < static_cast<std::int64_t>(s.height)
                               ? lowest
                               : static_cast<std::int64_t>(s.height) - 1;
  for (std::size_t x = 0; x < s.out_width; ++x) {
    if (out[x] != least) continue;
    std::int64_t column =
        static_cast<std::int64_t>(x) * step - static_cast<std::int64_t>(s.pad_width);
    if (column < 0) column += (between - 1 - column) / between * between;
    index[x] = row * width + (column < width ? column : width - 1);
  }
}

template <std::size_t Step, class T>
void max_pool_by(const Pooling& s, const T* input, T* out, std::int64_t* index, std::size_t planes,
                 T* workspace) {
  const T least = -static_cast<T>(__builtin_inf());
  const Rows<T, Step> rows(s, least, workspace);
  auto* places = reinterpret_cast<Place<T>*>(workspace + Rows<T, Step>::elements(s));
  for (std::size_t p = 0; p < planes; ++p, input += s.height * s.width) {
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width) {
      const Inside inside(s, y);
      if (index == nullptr) {
        rows.along([&](std::size_t x, auto load_column) {
          Vector<T> best = Vector<T>{} + least;
          for_each_tap(s, input, inside, load_column, [&](Vector<T> value, std::size_t) {
            const Vector<T> found = value > best ? value : best;
            best = value != value ? value : found;
          });
          store_some(out + x, best, s.out_width - x);
        });
        continue;
      }
      rows.along([&](std::size_t x, auto load_column) {
        Vector<T> best = Vector<T>{} + least;
        Whole<T> place = {};
        for_each_tap(s, input, inside, load_column, [&](Vector<T> value, std::size_t at) {
          const Whole<T> better = (value > best) | (value != value);
          best = better ? value : best;
          place = better ? Whole<T>{} + static_cast<Place<T>>(at) : place;
        });
        store_some(out + x, best, s.out_width - x);
        __builtin_memcpy(places + x, &place, sizeof place);
      });
      put_places(s, y, inside, places, out, least, index);
      index += s.out_width;
    }
  }
}

template <std::size_t Step, class T>
void sum_pool_by(const Pooling& s, const T* input, T factor, T* out, std::size_t planes,
                 T* workspace) {
  const Rows<T, Step> rows(s, T(0), workspace);
  for (std::size_t p = 0; p < planes; ++p, input += s.height * s.width) {
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width) {
      const Inside inside(s, y);
      rows.along([&](std::size_t x, auto load_column) {
        Vector<T> sum = {};
        for_each_tap(s, input, inside, load_column,
                     [&](Vector<T> value, std::size_t) { sum += value; });
        store_some(out + x, sum * factor, s.out_width - x);
      });
    }
  }
}

}  // namespace

template <class T>
std::size_t pooling_workspace(Pooling s) {
  return Rows<T, 0>::elements(s) + round_up(s.out_width, lanes<T>);
}

template <class T>
void max_pool(Pooling s, const T* input, T* out, std::int64_t* index, std::size_t planes,
              T* workspace) {
  if (s.stride_width == 1) return max_pool_by<1>(s, input, out, index, planes, workspace);
  if (s.stride_width == 2) return max_pool_by<2>(s, input, out, index, planes, workspace);
  max_pool_by<0>(s, input, out, index, planes, workspace);
}

template <class T>
void sum_pool(Pooling s, const T* input, T factor, T* out, std::size_t planes, T* workspace) {
  if (s.stride_width == 1) return sum_pool_by<1>(s, input, factor, out, planes, workspace);
  if (s.stride_width == 2) return sum_pool_by<2>(s, input, factor, out, planes, workspace);
  sum_pool_by<0>(s, input, factor, out, planes, workspace);
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
