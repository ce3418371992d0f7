// Normalisation of channels and of rows as Python sees it.
#include "binding_support.h"
#include "bindings.h"

#include "kernels/normalization.h"

namespace dtorch {
namespace {

template <class T>
void sum_channels_of(Array<const T, 3> input, Array<T, 1> out) {
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(out.size() == channels, "sum_channels", "out does not fit the input");
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(sum_channels)
    (input.data(), out.data(), images, channels, pixels, first, last);
  });
}

template <class T>
void normalize_channels_of(Array<const T, 3> input, Array<const T, 1> weight,
                           Array<const T, 1> bias, double eps, Array<T, 3> out, Array<T, 1> average,
                           Array<T, 1> variance, Array<T, 1> scale) {
  constexpr const char* name = "normalize_channels";
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(out.size() == input.size(), name, "out does not fit the input");
  const T* w = data_or_null(weight, channels, name);
  const T* b = data_or_null(bias, channels, name);
  T* mean = data_or_null(average, channels, name);
  T* square = data_or_null(variance, channels, name);
  T* factor = data_or_null(scale, channels, name);
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(normalize_channels)
    (input.data(), w, b, eps, out.data(), mean, square, factor, images, channels, pixels, first,
     last);
  });
}

template <class T>
void normalize_channels_backward_of(Array<const T, 3> grad, Array<const T, 3> input,
                                    Array<const T, 1> weight, Array<const T, 1> average,
                                    Array<const T, 1> scale, Array<T, 3> grad_input,
                                    Array<T, 1> grad_weight, Array<T, 1> grad_bias) {
  constexpr const char* name = "normalize_channels_backward";
  const std::size_t images = input.shape(0), channels = input.shape(1), pixels = input.shape(2);
  expect(grad.size() == input.size(), name, "grad does not fit the input");
  expect(!grad_input.is_valid() || grad_input.size() == input.size(), name,
         "grad_input does not fit the input");
  const T* w = data_or_null(weight, channels, name);
  const T* mean = data_or_null(average, channels, name);
  const T* factor = data_or_null(scale, channels, name);
  T* dx = grad_input.is_valid() ? grad_input.data() : nullptr;
  T* dw = data_or_null(grad_weight, channels, name);
  T* db = data_or_null(grad_bias, channels, name);
  for_parts(channels, images * pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(normalize_channels_backward)
    (grad.data(), input.data(), w, mean, factor, dx, dw, db, images, channels, pixels, first, last);
  });
}

template <class T>
void finish_planes_of(Array<const T, 3> input, Array<T, 3> out, Array<const T, 1> factor,
                      Array<const T, 1> shift, Array<const T, 3> added, double low, double high) {
  constexpr const char* name = "finish_planes";
  const std::size_t channels = input.shape(1), pixels = input.shape(2);
  expect(out.shape(0) == input.shape(0) && out.shape(1) == channels && out.shape(2) == pixels, name,
         "out does not fit the input");
  const Epilogue<T> epilogue = epilogue_of(name, out, factor, shift, added, low, high);
  for_parts(input.shape(0) * channels, pixels, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(finish_planes)
    (input.data(), epilogue, out.data(), channels, pixels, first, last);
  });
}

template <class T>
void normalize_rows_of(Array<const T, 2> input, Array<const T, 1> weight, Array<const T, 1> bias,
                       double eps, Array<T, 2> out, Array<T, 1> average, Array<T, 1> variance,
                       Array<T, 1> scale) {
  constexpr const char* name = "normalize_rows";
  const std::size_t rows = input.shape(0), columns = input.shape(1);
  expect(out.size() == input.size(), name, "out does not fit the input");
  const T* w = data_or_null(weight, columns, name);
  const T* b = data_or_null(bias, columns, name);
  T* mean = data_or_null(average, rows, name);
  T* square = data_or_null(variance, rows, name);
  T* factor = data_or_null(scale, rows, name);
  for_parts(rows, columns, [&](std::size_t first, std::size_t last) {
    const std::size_t at = first * columns;
    DTORCH_DISPATCH(normalize_rows)
    (input.data() + at, w, b, eps, out.data() + at, mean + first, square + first, factor + first,
     last - first, columns);
  });
}

// Sums of weight and bias are (parts, columns), one for each part of the rows: the caller adds them
// up, and the result does not depend on the number of threads.
template <class T>
void normalize_rows_backward_of(Array<const T, 2> grad, Array<const T, 2> input,
                                Array<const T, 1> weight, Array<const T, 1> average,
                                Array<const T, 1> scale, Array<T, 2> grad_input,
                                Array<T, 2> weight_sums, Array<T, 2> bias_sums) {
  constexpr const char* name = "normalize_rows_backward";
  const std::size_t rows = input.shape(0), columns = input.shape(1);
  const std::size_t parts = weight_sums.shape(0);
  expect(grad.size() == input.size(), name, "grad does not fit the input");
  expect(!grad_input.is_valid() || grad_input.size() == input.size(), name,
         "grad_input does not fit the input");
  expect(weight_sums.shape(1) == columns && bias_sums.shape(1) == columns && parts != 0 &&
             bias_sums.shape(0) == parts,
         name, "sums do not fit the input");
  const T* w = data_or_null(weight, columns, name);
  const T* mean = data_or_null(average, rows, name);
  const T* factor = data_or_null(scale, rows, name);
  const std::size_t part = (rows + parts - 1) / parts;
  for_parts(parts, part * columns, [&](std::size_t first, std::size_t last) {
    for (std::size_t p = first; p < last; ++p) {
      const std::size_t begin = std::min(p * part, rows), end = std::min(begin + part, rows);
      const std::size_t at = begin * columns;
      T* dx = grad_input.is_valid() ? grad_input.data() + at : nullptr;
      T* dw = weight_sums.data() + p * columns;
      T* db = bias_sums.data() + p * columns;
      std::fill_n(dw, columns, T(0));
      std::fill_n(db, columns, T(0));
      DTORCH_DISPATCH(normalize_rows_backward)
      (grad.data() + at, input.data() + at, w, mean + begin, factor + begin, dx, dw, db,
       end - begin, columns);
    }
  });
}

template <class T>
void def_normalization(nb::module_& m) {
  m.def("sum_channels", sum_channels_of<T>, "input"_array, "out"_array);
  m.def("normalize_channels", normalize_channels_of<T>, "input"_array, "weight"_optional,
        "bias"_optional, "eps"_a, "out"_array, "average"_array, "variance"_array, "scale"_array);
  m.def("normalize_channels_backward", normalize_channels_backward_of<T>, "grad"_array,
        "input"_array, "weight"_optional, "average"_array, "scale"_array, "grad_input"_optional,
        "grad_weight"_optional, "grad_bias"_optional);
  m.def("finish_planes", finish_planes_of<T>, "input"_array, "out"_array,
        DTORCH_EPILOGUE_ARGUMENTS);
  m.def("normalize_rows", normalize_rows_of<T>, "input"_array, "weight"_optional, "bias"_optional,
        "eps"_a, "out"_array, "average"_array, "variance"_array, "scale"_array);
  m.def("normalize_rows_backward", normalize_rows_backward_of<T>, "grad"_array, "input"_array,
        "weight"_optional, "average"_array, "scale"_array, "grad_input"_optional,
        "weight_sums"_array, "bias_sums"_array);
}

}  // namespace

void bind_normalization(nb::module_& m) {
  def_normalization<float>(m);
  def_normalization<double>(m);
}

}  // namespace dtorch
