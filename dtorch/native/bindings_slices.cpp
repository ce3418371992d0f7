// What is done along one dim of an array, as Python sees it. Arrays are (outer, rows, inner) in C
// order. Every function says whether it knows the arrays, and all numbers are of rows: of others
// nothing is read or written.
#include "binding_support.h"
#include "bindings.h"

#include <atomic>
#include <cstdint>

#include "core.h"
#include "kernels/indexing.h"
#include "kernels/scan.h"
#include "kernels/topk.h"

namespace dtorch {
namespace {

PyArrayObject* as_array(nb::handle object) { return core::as_array(object.ptr()); }

bool is_plain(nb::handle object, int ndim) {
  if (!core::is_array(object.ptr())) return false;
  PyArrayObject* array = as_array(object);
  return PyArray_NDIM(array) == ndim && PyArray_IS_C_CONTIGUOUS(array) &&
         PyArray_ISBEHAVED_RO(array);
}

bool is_index(nb::handle object, int ndim) {
  return is_plain(object, ndim) && PyArray_ITEMSIZE(as_array(object)) == 8 &&
         PyArray_ISSIGNED(as_array(object));
}

std::size_t size(nb::handle array, int dim) {
  return static_cast<std::size_t>(PyArray_DIM(as_array(array), dim));
}

Slices slices_of(nb::handle array) { return {size(array, 0), size(array, 1), size(array, 2)}; }

template <class T>
T* data(nb::handle array) {
  return static_cast<T*>(PyArray_DATA(as_array(array)));
}

// function(first, last) over ranges of `count` parts of `elements`, on the pool; whether all were
// true.
template <class Function>
bool all_of(std::size_t count, std::size_t elements, Function function) {
  std::atomic<bool> all = true;
  const nb::gil_scoped_release released;
  const std::size_t grain = elements_per_range / 2 / std::max<std::size_t>(elements, 1);
  parallel_for(0, count, grain, [&](std::size_t first, std::size_t last) {
    if (!function(first, last)) all.store(false, std::memory_order_relaxed);
  });
  return all;
}

template <class T>
bool take(nb::handle input, nb::handle index, nb::handle out) {
  const Slices shape = slices_of(input);
  const std::size_t count = size(out, 1);
  return all_of(shape.outer * count, shape.inner, [&](std::size_t first, std::size_t last) {
    return DTORCH_DISPATCH(take_along)(data<const T>(input), shape, data<const std::int64_t>(index),
                                       data<T>(out), count, first, last);
  });
}

bool take_along_of(nb::handle input, nb::handle index, nb::handle out) {
  if (!is_plain(input, 3) || !is_index(index, 3) || !is_plain(out, 3) ||
      PyArray_TYPE(as_array(input)) != PyArray_TYPE(as_array(out)) ||
      !PyArray_ISWRITEABLE(as_array(out)) || PyDataType_REFCHK(PyArray_DESCR(as_array(out))) ||
      size(input, 0) != size(out, 0) || size(input, 2) != size(out, 2) ||
      !PyArray_SAMESHAPE(as_array(index), as_array(out))) {
    return false;
  }
  switch (PyArray_ITEMSIZE(as_array(input))) {
    case 1:
      return take<std::uint8_t>(input, index, out);
    case 2:
      return take<std::uint16_t>(input, index, out);
    case 4:
      return take<std::uint32_t>(input, index, out);
    case 8:
      return take<std::uint64_t>(input, index, out);
    default:
      return false;
  }
}

// function(T{}) for the type to add in; integers wrap, as unsigned ones do.
template <class Function>
bool by_type(nb::handle source, nb::handle out, Function function) {
  if (PyArray_TYPE(as_array(source)) != PyArray_TYPE(as_array(out)) ||
      !PyArray_ISWRITEABLE(as_array(out)) || size(source, 0) != size(out, 0) ||
      size(source, 2) != size(out, 2)) {
    return false;
  }
  switch (PyArray_TYPE(as_array(out))) {
    case NPY_FLOAT:
      return function(float{});
    case NPY_DOUBLE:
      return function(double{});
    case NPY_INT64:
      return function(std::uint64_t{});
    default:
      return false;
  }
}

bool add_along_of(nb::handle source, nb::handle index, nb::handle out) {
  if (!is_plain(source, 3) || !is_index(index, 3) || !is_plain(out, 3) ||
      !PyArray_SAMESHAPE(as_array(index), as_array(source))) {
    return false;
  }
  return by_type(source, out, [&]<class T>(T) {
    const Slices shape = slices_of(out);
    const std::size_t count = size(source, 1);
    return all_of(shape.outer, count * shape.inner, [&](std::size_t first, std::size_t last) {
      return DTORCH_DISPATCH(add_along)(data<const T>(source), data<const std::int64_t>(index),
                                        data<T>(out), shape, count, first, last);
    });
  });
}

bool add_rows_of(nb::handle source, nb::handle index, nb::handle out) {
  if (!is_plain(source, 3) || !is_index(index, 1) || !is_plain(out, 3) ||
      size(index, 0) != size(source, 1)) {
    return false;
  }
  return by_type(source, out, [&]<class T>(T) {
    const Slices shape = slices_of(out);
    const std::size_t count = size(source, 1);
    return all_of(shape.inner, shape.outer * count, [&](std::size_t first, std::size_t last) {
      return DTORCH_DISPATCH(add_rows)(data<const T>(source), data<const std::int64_t>(index),
                                       data<T>(out), shape, count, first, last);
    });
  });
}

bool scan_of(nb::handle input, nb::handle out, bool product, bool reverse) {
  if (!is_plain(input, 3) || !is_plain(out, 3) || size(input, 1) != size(out, 1)) {
    return false;
  }
  return by_type(input, out, [&]<class T>(T) {
    const ScanShape shape = {size(input, 0), size(input, 1), size(input, 2), reverse};
    const std::size_t parts = parts_of(shape);
    const std::size_t elements = static_cast<std::size_t>(PyArray_SIZE(as_array(input)));
    const Scan op = product ? Scan::product : Scan::sum;
    if (elements == 0) return true;
    return all_of(parts, elements / parts, [&](std::size_t first, std::size_t last) {
      DTORCH_DISPATCH(scan)
      (op, shape, data<const T>(input), data<T>(out), first, last);
      return true;
    });
  });
}

template <class T>
void top(nb::handle input, nb::handle values, nb::handle indices, bool largest) {
  const std::size_t rows = size(input, 0), n = size(input, 1), k = size(values, 1);
  const T* from = data<T>(input);
  T* found = data<T>(values);
  std::int64_t* places = data<std::int64_t>(indices);
  all_of(rows, n, [&](std::size_t first, std::size_t last) {
    DTORCH_DISPATCH(top_of_rows)
    (from + first * n, found + first * k, places + first * k, last - first, n, k, largest);
    return true;
  });
}

bool top_of_rows_of(nb::handle input, nb::handle values, nb::handle indices, bool largest) {
  if (!is_plain(input, 2) || !is_plain(values, 2) || !is_index(indices, 2) ||
      PyArray_TYPE(as_array(input)) != PyArray_TYPE(as_array(values)) ||
      !PyArray_SAMESHAPE(as_array(values), as_array(indices)) ||
      size(input, 0) != size(values, 0) || size(values, 1) == 0 ||
      size(values, 1) > size(input, 1) || !PyArray_ISWRITEABLE(as_array(values)) ||
      !PyArray_ISWRITEABLE(as_array(indices))) {
    return false;
  }
  switch (PyArray_TYPE(as_array(input))) {
    case NPY_FLOAT:
      top<float>(input, values, indices, largest);
      return true;
    case NPY_DOUBLE:
      top<double>(input, values, indices, largest);
      return true;
    case NPY_INT64:
      top<std::int64_t>(input, values, indices, largest);
      return true;
    default:
      return false;
  }
}

}  // namespace

void bind_slices(nb::module_& m) {
  m.def("take_along", take_along_of, "input"_a, "index"_a, "out"_a);
  m.def("add_along", add_along_of, "source"_a, "index"_a, "out"_a);
  m.def("add_rows", add_rows_of, "source"_a, "index"_a, "out"_a);
  m.def("top_of_rows", top_of_rows_of, "input"_a, "values"_a, "indices"_a, "largest"_a);
  m.def("scan", scan_of, "input"_a, "out"_a, "product"_a, "reverse"_a);
}

}  // namespace dtorch
