// numpy.matmul for the arrays that our kernel knows; all others go to numpy.matmul itself.
#include "binding_support.h"
#include "bindings.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core.h"
#include "half.h"
#include "kernels/bfloat16.h"
#include "kernels/half.h"
#include "kernels/matmul.h"
#include "kernels/matvec.h"
#include "matrix_starts.h"

namespace dtorch {
namespace {

// Products below this are done sooner by NumPy, on one thread, than packed by us.
constexpr std::size_t fewest_multiplications = 256 * 1024;
// Smallest product with a vector that OpenBLAS hands to threads of its own, which wait for each
// other in busy loops.
constexpr std::size_t fewest_of_vector = 9 * 1024;

using core::as_array;

// Steps of the last two dims in elements; false unless one is 1, or of a dim of one element.
bool find_steps(PyArrayObject* array, std::size_t& row, std::size_t& column) {
  const int first = PyArray_NDIM(array) - 2;
  const auto item = static_cast<npy_intp>(PyArray_ITEMSIZE(array));
  const npy_intp* steps = PyArray_STRIDES(array) + first;
  const npy_intp* sizes = PyArray_DIMS(array) + first;
  if (steps[0] < 0 || steps[1] < 0 || steps[0] % item != 0 || steps[1] % item != 0) return false;
  row = static_cast<std::size_t>(steps[0] / item);
  column = static_cast<std::size_t>(steps[1] / item);
  if (column == 1 || sizes[1] == 1) {
    column = 1;
  } else if (row == 1 || sizes[0] == 1) {
    row = 1;
  } else {
    return false;
  }
  return true;
}

// Runs the kernel on memory of `elements` Ws, other threads of Python meanwhile on theirs.
template <class W, class T, class Kernel>
void run(Kernel kernel, std::size_t elements, Product shape, PyArrayObject* a,
         const std::vector<std::size_t>& a_at, PyArrayObject* b,
         const std::vector<std::size_t>& b_at, PyArrayObject* out) {
  const Workspace<W> workspace(elements);
  const nb::gil_scoped_release released;
  kernel(shape, static_cast<const T*>(PyArray_DATA(a)), a_at.data(),
         static_cast<const T*>(PyArray_DATA(b)), b_at.data(), static_cast<T*>(PyArray_DATA(out)),
         workspace.get());
}

template <class T>
T* elements_of(PyArrayObject* array) {
  return array == nullptr ? nullptr : static_cast<T*>(PyArray_DATA(array));
}

template <class T>
void run(const Product& s, PyArrayObject* a, const std::vector<std::size_t>& a_at, PyArrayObject* b,
         const std::vector<std::size_t>& b_at, PyArrayObject* bias, PyArrayObject* out,
         PyArrayObject* sums) {
  const T* start = elements_of<const T>(bias);
  T* row_sums = elements_of<T>(sums);
  const auto kernel = [=](Product shape, const T* from_a, const std::size_t* starts_a,
                          const T* from_b, const std::size_t* starts_b, T* to, T* workspace) {
    DTORCH_DISPATCH(matmul<T>)
    (shape, from_a, starts_a, from_b, starts_b, start, to, row_sums, workspace);
  };
  run<T, T>(kernel, DTORCH_DISPATCH(matmul_workspace<T>)(s), s, a, a_at, b, b_at, out);
}

// Whether it is an array of that type with `size` elements side by side.
bool is_row(PyObject* object, int type, npy_intp size) {
  if (!PyArray_CheckExact(object)) return false;
  PyArrayObject* row = as_array(object);
  return PyArray_TYPE(row) == type && PyArray_NDIM(row) == 1 && PyArray_DIM(row, 0) == size &&
         PyArray_IS_C_CONTIGUOUS(row) && PyArray_ISBEHAVED_RO(row);
}

nb::object new_array(int ndim, const npy_intp* sizes, int type) {
  PyObject* array = PyArray_SimpleNew(ndim, const_cast<npy_intp*>(sizes), type);
  if (array == nullptr) throw nb::python_error();
  return nb::steal(array);
}

// Sizes of the stacks of two arrays of matrices, broadcast; false if they do not fit.
bool broadcast_leads(PyArrayObject* a, PyArrayObject* b, std::vector<npy_intp>& sizes) {
  const int a_lead = PyArray_NDIM(a) - 2, b_lead = PyArray_NDIM(b) - 2;
  const int lead = std::max(a_lead, b_lead);
  for (int d = 0; d < lead; ++d) {
    const npy_intp m = d < lead - a_lead ? 1 : PyArray_DIM(a, d - (lead - a_lead));
    const npy_intp n = d < lead - b_lead ? 1 : PyArray_DIM(b, d - (lead - b_lead));
    if (m != n && m != 1 && n != 1) return false;
    sizes.push_back(m == 1 ? n : m);
  }
  return true;
}

// The array itself; of a vector a matrix of one row or one column.
nb::object as_matrices(PyArrayObject* array, bool as_row) {
  if (PyArray_NDIM(array) != 1) return nb::borrow(reinterpret_cast<PyObject*>(array));
  npy_intp sizes[] = {1, 1};
  sizes[as_row ? 1 : 0] = PyArray_DIM(array, 0);
  PyArray_Dims shape = {sizes, 2};
  PyObject* matrix = PyArray_Newshape(array, &shape, NPY_CORDER);
  if (matrix == nullptr) throw nb::python_error();
  return nb::steal(matrix);
}

void put_in_order(nb::object& array) {
  PyObject* copy = PyArray_NewCopy(as_array(array.ptr()), NPY_CORDER);
  if (copy == nullptr) throw nb::python_error();
  array = nb::steal(copy);
}

// Steps of the matrices of an array; it is copied if they are not fit for the kernels.
void settle_steps(nb::object& array, std::size_t& row, std::size_t& column) {
  if (!PyArray_ISBEHAVED_RO(as_array(array.ptr())) ||
      !find_steps(as_array(array.ptr()), row, column)) {
    put_in_order(array);
    find_steps(as_array(array.ptr()), row, column);
  }
}

// A matrix and a vector on whichever side: `results` sums of `depth` products. Ranges of the
// results go to the threads; of few results the sums are divided, always into the same parts.
template <class T>
struct MatrixVector {
  static constexpr std::size_t line = 16, few = 256, most_parts = 8;

