#include "kernels/depthwise.h"

#include "kernels/finish.h"
#include "kernels/items.h"
#include "kernels/strips.h"
#include "kernels/windows.h"

namespace dtorch::DTORCH_CAPABILITY {
namespace {

constexpr std::size_t elements_at_once = 16 * 1024;  // of the planes that a thread takes

// Planes of any shape, laid out as windows.h says: a copy of each, and a number for every window.
template <class T>
class Padded {
 public:
  explicit Padded(const Convolution& s)
      : s_(s),
        windows_(s, s.out_height),
        taps_(s.kernel_height * s.kernel_width),
        count_(windows_.numbers(s.out_height)),
        planes_(round_up(windows_.channel, lanes<T>) + (at_once + 1) * lanes<T>) {}

  std::size_t shared() const {
    return round_up(taps_ * sizeof(std::size_t) / sizeof(T) + 1, lanes<T>);
  }
  void write_shared(T* to) const {
    auto* offsets = reinterpret_cast<std::size_t*>(to);
    for (std::size_t t = 0; t < taps_; ++t) offsets[t] = windows_.offset(t);
  }

  // Planes and numbers, both with what vectors reach behind them.
  std::size_t own() const { return planes_ + round_up(count_, at_once * lanes<T>) + lanes<T>; }
  // Vectors meet numbers without a window, and what lies behind the planes, with a factor of 0.
  void clear(T* to) const { __builtin_memset(to, 0, own() * sizeof(T)); }
  void fill(const T* plane, T* to) const { windows_.fill(plane, 0, s_.out_height, to); }

  void convolve(const Planes<T>& of, Taps<T> taps, T shift, T* out) const {
    const auto* offsets = reinterpret_cast<const std::size_t*>(of.shared);
    T* sums = of.own + planes_;
    for (std::size_t n = 0; n < count_; n += at_once * lanes<T>) {
      Vector<T> sum[at_once];
#pragma GCC unroll 4
      for (std::size_t i = 0; i < at_once; ++i) sum[i] = Vector<T>{} + shift;
      for (std::size_t t = 0; t < taps_; ++t) {
        const T* from = of.own + offsets[t] + n;
        const T weight = taps[t];
#pragma GCC unroll 4
        for (std::size_t i = 0; i < at_once; ++i) sum[i] += weight * load(from + i * lanes<T>);
      }
#pragma GCC unroll 4
      for (std::size_t i = 0; i < at_once; ++i) store(sums + n + i * lanes<T>, sum[i]);
    }
    for (std::size_t y = 0; y < s_.out_height; ++y, out += s_.out_width) {
      for (std::size_t x = 0; x < s_.out_width; x += lanes<T>) {
        store_some(out + x, load(sums + y * windows_.row + x), s_.out_width - x);
      }
    }
  }

  void correlate(const Planes<T>& of, const T* delta, T* sums) const {
    const auto* offsets = reinterpret_cast<const std::size_t*>(of.shared);
    T* grads = of.own + planes_;
    for (std::size_t y = 0; y < s_.out_height; ++y, delta += s_.out_width) {
      T* to = grads + y * windows_.row;
      for (std::size_t x = 0; x < s_.out_width; x += lanes<T>) {
        store_some(to + x, load_some(delta + x, s_.out_width - x), s_.out_width - x);
      }
    }
    for (std::size_t t = 0; t < taps_; t += at_once) {
      const std::size_t some = smaller(taps_ - t, at_once);
      const T* from[at_once];
      Vector<T> sum[at_once] = {};
      for (std::size_t i = 0; i < at_once; ++i) from[i] = of.own + offsets[t + (i < some ? i : 0)];
      for (std::size_t n = 0; n < count_; n += lanes<T>) {
        const Vector<T> grad = load(grads + n);
#pragma GCC unroll 4
        for (std::size_t i = 0; i < at_once; ++i) sum[i] += grad * load(from[i] + n);
      }
      for (std::size_t i = 0; i < some; ++i) {
        T* to = sums + (t + i) * lanes<T>;
        store(to, load(to) + sum[i]);
      }
    }
  }

