#include "elementwise.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core.h"
#include "half.h"
#include "released.h"
#include "thread_pool.h"

namespace dtorch {

namespace {

constexpr npy_intp elements_to_release_gil = 16 * 1024;
constexpr int max_dims = 8;

bool element_of(PyArrayObject* array, Element& element) {
  switch (PyArray_TYPE(array)) {
    case NPY_FLOAT:
      element = Element::float32;
      return true;
    case NPY_DOUBLE:
      element = Element::float64;
      return true;
    case NPY_LONG:
      element = Element::int64;
      return sizeof(long) == 8;
    case NPY_LONGLONG:
      element = Element::int64;
      return true;
    default:
      return false;
  }
}

// A loop for the elements of some arrays. Those of two bytes are widened and rounded in small
// blocks.
template <class Loop>
struct Elements {
  Loop loop = nullptr;
  Widen widen = nullptr;
  Narrow narrow = nullptr;  // null where the result is no number of that type
};

constexpr std::size_t halves_at_once = 512;

void call(const Elements<BinaryLoop>& f, const char* a, const char* b, char* out, std::size_t n,
          int a_step, int b_step) {
  if (!f.widen) return f.loop(a, b, out, n, a_step, b_step);
  const auto* x = reinterpret_cast<const std::uint16_t*>(a);
  const auto* y = reinterpret_cast<const std::uint16_t*>(b);
  float wide_x[halves_at_once], wide_y[halves_at_once], result[halves_at_once];
  for (std::size_t i = 0; i < n; i += halves_at_once) {
    const std::size_t some = std::min(n - i, halves_at_once);
    if (a_step || i == 0) f.widen(x + (a_step ? i : 0), wide_x, a_step ? some : 1);
    if (b_step || i == 0) f.widen(y + (b_step ? i : 0), wide_y, b_step ? some : 1);
    if (!f.narrow) {
      f.loop(wide_x, wide_y, out + i, some, a_step, b_step);
    } else {
      f.loop(wide_x, wide_y, result, some, a_step, b_step);
      f.narrow(result, reinterpret_cast<std::uint16_t*>(out) + i, some);
    }
  }
}

void call(const Elements<UnaryLoop>& f, const char* input, char* out, std::size_t n) {
  if (!f.widen) return f.loop(input, out, n);
  float wide[halves_at_once];
  for (std::size_t i = 0; i < n; i += halves_at_once) {
    const std::size_t some = std::min(n - i, halves_at_once);
    f.widen(reinterpret_cast<const std::uint16_t*>(input) + i, wide, some);
    f.loop(wide, wide, some);
    f.narrow(wide, reinterpret_cast<std::uint16_t*>(out) + i, some);
  }
}

// The type that loops are for, and the conversions to it.
template <class Loop>
bool element_of(PyArrayObject* array, Element& element, Elements<Loop>& f) {
  if (element_of(array, element)) return true;
  if (!is_half(array)) return false;
  element = Element::float32;
  f.widen = widening(PyArray_DESCR(array));
  f.narrow = narrowing(PyArray_DESCR(array));
  return true;
}

bool usable(PyArrayObject* array) {
  return PyArray_ISALIGNED(array) && PyArray_ISNOTSWAPPED(array);
}

bool same_shape(PyArrayObject* a, PyArrayObject* b) {
  const int ndim = PyArray_NDIM(a);
  return ndim == PyArray_NDIM(b) &&
         std::equal(PyArray_DIMS(a), PyArray_DIMS(a) + ndim, PyArray_DIMS(b));
}

// Whether the elements fill their memory without gaps, in whatever order of dims.
bool dense(PyArrayObject* array) {
  if (PyArray_IS_C_CONTIGUOUS(array) || PyArray_IS_F_CONTIGUOUS(array)) return true;
  const int ndim = PyArray_NDIM(array);
  if (ndim > max_dims) return false;
  int order[max_dims];
  const npy_intp* strides = PyArray_STRIDES(array);
  const npy_intp* dims = PyArray_DIMS(array);
  for (int i = 0; i < ndim; ++i) {  // dims by stride, the smallest first
    int at = i;
    for (; at > 0 && strides[order[at - 1]] > strides[i]; --at) order[at] = order[at - 1];
    order[at] = i;
  }
  npy_intp step = PyArray_ITEMSIZE(array);
  for (int i = 0; i < ndim; ++i) {
    if (dims[order[i]] == 1) continue;
    if (strides[order[i]] != step) return false;
    step *= dims[order[i]];
  }
  return true;
}

void run_flat(const Elements<BinaryLoop>& loop, const char* a, const char* b, char* out, npy_intp n,
              int a_step, int b_step, npy_intp in_size, npy_intp out_size) {
  if (n < static_cast<npy_intp>(2 * elements_per_range)) {
    call(loop, a, b, out, static_cast<std::size_t>(n), a_step, b_step);
    return;
  }
  parallel_for(0, static_cast<std::size_t>(n), elements_per_range,
               [=](std::size_t begin, std::size_t end) {
                 const auto at = static_cast<npy_intp>(begin);
                 call(loop, a + at * a_step * in_size, b + at * b_step * in_size,
                      out + at * out_size, end - begin, a_step, b_step);
               });
}

void run_unary(const Elements<UnaryLoop>& loop, const char* from, char* to, npy_intp n,
               npy_intp size) {
  if (n < static_cast<npy_intp>(elements_per_range)) {
    call(loop, from, to, static_cast<std::size_t>(n));
    return;
  }
  const Released released(n >= elements_to_release_gil);
  parallel_for(0, static_cast<std::size_t>(n), elements_per_range / 2,
               [=](std::size_t begin, std::size_t end) {
                 const auto at = static_cast<npy_intp>(begin) * size;
                 call(loop, from + at, to + at, end - begin);
               });
}

// Operands broadcast to a result in C order, dims of the result joined where both allow it.
struct Rows {
  int ndim = 0;
  npy_intp dims[max_dims];
  npy_intp a_strides[max_dims], b_strides[max_dims];  // bytes
};

npy_intp stride_for(PyArrayObject* array, int dim) {
  return dim < 0 || PyArray_DIM(array, dim) == 1 ? 0 : PyArray_STRIDE(array, dim);
}

// False where an inner step is neither 0 nor one element, or there are too many dims.
bool plan_rows(PyArrayObject* a, PyArrayObject* b, const npy_intp* dims, int ndim, Rows& rows) {
  if (ndim > max_dims) return false;
  const int a_lead = ndim - PyArray_NDIM(a), b_lead = ndim - PyArray_NDIM(b);
  for (int i = 0; i < ndim; ++i) {
    if (dims[i] == 1) continue;
    const npy_intp sa = stride_for(a, i - a_lead), sb = stride_for(b, i - b_lead);
    if (rows.ndim) {
      const int last = rows.ndim - 1;
      if (rows.a_strides[last] == sa * dims[i] && rows.b_strides[last] == sb * dims[i]) {
        rows.dims[last] *= dims[i];
        rows.a_strides[last] = sa;
        rows.b_strides[last] = sb;
        continue;
      }
    }
    rows.dims[rows.ndim] = dims[i];
    rows.a_strides[rows.ndim] = sa;
    rows.b_strides[rows.ndim] = sb;
    ++rows.ndim;
  }
  if (!rows.ndim) {
    rows.dims[0] = 1;
    rows.a_strides[0] = rows.b_strides[0] = 0;
    rows.ndim = 1;
  }
  const npy_intp size = PyArray_ITEMSIZE(a);
  const npy_intp sa = rows.a_strides[rows.ndim - 1], sb = rows.b_strides[rows.ndim - 1];
  return (sa == 0 || sa == size) && (sb == 0 || sb == size);
}

void run_rows(const Elements<BinaryLoop>& loop, const Rows& rows, const char* a, const char* b,
              char* out, npy_intp out_size) {
  const int outer = rows.ndim - 1;
  const npy_intp inner = rows.dims[outer];
  const int a_step = rows.a_strides[outer] != 0, b_step = rows.b_strides[outer] != 0;
  npy_intp count = 1;
  for (int i = 0; i < outer; ++i) count *= rows.dims[i];
  const auto grain = std::max<npy_intp>(1, static_cast<npy_intp>(elements_per_range) / inner);
  parallel_for(0, static_cast<std::size_t>(count), static_cast<std::size_t>(grain),
               [&](std::size_t begin, std::size_t end) {
                 for (std::size_t row = begin; row < end; ++row) {
                   auto rest = static_cast<npy_intp>(row);
                   const char* pa = a;
                   const char* pb = b;
                   for (int i = outer - 1; i >= 0; --i) {
                     const npy_intp at = rest % rows.dims[i];
                     rest /= rows.dims[i];
                     pa += at * rows.a_strides[i];
                     pb += at * rows.b_strides[i];
                   }
                   call(loop, pa, pb, out + static_cast<npy_intp>(row) * inner * out_size,
                        static_cast<std::size_t>(inner), a_step, b_step);
                 }
               });
}

bool broadcast_dims(PyArrayObject* a, PyArrayObject* b, npy_intp* dims, int& ndim) {
  const int na = PyArray_NDIM(a), nb = PyArray_NDIM(b);
  ndim = std::max(na, nb);
  if (ndim > max_dims) return false;
  for (int i = 0; i < ndim; ++i) {
    const npy_intp da = i < ndim - na ? 1 : PyArray_DIM(a, i - (ndim - na));
    const npy_intp db = i < ndim - nb ? 1 : PyArray_DIM(b, i - (ndim - nb));
    if (da != db && da != 1 && db != 1) return false;
    dims[i] = da == 1 ? db : da;
  }
  return true;
}

bool find_loop(Binary op, PyArrayObject* a, PyArrayObject* b, Elements<BinaryLoop>& found) {
  Element element;
  if (PyArray_TYPE(a) != PyArray_TYPE(b) || !element_of(a, element, found) || !usable(a) ||
      !usable(b)) {
    return false;
  }
  found.loop = DTORCH_DISPATCH(binary_loop)(op, element);
  if (is_comparison(op)) found.narrow = nullptr;
  return found.loop != nullptr;
}

bool find_loop(Unary op, PyArrayObject* array, Elements<UnaryLoop>& found) {
  Element element;
  if (!element_of(array, element, found) || !usable(array) || !dense(array)) return false;
  found.loop = DTORCH_DISPATCH(unary_loop)(op, element);
  return found.loop != nullptr;
}

// The element type's own descriptor, so that NPY_LONG and NPY_LONGLONG both keep theirs.
PyObject* new_array(PyArrayObject* like, bool is_bool, int ndim, const npy_intp* dims) {
  const int type = is_bool ? NPY_BOOL : PyArray_TYPE(like);
  return PyArray_EMPTY(ndim, const_cast<npy_intp*>(dims), type, 0);
}

}  // namespace

PyObject* binary_array(Binary op, PyArrayObject* a, PyArrayObject* b) {
  Elements<BinaryLoop> loop;
  if (!find_loop(op, a, b, loop)) return nullptr;
  const bool comparison = is_comparison(op);
  const npy_intp in_size = PyArray_ITEMSIZE(a), out_size = comparison ? 1 : in_size;
  if (same_shape(a, b)) {
    const bool in_order = PyArray_IS_C_CONTIGUOUS(a) && PyArray_IS_C_CONTIGUOUS(b);
    const int ndim = PyArray_NDIM(a);
    const bool alike =
        in_order ||
        (std::equal(PyArray_STRIDES(a), PyArray_STRIDES(a) + ndim, PyArray_STRIDES(b)) && dense(a));
    if (!alike) return nullptr;
    PyObject* out;
    if (in_order) {
      out = new_array(a, comparison, ndim, PyArray_DIMS(a));
    } else {
      PyArray_Descr* descr = PyArray_DescrFromType(comparison ? NPY_BOOL : PyArray_TYPE(a));
      out = PyArray_NewLikeArray(a, NPY_KEEPORDER, descr, 0);
    }
    if (!out) return nullptr;
    const npy_intp n = PyArray_SIZE(a);
    const Released released(n >= elements_to_release_gil);
    run_flat(loop, PyArray_BYTES(a), PyArray_BYTES(b),
             PyArray_BYTES(reinterpret_cast<PyArrayObject*>(out)), n, 1, 1, in_size, out_size);
    return out;
  }
  npy_intp dims[max_dims];
  int ndim;
  Rows rows;
  if (!broadcast_dims(a, b, dims, ndim) || !plan_rows(a, b, dims, ndim, rows)) return nullptr;
  PyObject* out = new_array(a, comparison, ndim, dims);
  if (!out) return nullptr;
  auto* array = reinterpret_cast<PyArrayObject*>(out);
  const npy_intp n = PyArray_SIZE(array);
  if (!n) return out;
  const Released released(n >= elements_to_release_gil);
  run_rows(loop, rows, PyArray_BYTES(a), PyArray_BYTES(b), PyArray_BYTES(array), out_size);
  return out;
}

bool binary_into(Binary op, PyArrayObject* a, PyArrayObject* b, PyArrayObject* out) {
  Elements<BinaryLoop> loop;
  if (!find_loop(op, a, b, loop) || is_comparison(op) || PyArray_TYPE(out) != PyArray_TYPE(a) ||
      !PyArray_ISWRITEABLE(out) || !PyArray_IS_C_CONTIGUOUS(out) || !same_shape(a, b) ||
      !same_shape(a, out) || !PyArray_IS_C_CONTIGUOUS(a) || !PyArray_IS_C_CONTIGUOUS(b)) {
    return false;
  }
  const npy_intp n = PyArray_SIZE(a), size = PyArray_ITEMSIZE(a);
  // With the lock held: another thread may be adding to the same gradient.
  run_flat(loop, PyArray_BYTES(a), PyArray_BYTES(b), PyArray_BYTES(out), n, 1, 1, size, size);
  return true;
}

bool binary_inplace(Binary op, PyArrayObject* a, PyArrayObject* b) {
  Elements<BinaryLoop> loop;
  if (!find_loop(op, a, b, loop) || is_comparison(op) || !PyArray_ISWRITEABLE(a) ||
      !PyArray_IS_C_CONTIGUOUS(a)) {
    return false;
  }
  const bool number = PyArray_NDIM(b) == 0;
  if (!number && (!same_shape(a, b) || !PyArray_IS_C_CONTIGUOUS(b))) return false;
  const char* from = PyArray_BYTES(b);
  char* to = PyArray_BYTES(a);
  // Element by element `b` may be `a` itself, but not a shifted part of it.
  if (from != to && from < to + PyArray_NBYTES(a) && to < from + PyArray_NBYTES(b)) return false;
  const npy_intp n = PyArray_SIZE(a), size = PyArray_ITEMSIZE(a);
  const Released released(n >= elements_to_release_gil);
  run_flat(loop, to, from, to, n, 1, number ? 0 : 1, size, size);
  return true;
}

bool unary_inplace(Unary op, PyArrayObject* a) {
  Elements<UnaryLoop> loop;
  if (!PyArray_ISWRITEABLE(a) || !find_loop(op, a, loop)) return false;
  run_unary(loop, PyArray_BYTES(a), PyArray_BYTES(a), PyArray_SIZE(a), PyArray_ITEMSIZE(a));
  return true;
}

PyObject* unary_array(Unary op, PyArrayObject* input) {
  Elements<UnaryLoop> loop;
  if (!find_loop(op, input, loop)) return nullptr;
  PyObject* out;
  if (PyArray_IS_C_CONTIGUOUS(input)) {
    out = new_array(input, false, PyArray_NDIM(input), PyArray_DIMS(input));
  } else {
    out = PyArray_NewLikeArray(input, NPY_KEEPORDER, nullptr, 0);
  }
  if (!out) return nullptr;
  run_unary(loop, PyArray_BYTES(input), PyArray_BYTES(reinterpret_cast<PyArrayObject*>(out)),
            PyArray_SIZE(input), PyArray_ITEMSIZE(input));
  return out;
}

PyObject* choose_array(PyArrayObject* condition, PyArrayObject* a, PyArrayObject* b) {
  const auto fits = [condition](PyArrayObject* array) {
    return usable(array) && (PyArray_SIZE(array) == 1 ||
                             (same_shape(condition, array) && PyArray_IS_C_CONTIGUOUS(array)));
  };
  if (PyArray_TYPE(condition) != NPY_BOOL || !PyArray_IS_C_CONTIGUOUS(condition) || !fits(a) ||
      !fits(b) || PyArray_TYPE(a) != PyArray_TYPE(b) || PyDataType_REFCHK(PyArray_DESCR(a))) {
    return nullptr;
  }
  const npy_intp n = PyArray_SIZE(condition), size = PyArray_ITEMSIZE(a);
  ChooseLoop loop = DTORCH_DISPATCH(choose_loop)(static_cast<std::size_t>(size));
  if (!loop) return nullptr;
  Py_INCREF(PyArray_DESCR(a));
  PyObject* out =
      PyArray_Empty(PyArray_NDIM(condition), PyArray_DIMS(condition), PyArray_DESCR(a), 0);
  if (!out) return nullptr;
  const int a_step = PyArray_SIZE(a) == 1 && n != 1 ? 0 : 1;
  const int b_step = PyArray_SIZE(b) == 1 && n != 1 ? 0 : 1;
  const auto* holds = reinterpret_cast<const bool*>(PyArray_BYTES(condition));
  const char* from_a = PyArray_BYTES(a);
  const char* from_b = PyArray_BYTES(b);
  char* to = PyArray_BYTES(reinterpret_cast<PyArrayObject*>(out));
  const Released released(n >= elements_to_release_gil);
  parallel_for(0, static_cast<std::size_t>(n), elements_per_range,
               [=](std::size_t begin, std::size_t end) {
                 const auto at = static_cast<npy_intp>(begin) * size;
                 loop(holds + begin, from_a + at * a_step, from_b + at * b_step, to + at,
                      end - begin, a_step, b_step);
               });
  return out;
}

namespace {

constexpr std::size_t sum_block_size = 4096;

template <class T>
double sum_all(const T* data, std::size_t n) {
  if (n <= sum_block_size) return DTORCH_DISPATCH(sum_block)(data, n);
  const std::size_t blocks = (n + sum_block_size - 1) / sum_block_size;
  std::vector<double> sums(blocks);
  parallel_for(0, blocks, elements_per_range / sum_block_size, [&](std::size_t b, std::size_t e) {
    for (std::size_t i = b; i < e; ++i) {
      const std::size_t at = i * sum_block_size;
      sums[i] = DTORCH_DISPATCH(sum_block)(data + at, std::min(sum_block_size, n - at));
    }
  });
  return sum_all<double>(sums.data(), blocks);
}

// Parts of the rows are summed at the same time, then their sums. How many there are does not
// depend on the number of threads, so neither does the result.
template <class T>
void sum_matrix(const T* input, T* out, std::size_t rows, std::size_t columns) {
  constexpr std::size_t most_parts = 8;
  if (columns == 1) {
    *out = static_cast<T>(sum_all(input, rows));
    return;
  }
  const std::size_t parts =
      std::clamp<std::size_t>(rows * columns / elements_per_range, 1, most_parts);
  const std::size_t rows_of_part = (rows + parts - 1) / parts;
  std::vector<double> sums(parts * columns);
  parallel_for(0, parts, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) {
      const std::size_t first = std::min(rows, p * rows_of_part);
      const std::size_t count = std::min(rows - first, rows_of_part);
      DTORCH_DISPATCH(sum_rows)
      (input + first * columns, sums.data() + p * columns, count, columns);
    }
  });
  for (std::size_t p = 1; p < parts; ++p) {
    for (std::size_t j = 0; j < columns; ++j) sums[j] += sums[p * columns + j];
  }
  for (std::size_t j = 0; j < columns; ++j) out[j] = static_cast<T>(sums[j]);
}