  const T* matrix;
  std::size_t step;  // from row to row
  const T* vector;
  bool vector_first;  // columns of the matrix give the results, else its rows
  std::size_t results, depth;

  std::size_t parts() const {
    return results >= few ? 1 : std::min(most_parts, depth * results / elements_per_range);
  }

  void run(T* out, T* sums) const {
    if (parts() < 2) {
      const std::size_t grain = elements_per_range / (line * depth);
      parallel_for(0, (results + line - 1) / line, grain, [=, this](std::size_t b, std::size_t e) {
        add_up(b * line, std::min(e * line, results), 0, depth, out + b * line);
      });
      return;
    }
    const std::size_t size = (depth + parts() - 1) / parts();
    parallel_for(0, parts(), 1, [=, this](std::size_t begin, std::size_t end) {
      for (std::size_t p = begin; p < end; ++p) {
        const std::size_t from = std::min(p * size, depth);
        add_up(0, results, from, std::min(from + size, depth), sums + p * results);
      }
    });
    std::copy_n(sums, results, out);
    for (std::size_t p = 1; p < parts(); ++p) {
      for (std::size_t i = 0; i < results; ++i) out[i] += sums[p * results + i];
    }
  }

 private:
  // Results first .. last - 1, of the products from .. to - 1.
  void add_up(std::size_t first, std::size_t last, std::size_t from, std::size_t to, T* out) const {
    if (vector_first) {
      DTORCH_DISPATCH(vector_times_matrix<T>)
      (vector + from, matrix + from * step + first, step, to - from, last - first, out);
    } else {
      DTORCH_DISPATCH(matrix_times_vector<T>)
      (matrix + first * step + from, step, last - first, to - from, vector + from, out);
    }
  }
};

// Products one of whose sides is a vector. Of a and b the other is the matrix.
template <class T>
void run_vectors(const Product& s, PyArrayObject* a, const std::vector<std::size_t>& a_at,
                 PyArrayObject* b, const std::vector<std::size_t>& b_at, PyArrayObject* out) {
  const T* left = static_cast<const T*>(PyArray_DATA(a));
  const T* right = static_cast<const T*>(PyArray_DATA(b));
  T* to = static_cast<T*>(PyArray_DATA(out));
  const auto product = [&](std::size_t i) -> MatrixVector<T> {
    const T *x = left + a_at[i], *y = right + b_at[i];
    if (s.columns != 1) {  // a row of b, or one of its columns, lies side by side
      return {y, s.b_column == 1 ? s.b_row : s.b_column, x, s.b_column == 1, s.columns, s.depth};
    }
    return {x, s.a_column == 1 ? s.a_row : s.a_column, y, s.a_column != 1, s.rows, s.depth};
  };
  const MatrixVector<T> first = product(0);
  const Workspace<T> sums(s.batches == 1 ? first.parts() * first.results : 0);
  const nb::gil_scoped_release released;
  if (s.batches == 1) return first.run(to, sums.get());
  const std::size_t results = first.results;
  parallel_for(0, s.batches, elements_per_range / (results * s.depth),
               [&](std::size_t begin, std::size_t end) {
                 std::vector<T> own(first.parts() * results);
                 for (std::size_t i = begin; i < end; ++i) {
                   product(i).run(to + i * results, own.data());
                 }
               });
}

// Null without an exception: for numpy.matmul. bias: null, or a row to be added to each of the
// result. row_sums: null, or gets the sums of the rows of the first matrix.
PyObject* product(PyObject* first, PyObject* second, PyObject* bias = nullptr,
                  nb::object* row_sums = nullptr) {
  if (!PyArray_CheckExact(first) || !PyArray_CheckExact(second)) return nullptr;
  const int type = PyArray_TYPE(as_array(first));
  const bool half = has_bfloat16_products() && is_bfloat16(as_array(first));
  if ((type != NPY_FLOAT && type != NPY_DOUBLE && !half) ||
      PyArray_TYPE(as_array(second)) != type || !PyArray_NDIM(as_array(first)) ||
      !PyArray_NDIM(as_array(second))) {
    return nullptr;
  }
  const bool drops_row = PyArray_NDIM(as_array(first)) == 1;
  const bool drops_column = PyArray_NDIM(as_array(second)) == 1;
  constexpr auto fewest = static_cast<npy_intp>(fewest_of_vector);
  if ((drops_row || drops_column) && PyArray_SIZE(as_array(first)) < fewest &&
      PyArray_SIZE(as_array(second)) < fewest) {
    return nullptr;
  }
  nb::object a_owner = as_matrices(as_array(first), true);
  nb::object b_owner = as_matrices(as_array(second), false);
  PyArrayObject *a = as_array(a_owner.ptr()), *b = as_array(b_owner.ptr());
  const int a_dims = PyArray_NDIM(a), b_dims = PyArray_NDIM(b);
  const npy_intp* a_sizes = PyArray_DIMS(a);
  const npy_intp* b_sizes = PyArray_DIMS(b);
  if (a_sizes[a_dims - 1] != b_sizes[b_dims - 2]) return nullptr;
  if (bias != nullptr && !is_row(bias, type, b_sizes[b_dims - 1])) return nullptr;
  std::vector<npy_intp> sizes;
  if (!broadcast_leads(a, b, sizes)) return nullptr;
  Product s = {};
  s.batches = 1;
  s.rows = static_cast<std::size_t>(a_sizes[a_dims - 2]);
  s.depth = static_cast<std::size_t>(a_sizes[a_dims - 1]);
  s.columns = static_cast<std::size_t>(b_sizes[b_dims - 1]);
  // Stacked matrices times one are one tall matrix times it.
  const bool tall = b_dims == 2 && a_dims > 2;
  double lead = 1;
  for (const npy_intp size : sizes) lead *= static_cast<double>(size);
  const double one =
      static_cast<double>(s.rows) * static_cast<double>(s.columns) * static_cast<double>(s.depth);
  const bool of_vector = !half && ((s.rows == 1 && !tall) || s.columns == 1);
  if (of_vector && (bias != nullptr || row_sums != nullptr)) return nullptr;
  if (one * lead < static_cast<double>(of_vector ? fewest_of_vector : fewest_multiplications)) {
    return nullptr;
  }
  for (const npy_intp size : sizes) {
    (tall ? s.rows : s.batches) *= static_cast<std::size_t>(size);
  }
  if (row_sums != nullptr && (half || s.batches != 1)) return nullptr;
  if (tall && !PyArray_IS_C_CONTIGUOUS(a)) put_in_order(a_owner);
  settle_steps(a_owner, s.a_row, s.a_column);
  settle_steps(b_owner, s.b_row, s.b_column);
  if (of_vector && s.rows == 1 && s.a_column != 1) {  // elements of vectors lie side by side
    put_in_order(a_owner);
    settle_steps(a_owner, s.a_row, s.a_column);
  }
  if (of_vector && s.columns == 1 && s.b_row != 1) {
    put_in_order(b_owner);
    settle_steps(b_owner, s.b_row, s.b_column);
  }
  a = as_array(a_owner.ptr());
  b = as_array(b_owner.ptr());
  if (tall) {
    s.a_row = s.depth;
    s.a_column = 1;
  }
  s.slots = static_cast<std::size_t>(get_num_threads());
  std::vector<std::size_t> a_at{0}, b_at{0};
  const int stack = tall ? 0 : static_cast<int>(sizes.size());
  if (!find_starts(a, stack, sizes.data(), a_at) || !find_starts(b, stack, sizes.data(), b_at)) {
    return nullptr;
  }
  if (!drops_row) sizes.push_back(PyArray_DIM(a, a_dims - 2));
  if (!drops_column) sizes.push_back(static_cast<npy_intp>(s.columns));
  const nb::object owner = new_array(static_cast<int>(sizes.size()), sizes.data(), type);
  PyArrayObject* to = as_array(owner.ptr());
  PyArrayObject* row = bias == nullptr ? nullptr : as_array(bias);
  PyArrayObject* sums = nullptr;
  if (row_sums != nullptr) {
    const auto rows = static_cast<npy_intp>(s.rows);
    *row_sums = new_array(1, &rows, type);
    sums = as_array(row_sums->ptr());
  }
  if (of_vector) {
    type == NPY_FLOAT ? run_vectors<float>(s, a, a_at, b, b_at, to)
                      : run_vectors<double>(s, a, a_at, b, b_at, to);
  } else if (type == NPY_FLOAT) {
    run<float>(s, a, a_at, b, b_at, row, to, sums);
  } else if (type == NPY_DOUBLE) {
    run<double>(s, a, a_at, b, b_at, row, to, sums);
#if DTORCH_X86
  } else {
    std::vector<float> wide(row == nullptr ? 0 : s.columns);
    if (row != nullptr) {
      const auto* narrow = static_cast<const std::uint16_t*>(PyArray_DATA(row));
      DTORCH_DISPATCH(widen_bfloat16)(narrow, wide.data(), wide.size());
    }
    const float* start = row == nullptr ? nullptr : wide.data();
    const auto kernel = [=](Product shape, const std::uint16_t* from_a, const std::size_t* starts_a,
                            const std::uint16_t* from_b, const std::size_t* starts_b,
                            std::uint16_t* into, std::uint32_t* workspace) {
      avx512_bf16::matmul(shape, from_a, starts_a, from_b, starts_b, start, into, workspace);
    };
    run<std::uint32_t, std::uint16_t>(kernel, avx512_bf16::matmul_workspace(s), s, a, a_at, b, b_at,
                                      to);
#endif
  }
  return owner.inc_ref().ptr();
}

nb::object matmul_of(nb::handle a, nb::handle b) {
  if (PyObject* result = product(a.ptr(), b.ptr())) return nb::steal(result);
  if (PyArray_CheckExact(a.ptr()) && PyArray_CheckExact(b.ptr()) && is_half(as_array(a.ptr())) &&
      PyArray_TYPE(as_array(a.ptr())) == PyArray_TYPE(as_array(b.ptr()))) {
    PyArray_Descr* single = PyArray_DescrFromType(NPY_FLOAT);
    const nb::object owner = nb::steal(reinterpret_cast<PyObject*>(single));
    const nb::object wide = matmul_of(converted(a, single), converted(b, single));
    return converted(wide, PyArray_DESCR(as_array(a.ptr())));
  }
  static PyObject* general = nb::module_::import_("numpy").attr("matmul").inc_ref().ptr();
  return nb::handle(general)(a, b);
}

// a @ b + row, or None for arrays that the kernel does not know.
nb::object matmul_plus_row(nb::handle a, nb::handle b, nb::handle row) {
  PyObject* result = product(a.ptr(), b.ptr(), row.ptr());
  return result == nullptr ? nb::none() : nb::steal(result);
}

// a @ b and the sums of the rows of a, or None as above.
nb::object matmul_and_row_sums(nb::handle a, nb::handle b) {
  nb::object sums;
  PyObject* result = product(a.ptr(), b.ptr(), nullptr, &sums);
  if (result == nullptr) return nb::none();
  return nb::make_tuple(nb::steal(result), sums);
}

// The sum over i of a[i] @ b[i].T of arrays of bfloat16 (i, rows, depth) and (i, columns, depth),
// or None where the processor, or the kernel, does not know them.
nb::object summed_matmul_of(nb::handle a, nb::handle b) {
  if (!has_bfloat16_products() || !PyArray_CheckExact(a.ptr()) || !PyArray_CheckExact(b.ptr())) {
    return nb::none();
  }
#if DTORCH_X86
  PyArrayObject *left = as_array(a.ptr()), *right = as_array(b.ptr());
  for (PyArrayObject* array : {left, right}) {
    if (!is_bfloat16(array) || PyArray_NDIM(array) != 3 || PyArray_SIZE(array) == 0 ||
        !PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISBEHAVED_RO(array)) {
      return nb::none();
    }
  }
  const npy_intp *a_sizes = PyArray_DIMS(left), *b_sizes = PyArray_DIMS(right);
  if (a_sizes[0] != b_sizes[0] || a_sizes[2] != b_sizes[2]) return nb::none();
  Product s = {};
  s.batches = static_cast<std::size_t>(a_sizes[0]);
  s.rows = static_cast<std::size_t>(a_sizes[1]);
  s.columns = static_cast<std::size_t>(b_sizes[1]);
  s.depth = static_cast<std::size_t>(a_sizes[2]);
  s.slots = static_cast<std::size_t>(get_num_threads());
  const npy_intp sizes[] = {a_sizes[1], b_sizes[1]};
  const nb::object owner = new_array(2, sizes, PyArray_TYPE(left));
  const Workspace<std::uint32_t> workspace(avx512_bf16::summed_matmul_workspace(s));
  const auto* from_a = static_cast<const std::uint16_t*>(PyArray_DATA(left));
  const auto* from_b = static_cast<const std::uint16_t*>(PyArray_DATA(right));
  auto* to = static_cast<std::uint16_t*>(PyArray_DATA(as_array(owner.ptr())));
  {
    const nb::gil_scoped_release released;
    avx512_bf16::summed_matmul(s, from_a, from_b, to, workspace.get());
  }
  return owner;
#else
  return nb::none();
#endif
}

// ------------------------------------------------------------------------- gradients of affine

// Whether it is an array of that type whose elements lie in order.
bool is_ordered(PyArrayObject* array, int type) {
  return PyArray_TYPE(array) == type && PyArray_NDIM(array) > 0 && PyArray_SIZE(array) > 0 &&
         PyArray_IS_C_CONTIGUOUS(array) && PyArray_ISBEHAVED_RO(array);
}

Product shape_of(std::size_t rows, std::size_t columns, std::size_t depth) {
  Product s = {};
  s.batches = 1;
  s.rows = rows;
  s.columns = columns;
  s.depth = depth;
  const bool small = rows * columns * depth < fewest_multiplications;
  s.slots = small ? 1 : static_cast<std::size_t>(get_num_threads());
  return s;
}

template <class T>
nb::object affine_gradients_of(PyArrayObject* grad, PyArrayObject* input, PyArrayObject* weight,
                               bool of_input, bool of_weight, bool of_bias) {
  const int type = PyArray_TYPE(grad);
  const npy_intp* sizes = PyArray_DIMS(weight);
  const auto out = static_cast<std::size_t>(sizes[0]), in = static_cast<std::size_t>(sizes[1]);
  const std::size_t rows = static_cast<std::size_t>(PyArray_SIZE(grad)) / out;
  const std::vector<std::size_t> at{0};
  nb::list found;
  for (int i = 0; i < 3; ++i) found.append(nb::none());
  if (of_input) {
    Product s = shape_of(rows, in, out);
    s.a_row = out;
    s.b_row = in;
    s.a_column = s.b_column = 1;
    found[0] = new_array(PyArray_NDIM(input), PyArray_DIMS(input), type);
    run<T>(s, grad, at, weight, at, nullptr, as_array(nb::handle(found[0]).ptr()), nullptr);
  }
  if (of_weight) {
    Product s = shape_of(out, in, rows);
    s.a_column = out;
    s.b_row = in;
    s.a_row = s.b_column = 1;
    found[1] = new_array(2, sizes, type);
    if (of_bias) found[2] = new_array(1, sizes, type);
    PyArrayObject* sums = of_bias ? as_array(nb::handle(found[2]).ptr()) : nullptr;
    run<T>(s, grad, at, input, at, nullptr, as_array(nb::handle(found[1]).ptr()), sums);
  }
  return found;
}

// Those of input, weight and bias, as a list; None where the formula is to be used. needs: of which
// of them.
nb::object affine_gradients(nb::handle grad, nb::handle input, nb::handle weight, nb::tuple needs) {
  for (nb::handle array : {grad, input, weight}) {
    if (!PyArray_CheckExact(array.ptr())) return nb::none();
  }
  PyArrayObject *g = as_array(grad.ptr()), *x = as_array(input.ptr()), *w = as_array(weight.ptr());
  const int type = PyArray_TYPE(g), last = PyArray_NDIM(g) - 1;
  if ((type != NPY_FLOAT && type != NPY_DOUBLE) || !is_ordered(g, type) || !is_ordered(x, type) ||
      !is_ordered(w, type) || PyArray_NDIM(w) != 2 || PyArray_NDIM(x) != last + 1 ||
      PyArray_DIM(g, last) != PyArray_DIM(w, 0) || PyArray_DIM(x, last) != PyArray_DIM(w, 1) ||
      PyArray_SIZE(g) / PyArray_DIM(w, 0) != PyArray_SIZE(x) / PyArray_DIM(w, 1)) {
    return nb::none();
  }
  const auto needed = [&](int i) { return needs[i].is(nb::bool_(true)); };
  if (needed(2) && !needed(1)) return nb::none();
  return type == NPY_FLOAT ? affine_gradients_of<float>(g, x, w, needed(0), needed(1), needed(2))
                           : affine_gradients_of<double>(g, x, w, needed(0), needed(1), needed(2));
}

}  // namespace

void bind_matmul(nb::module_& m) {
  m.def("matmul", matmul_of, "a"_a, "b"_a);
  m.def("summed_matmul", summed_matmul_of, "a"_a, "b"_a);
  m.def("matmul_plus_row", matmul_plus_row, "a"_a, "b"_a, "row"_a.none());
  m.def("matmul_and_row_sums", matmul_and_row_sums, "a"_a, "b"_a);
  m.def("affine_gradients", affine_gradients, "grad"_a, "input"_a, "weight"_a, "needs"_a);
}

}  // namespace dtorch