 private:
  static constexpr std::size_t at_once = 4;  // vectors of windows, or taps, summed in registers
  Convolution s_;
  Windows<T> windows_;
  std::size_t taps_, count_, planes_;
};

bool is_square(const Convolution& s, std::size_t side, std::size_t stride) {
  return s.kernel_height == side && s.kernel_width == side && s.stride_height == stride &&
         s.stride_width == stride && s.dilation_height == 1 && s.dilation_width == 1;
}

// function(the way that suits the shape)
template <class T, class Function>
auto choose(const Convolution& s, Function function) {
  if (is_square(s, 3, 1)) return function(Strips<T, 3, 1>(s));
  if (is_square(s, 3, 2)) return function(Strips<T, 3, 2>(s));
  if (is_square(s, 5, 1)) return function(Strips<T, 5, 1>(s));
  if (is_square(s, 5, 2)) return function(Strips<T, 5, 2>(s));
  return function(Padded<T>(s));
}

// Of every slot, for the sums of depthwise_weight.
template <class T>
std::size_t elements_of_sums(const Convolution& s) {
  return s.kernel_height * s.kernel_width * lanes<T>;
}

// function(plane, the one after it, slot); a thread takes some that lie one after another.
template <class Function>
void for_each_plane(const Convolution& s, Function function) {
  const std::size_t planes = s.images * s.channels;
  const std::size_t size = s.height * s.width + s.out_height * s.out_width;
  const std::size_t many = larger(smaller(elements_at_once / size, planes / (8 * s.slots)), 1);
  for_each_item(divide_up(planes, many), s.slots, [&](std::size_t item, std::size_t slot) {
    const std::size_t end = smaller(planes, (item + 1) * many);
    for (std::size_t plane = item * many; plane < end; ++plane) {
      function(plane, smaller(plane + 1, planes - 1), slot);
    }
  });
}

// What the slots of a way have of their own, `apart` elements from one to the next.
template <class T, class Way>
void prepare(const Convolution& s, const Way& way, T* shared, T* own, std::size_t apart) {
  way.write_shared(shared);
  for (std::size_t slot = 0; slot < s.slots; ++slot) way.clear(own + slot * apart);
}

}  // namespace

template <class T>
std::size_t depthwise_workspace(Convolution s) {
  return choose<T>(s, [&](const auto& way) { return way.shared() + s.slots * way.own(); });
}

template <class T>
std::size_t depthwise_weight_workspace(Convolution s) {
  return depthwise_workspace<T>(s) + s.slots * elements_of_sums<T>(s);
}

template <class T>
void depthwise_convolution(Convolution s, const T* input, const T* weight, const T* bias,
                           bool turned, Epilogue<T> epilogue, T* out, T* workspace) {
  const std::size_t taps = s.kernel_height * s.kernel_width, filters = s.filters / s.channels;
  const std::size_t pixels = s.out_height * s.out_width, size = s.height * s.width;
  const bool finished = epilogue.changes();
  choose<T>(s, [&](const auto& way) {
    T* own = workspace + way.shared();
    prepare(s, way, workspace, own, way.own());
    for_each_plane(s, [&](std::size_t plane, std::size_t next, std::size_t slot) {
      const Planes<T> of = {input + plane * size, input + next * size, workspace,
                            own + slot * way.own()};
      way.fill(of.plane, of.own);
      for (std::size_t f = 0; f < filters; ++f) {
        const std::size_t filter = plane % s.channels * filters + f;
        const std::size_t at = (plane * filters + f) * pixels;
        way.convolve(of, Taps<T>(weight + filter * taps, taps, turned),
                     bias == nullptr ? T(0) : bias[filter], out + at);
        if (finished) finish(epilogue, filter, at, pixels, out + at, out + at);
      }
    });
  });
}

template <class T>
void depthwise_weight(Convolution s, const T* delta, const T* input, T* weight_grad, T* workspace) {
  const std::size_t taps = s.kernel_height * s.kernel_width, filters = s.filters / s.channels;
  const std::size_t pixels = s.out_height * s.out_width, size = s.height * s.width;
  choose<T>(s, [&](const auto& way) {
    const std::size_t before = elements_of_sums<T>(s), apart = before + way.own();
    T* slots = workspace + way.shared();
    prepare(s, way, workspace, slots + before, apart);
    for_each_item(s.filters, s.slots, [&](std::size_t filter, std::size_t slot) {
      const std::size_t channel = filter / filters;
      T* sums = slots + slot * apart;
      __builtin_memset(sums, 0, before * sizeof(T));
      for (std::size_t image = 0; image < s.images; ++image) {
        const std::size_t next = smaller(image + 1, s.images - 1);
        const Planes<T> of = {input + (image * s.channels + channel) * size,
                              input + (next * s.channels + channel) * size, workspace,
                              sums + before};
        way.fill(of.plane, of.own);
        way.correlate(of, delta + (image * s.filters + filter) * pixels, sums);
      }
      for (std::size_t t = 0; t < taps; ++t) {
        const Vector<T> sum = load(sums + t * lanes<T>);
        T total = 0;
        for (std::size_t k = 0; k < lanes<T>; ++k) total += sum[k];
        weight_grad[filter * taps + t] = total;
      }
    });
  });
}

// -------------------------------------------------------------------------- gradient of input

namespace {

// The convolution that is the gradient at stride 1.
Convolution turned_around(Convolution s) {
  Convolution t = s;
  t.height = s.out_height;
  t.width = s.out_width;
  t.out_height = s.height;
  t.out_width = s.width;
  t.pad_height =
      static_cast<std::ptrdiff_t>(s.dilation_height * (s.kernel_height - 1)) - s.pad_height;
  t.pad_width = static_cast<std::ptrdiff_t>(s.dilation_width * (s.kernel_width - 1)) - s.pad_width;
  return t;
}

template <class T, std::size_t K>
void spread_planes(const Convolution& s, const T* delta, const T* weight, T* grad_input) {
  const std::size_t pixels = s.out_height * s.out_width, size = s.height * s.width;
  for_each_plane(s, [&](std::size_t plane, std::size_t next, std::size_t) {
    spread_strips<T, K>(s, delta + plane * pixels, delta + next * pixels,
                        weight + plane % s.channels * K * K, grad_input + plane * size);
  });
}

}  // namespace

template <class T>
std::size_t depthwise_input_workspace(Convolution s) {
  return s.stride_height == 1 ? depthwise_workspace<T>(turned_around(s)) : 0;
}

template <class T>
void depthwise_input(Convolution s, const T* delta, const T* weight, T* grad_input, T* workspace) {
  if (s.stride_height == 1) {
    const T* no_bias = nullptr;
    depthwise_convolution(turned_around(s), delta, weight, no_bias, true, Epilogue<T>{}, grad_input,
                          workspace);
  } else if (s.kernel_height == 3) {
    spread_planes<T, 3>(s, delta, weight, grad_input);
  } else {
    spread_planes<T, 5>(s, delta, weight, grad_input);
  }
}

#define DTORCH_INSTANTIATE(T)                                                          \
  template std::size_t depthwise_workspace<T>(Convolution);                            \
  template std::size_t depthwise_input_workspace<T>(Convolution);                      \
  template std::size_t depthwise_weight_workspace<T>(Convolution);                     \
  template void depthwise_convolution(Convolution, const T*, const T*, const T*, bool, \
                                      Epilogue<T>, T*, T*);                            \
  template void depthwise_input(Convolution, const T*, const T*, T*, T*);              \
  template void depthwise_weight(Convolution, const T*, const T*, T*, T*);
DTORCH_INSTANTIATE(float)
DTORCH_INSTANTIATE(double)
#undef DTORCH_INSTANTIATE

}  // namespace dtorch::DTORCH_CAPABILITY