// Sums of the middle of (outer, middle, inner).
template <class T>
void sum_middle(const T* input, T* out, std::size_t outer, std::size_t middle, std::size_t inner) {
  if (outer == 1) return sum_matrix(input, out, middle, inner);
  const std::size_t size = middle * inner;
  parallel_for(0, outer, elements_per_range / std::max<std::size_t>(size, 1),
               [=](std::size_t begin, std::size_t end) {
                 for (std::size_t i = begin; i < end; ++i) {
                   sum_matrix(input + i * size, out + i * inner, middle, inner);
                 }
               });
}

}  // namespace

PyObject* sum_dims(PyArrayObject* input, int first, int last) {
  const int type = PyArray_TYPE(input), ndim = PyArray_NDIM(input);
  if ((type != NPY_FLOAT && type != NPY_DOUBLE) || !usable(input) || first < 0 || last > ndim ||
      first > last || ndim > max_dims || !PyArray_IS_C_CONTIGUOUS(input)) {
    return nullptr;
  }
  const npy_intp* dims = PyArray_DIMS(input);
  npy_intp kept[max_dims];
  std::size_t sizes[3] = {1, 1, 1};  // of dims before, among, and after those that are summed up
  for (int i = 0, at = 0; i < ndim; ++i) {
    const int part = i < first ? 0 : i < last ? 1 : 2;
    sizes[part] *= static_cast<std::size_t>(dims[i]);
    if (part != 1) kept[at++] = dims[i];
  }
  PyObject* out = PyArray_EMPTY(ndim - (last - first), kept, type, 0);
  if (!out) return nullptr;
  void* sums = PyArray_DATA(reinterpret_cast<PyArrayObject*>(out));
  const bool done = core::guarded([&] {
    const Released released(PyArray_SIZE(input) >= elements_to_release_gil);
    if (type == NPY_FLOAT) {
      sum_middle(static_cast<const float*>(PyArray_DATA(input)), static_cast<float*>(sums),
                 sizes[0], sizes[1], sizes[2]);
    } else {
      sum_middle(static_cast<const double*>(PyArray_DATA(input)), static_cast<double*>(sums),
                 sizes[0], sizes[1], sizes[2]);
    }
    return true;
  });
  if (!done) Py_CLEAR(out);
  return out;
}

