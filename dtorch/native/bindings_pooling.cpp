// Pooling as Python sees it.
#include "binding_support.h"
#include "bindings.h"

#include <atomic>
#include <cstdint>

#include "kernels/pooling.h"

namespace dtorch {
namespace {

Pooling pooling_shape(const char* name, std::size_t height, std::size_t width, Pair kernel,
                      Pair stride, Pair padding, Pair dilation, std::size_t out_height,
                      std::size_t out_width) {
  expect(out_height != 0 && out_width != 0 && height != 0 && width != 0, name, "an array is empty");
  return {height,     width,      kernel[0],   kernel[1],   stride[0],  stride[1],
          padding[0], padding[1], dilation[0], dilation[1], out_height, out_width};
}

template <class T>
void max_pool_of(Array<const T, 3> input, Pair kernel, Pair stride, Pair padding, Pair dilation,
                 Array<T, 3> out, Array<std::int64_t, 3> index) {
  const Pooling s = pooling_shape("max_pool", input.shape(1), input.shape(2), kernel, stride,
                                  padding, dilation, out.shape(1), out.shape(2));
  const std::size_t planes = input.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(out.shape(0) == planes && (!index.is_valid() || index.size() == out.size()), "max_pool",
         "results do not fit the input");
  const std::size_t elements = DTORCH_DISPATCH(pooling_workspace<T>)(s);
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    const Workspace<T> workspace(elements);
    DTORCH_DISPATCH(max_pool)
    (s, input.data() + first * size, out.data() + first * pixels,
     index.is_valid() ? index.data() + first * pixels : nullptr, last - first, workspace.get());
  });
}

template <class T>
void sum_pool_of(Array<const T, 3> input, Pair kernel, Pair stride, Pair padding, T factor,
                 Array<T, 3> out) {
  const Pooling s = pooling_shape("sum_pool", input.shape(1), input.shape(2), kernel, stride,
                                  padding, {1, 1}, out.shape(1), out.shape(2));
  const std::size_t planes = input.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(out.shape(0) == planes, "sum_pool", "out does not fit the input");
  const std::size_t elements = DTORCH_DISPATCH(pooling_workspace<T>)(s);
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    const Workspace<T> workspace(elements);
    DTORCH_DISPATCH(sum_pool)
    (s, input.data() + first * size, factor, out.data() + first * pixels, last - first,
     workspace.get());
  });
}

template <class T>
void spread_windows_of(Array<const T, 3> delta, Pair kernel, Pair stride, Pair padding, T factor,
                       Array<T, 3> out) {
  const Pooling s = pooling_shape("spread_windows", out.shape(1), out.shape(2), kernel, stride,
                                  padding, {1, 1}, delta.shape(1), delta.shape(2));
  const std::size_t planes = out.shape(0), size = s.height * s.width;
  const std::size_t pixels = s.out_height * s.out_width;
  expect(delta.shape(0) == planes, "spread_windows", "out does not fit the gradient");
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(spread_windows)
    (s, delta.data() + first * pixels, factor, out.data() + first * size, last - first);
  });
}

template <class T>
void add_at_places_of(Array<const T, 2> delta, Array<const std::int64_t, 2> index,
                      Array<T, 2> out) {
  const std::size_t planes = delta.shape(0), count = delta.shape(1), size = out.shape(1);
  expect(index.shape(0) == planes && index.shape(1) == count && out.shape(0) == planes,
         "add_at_places", "the arrays do not fit each other");
  std::atomic<bool> inside = true;
  for_parts(planes, size, [&](std::size_t first, std::size_t last) {
    if (!DTORCH_DISPATCH(add_at_places)(delta.data() + first * count, index.data() + first * count,
                                        out.data() + first * size, last - first, count, size)) {
      inside = false;
    }
  });
  if (!inside) throw nb::index_error("add_at_places: an index is outside its plane");
}

template <class T>
void def_pooling(nb::module_& m) {
  m.def("max_pool", max_pool_of<T>, "input"_array, "kernel"_a, "stride"_a, "padding"_a,
        "dilation"_a, "out"_array, "index"_optional);
  m.def("sum_pool", sum_pool_of<T>, "input"_array, "kernel"_a, "stride"_a, "padding"_a, "factor"_a,
        "out"_array);
  m.def("spread_windows", spread_windows_of<T>, "delta"_array, "kernel"_a, "stride"_a, "padding"_a,
        "factor"_a, "out"_array);
  m.def("add_at_places", add_at_places_of<T>, "delta"_array, "index"_array, "out"_array);
}

}  // namespace

void bind_pooling(nb::module_& m) {
  def_pooling<float>(m);
  def_pooling<double>(m);
}

}  // namespace dtorch
