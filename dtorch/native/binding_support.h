// What the bindings of kernels share: arrays as arguments, their checks, and the pool.
#pragma once

#include "numpy_api.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

#include "kernels/epilogue.h"
#include "released.h"
#include "thread_pool.h"
#include "workspace.h"

namespace dtorch {

namespace nb = nanobind;
using namespace nb::literals;

// Arrays in C order, of N dims or of any number.
template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
template <class T>
using Elements = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Pair = std::array<std::size_t, 2>;

// Arguments that are arrays of just that type, which results are written to; or None.
constexpr auto operator""_array(const char* name, std::size_t) { return nb::arg(name).noconvert(); }
constexpr auto operator""_optional(const char* name, std::size_t) {
  return nb::arg(name).noconvert().none();
}

inline void expect(bool holds, const char* kernel, const char* what) {
  if (!holds) throw nb::value_error((std::string(kernel) + ": " + what).c_str());
}

template <class T>
T* data_or_null(const Array<T, 1>& array, std::size_t size, const char* kernel) {
  if (!array.is_valid()) return nullptr;
  expect(array.shape(0) == size, kernel, "a vector does not fit the input");
  return array.data();
}

// function(first, last) over ranges of `count` parts of `size` elements, on the pool.
template <class Function>
void for_parts(std::size_t count, std::size_t size, Function function) {
  // Below this the kernel is done sooner than the interpreter's lock is released and taken again.
  constexpr std::size_t worth_releasing = 2 * 1024;
  const Released released(count * size >= worth_releasing);
  parallel_for(0, count, elements_per_range / std::max<std::size_t>(size, 1), function);
}

// What follows a result with channels in its second dim.
template <class T, class Out, class Added>
Epilogue<T> epilogue_of(const char* name, const Out& out, const Array<const T, 1>& factor,
                        const Array<const T, 1>& shift, const Added& added, double low,
                        double high) {
  const std::size_t channels = out.shape(1);
  expect(factor.is_valid() == shift.is_valid(), name, "one of factor and shift is missing");
  expect(!added.is_valid() || added.size() == out.size(), name, "added does not fit out");
  return {data_or_null(factor, channels, name), data_or_null(shift, channels, name),
          added.is_valid() ? added.data() : nullptr, static_cast<T>(low), static_cast<T>(high)};
}

#define DTORCH_EPILOGUE_ARGUMENTS                                                      \
  "factor"_array = nb::none(), "shift"_array = nb::none(), "added"_array = nb::none(), \
  "low"_a = -__builtin_huge_val(), "high"_a = __builtin_huge_val()

}  // namespace dtorch