PyObject* sum_array(PyArrayObject* input) {
  const int type = PyArray_TYPE(input);
  if ((type != NPY_FLOAT && type != NPY_DOUBLE) || !usable(input)) return nullptr;
  if (!dense(input)) {
    PyObject* copy = PyArray_NewCopy(input, NPY_CORDER);
    if (!copy) return nullptr;
    PyObject* sum = sum_array(reinterpret_cast<PyArrayObject*>(copy));
    Py_DECREF(copy);
    return sum;
  }
  PyObject* out = PyArray_EMPTY(0, nullptr, type, 0);
  if (!out) return nullptr;
  void* to = PyArray_DATA(reinterpret_cast<PyArrayObject*>(out));
  const auto n = static_cast<std::size_t>(PyArray_SIZE(input));
  const bool done = core::guarded([&] {
    const Released released(static_cast<npy_intp>(n) >= elements_to_release_gil);
    if (type == NPY_FLOAT) {
      *static_cast<float*>(to) =
          static_cast<float>(sum_all(static_cast<const float*>(PyArray_DATA(input)), n));
    } else {
      *static_cast<double*>(to) = sum_all(static_cast<const double*>(PyArray_DATA(input)), n);
    }
    return true;
  });
  if (!done) Py_CLEAR(out);
  return out;
}

}  // namespace dtorch
