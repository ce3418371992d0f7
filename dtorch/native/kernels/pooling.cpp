#include "kernels/pooling.h"

#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

template <class T>
Windows<T> windows_of(const Pooling& s) {
  return Windows<T>(Side(s.height, s.out_height, s.kernel_height, s.stride_height,
                         s.dilation_height, static_cast<std::ptrdiff_t>(s.pad_height)),
                    Side(s.width, s.out_width, s.kernel_width, s.stride_width, s.dilation_width,
                         static_cast<std::ptrdiff_t>(s.pad_width)),
                    s.out_height);
}

// Elements behind the last one that vectors reach.
template <class T>
std::size_t size_of_planes(const Windows<T>& windows) {
  return round_up(windows.channel, lanes<T>) + 2 * lanes<T>;
}

// Where the elements of a window are: in planes, and in the image. Both lie in the workspace.
template <class T>
struct Taps {
  using Place = decltype(Whole<T>{}[0] + 0);
  std::size_t count;
  std::size_t* offsets;
  Place* places;

  Taps(const Pooling& s, const Windows<T>& windows, T* memory)
      : count(s.kernel_height * s.kernel_width),
        offsets(reinterpret_cast<std::size_t*>(memory)),
        places(reinterpret_cast<Place*>(offsets + count)) {
    for (std::size_t t = 0; t < count; ++t) {
      offsets[t] = windows.offset(t);
      places[t] = static_cast<Place>(t / s.kernel_width * s.dilation_height * s.width +
                                     t % s.kernel_width * s.dilation_width);
    }
  }

  static std::size_t elements(std::size_t count) {
    return round_up(count * (sizeof(std::size_t) / sizeof(T) + 1), lanes<T>);
  }
};

}  // namespace

template <class T>
std::size_t pooling_workspace(Pooling s) {
  const Windows<T> windows = windows_of<T>(s);
  return Taps<T>::elements(s.kernel_height * s.kernel_width) + size_of_planes(windows) +
         2 * round_up(windows.numbers(s.out_height), lanes<T>);
}

template <class T>
void max_pool(Pooling s, const T* input, T* out, std::int64_t* index, std::size_t planes,
              T* workspace) {
  using Place = typename Taps<T>::Place;
  const Windows<T> windows = windows_of<T>(s);
  const std::size_t count = windows.numbers(s.out_height);
  const Taps<T> taps(s, windows, workspace);
  workspace += Taps<T>::elements(taps.count);
  const auto size = static_cast<std::int64_t>(s.height * s.width);
  T* largest = workspace + size_of_planes(windows);
  auto* places = reinterpret_cast<Place*>(largest + round_up(count, lanes<T>));
  for (std::size_t p = 0; p < planes; ++p, input += size) {
    windows.fill(input, 0, s.out_height, workspace, -static_cast<T>(__builtin_inf()));
    for (std::size_t n = 0; n < count; n += lanes<T>) {
      Vector<T> best = load(workspace + n);
      Whole<T> place = {};
      for (std::size_t t = 0; t < taps.count; ++t) {
        const Vector<T> value = load(workspace + taps.offsets[t] + n);
        const Whole<T> better = (value > best) | (value != value);
        best = better ? value : best;
        place = better ? Whole<T>{} + taps.places[t] : place;
      }
      store(largest + n, best);
      __builtin_memcpy(places + n, &place, sizeof place);
    }
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width, index += s.out_width) {
      const T* from = largest + y * windows.row;
      const Place* place = places + y * windows.row;
      const auto row =
          static_cast<std::int64_t>(y * s.stride_height) - static_cast<std::int64_t>(s.pad_height);
      const std::int64_t corner =
          row * static_cast<std::int64_t>(s.width) - static_cast<std::int64_t>(s.pad_width);
      const auto step = static_cast<std::int64_t>(s.stride_width);
#pragma omp simd
      for (std::size_t x = 0; x < s.out_width; ++x) {
        out[x] = from[x];
        // -inf alone may have been found outside the image.
        const std::int64_t at = corner + static_cast<std::int64_t>(x) * step + place[x];
        index[x] = at < 0 ? 0 : at >= size ? size - 1 : at;
      }
    }
  }
}

template <class T>
void sum_pool(Pooling s, const T* input, T factor, T* out, std::size_t planes, T* workspace) {
  const Windows<T> windows = windows_of<T>(s);
  const std::size_t count = windows.numbers(s.out_height);
  const Taps<T> taps(s, windows, workspace);
  workspace += Taps<T>::elements(taps.count);
  T* sums = workspace + size_of_planes(windows);
  for (std::size_t p = 0; p < planes; ++p, input += s.height * s.width) {
    windows.fill(input, 0, s.out_height, workspace);
    for (std::size_t n = 0; n < count; n += lanes<T>) {
      Vector<T> sum = {};
      for (std::size_t t = 0; t < taps.count; ++t) sum += load(workspace + taps.offsets[t] + n);
      store(sums + n, sum * factor);
    }
    for (std::size_t y = 0; y < s.out_height; ++y, out += s.out_width) {
      const T* from = sums + y * windows.row;
#pragma omp simd
      for (std::size_t x = 0; x < s.out_width; ++x) out[x] = from[x];
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
