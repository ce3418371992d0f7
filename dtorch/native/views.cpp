// Short ways of the commonest views, and of the sum, of plain NumPy arrays.
#include "op_function.h"

#include <cstddef>
#include <utility>

#include "elementwise.h"

namespace dtorch::core {

namespace {

constexpr int max_dims = 16;

struct Geometry {
  int ndim = 0;
  npy_intp dims[max_dims];
  npy_intp strides[max_dims];
  npy_intp offset = 0;  // bytes

  void push(npy_intp size, npy_intp stride) {
    dims[ndim] = size;
    strides[ndim++] = stride;
  }
};

Geometry geometry_of(PyArrayObject* array) {
  Geometry g;
  for (int i = 0; i < PyArray_NDIM(array); ++i)
    g.push(PyArray_DIM(array, i), PyArray_STRIDE(array, i));
  return g;
}

PyObject* array_over(PyArrayObject* array, Geometry& g) {
  PyArray_Descr* descr = PyArray_DESCR(array);
  Py_INCREF(descr);
  PyObject* view = PyArray_NewFromDescr(
      &PyArray_Type, descr, g.ndim, g.dims, g.strides, PyArray_BYTES(array) + g.offset,
      PyArray_FLAGS(array) & (NPY_ARRAY_WRITEABLE | NPY_ARRAY_ALIGNED), nullptr);
  if (!view) return nullptr;
  Py_INCREF(array);
  if (PyArray_SetBaseObject(as_array(view), reinterpret_cast<PyObject*>(array)) < 0) {
    Py_DECREF(view);
    return nullptr;
  }
  return view;
}

// A view of `array`, that of `input`, with its history; args: what follows the input in a call of
// the operation (taken over).
PyObject* finish_view(OpFunction* function, PyObject* input, PyArrayObject* array, Geometry& g,
                      PyObject* args) {
  Tensor* tensor = as_tensor(input);
  PyObject* view = args ? array_over(array, g) : nullptr;
  PyObject* out = view ? wrap_view(tensor, view, function->op, args, -1, false) : nullptr;
  if (out && tensor->mode) {
    PyObject* values[4] = {input};
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    for (Py_ssize_t i = 0; i < n && i < 3; ++i) values[i + 1] = PyTuple_GET_ITEM(args, i);
    if (!set_history(function->op, values, n + 1, &out, 1, nullptr, tensor->mode)) Py_CLEAR(out);
  }
  Py_XDECREF(args);
  return out;
}

// ------------------------------------------------------------------------------------ indexing

bool whole(PyObject* value, npy_intp& number) {
  if (!PyLong_CheckExact(value)) return false;
  number = PyLong_AsSsize_t(value);
  if (number == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  return true;
}

bool bound(PyObject* value, npy_intp size, npy_intp absent, npy_intp& number) {
  if (value == Py_None) {
    number = absent;
    return true;
  }
  if (!whole(value, number)) return false;
  if (number < 0) number += size;
  number = number < 0 ? 0 : number > size ? size : number;
  return true;
}

// False for what the Python method should see, errors among it.
bool apply_index(PyObject* part, PyArrayObject* array, int& dim, Geometry& g) {
  if (part == Py_None) {
    if (g.ndim == max_dims) return false;
    g.push(1, 0);
    return true;
  }
  if (dim >= PyArray_NDIM(array)) return false;
  const npy_intp size = PyArray_DIM(array, dim), stride = PyArray_STRIDE(array, dim);
  npy_intp number;
  if (PySlice_Check(part)) {
    auto* slice = reinterpret_cast<PySliceObject*>(part);
    npy_intp start, stop, step = 1;
    if (!bound(slice->start, size, 0, start) || !bound(slice->stop, size, size, stop)) return false;
    if (slice->step != Py_None && (!whole(slice->step, step) || step < 1)) return false;
    if (g.ndim == max_dims) return false;
    g.offset += start * stride;
    npy_intp apart = stride;  // of one element at most, if the product is too large
    if (npy_intp product; !__builtin_mul_overflow(stride, step, &product)) apart = product;
    g.push(stop > start ? (stop - start - 1) / step + 1 : 0, apart);
    ++dim;
    return true;
  }
  if (!whole(part, number) || number < -size || number >= size) return false;
  g.offset += (number < 0 ? number + size : number) * stride;
  ++dim;
  return true;
}

PyObject* index(OpFunction* function, PyObject* input, PyArrayObject* array, PyObject* const* rest,
                Py_ssize_t nargs) {
  if (nargs != 1) return nullptr;
  PyObject* index = rest[0];
  const bool several = PyTuple_CheckExact(index);
  const Py_ssize_t count = several ? PyTuple_GET_SIZE(index) : 1;
  if (count > max_dims || PyArray_NDIM(array) > max_dims) return nullptr;
  int given = 0;
  bool dots = false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* part = several ? PyTuple_GET_ITEM(index, i) : index;
    if (part == Py_Ellipsis) {
      if (dots) return nullptr;
      dots = true;
    } else if (part != Py_None) {
      ++given;
    }
  }
  Geometry g;
  int dim = 0;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* part = several ? PyTuple_GET_ITEM(index, i) : index;
    if (part == Py_Ellipsis) {
      for (int skip = PyArray_NDIM(array) - given; skip > 0; --skip, ++dim) {
        if (g.ndim == max_dims) return nullptr;
        g.push(PyArray_DIM(array, dim), PyArray_STRIDE(array, dim));
      }
    } else if (!apply_index(part, array, dim, g)) {
      return nullptr;
    }
  }
  for (; dim < PyArray_NDIM(array); ++dim) {
    if (g.ndim == max_dims) return nullptr;
    g.push(PyArray_DIM(array, dim), PyArray_STRIDE(array, dim));
  }
  // Kept with an ellipsis, so that NumPy gives a view and no scalar when it is repeated.
  PyObject* kept = PyTuple_New(count + !dots);
  if (!kept) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyTuple_SET_ITEM(kept, i, Py_NewRef(several ? PyTuple_GET_ITEM(index, i) : index));
  }
  if (!dots) PyTuple_SET_ITEM(kept, count, Py_NewRef(Py_Ellipsis));
  PyObject* args = PyTuple_Pack(1, kept);
  Py_DECREF(kept);
  return args ? finish_view(function, input, array, g, args) : nullptr;
}

// ---------------------------------------------------------------------------------- the others

// Strides for the sizes in `g`, so that it views the same elements in the same order; false where
// the order in memory asks for a copy. Groups of old dims are matched with groups of new dims that
// hold as many elements; within a group the old dims must follow each other in memory.
bool strides_without_copy(PyArrayObject* array, Geometry& g) {
  Geometry old;
  for (int i = 0; i < PyArray_NDIM(array); ++i) {
    if (PyArray_DIM(array, i) != 1) old.push(PyArray_DIM(array, i), PyArray_STRIDE(array, i));
  }
  int o = 0, n = 0;
  npy_intp last = PyArray_ITEMSIZE(array);
  while (o < old.ndim && n < g.ndim) {
    npy_intp old_size = old.dims[o], new_size = g.dims[n];
    int o_end = o + 1, n_end = n + 1;
    while (old_size != new_size) {
      if (new_size < old_size) {
        if (n_end == g.ndim) return false;
        new_size *= g.dims[n_end++];
      } else {
        if (o_end == old.ndim) return false;
        old_size *= old.dims[o_end++];
      }
    }
    for (int k = o; k + 1 < o_end; ++k) {
      if (old.strides[k] != old.dims[k + 1] * old.strides[k + 1]) return false;
    }
    last = old.strides[o_end - 1];
    npy_intp step = last;
    for (int k = n_end - 1; k >= n; --k) {
      g.strides[k] = step;
      step *= g.dims[k];
    }
    o = o_end;
    n = n_end;
  }
  for (; n < g.ndim; ++n) g.strides[n] = last;  // sizes of 1
  return true;
}

PyObject* reshape(OpFunction* function, PyObject* input, PyArrayObject* array,
                  PyObject* const* sizes, Py_ssize_t count) {
  if (count == 1 && PyTuple_Check(sizes[0])) {
    count = PyTuple_GET_SIZE(sizes[0]);
    sizes = PySequence_Fast_ITEMS(sizes[0]);
  }
  const npy_intp total = PyArray_SIZE(array);
  if (count > max_dims || PyArray_NDIM(array) > max_dims || !total) return nullptr;
  Geometry g;
  npy_intp known = 1;
  int unknown = -1;
  for (Py_ssize_t i = 0; i < count; ++i) {
    npy_intp size;
    if (!whole(sizes[i], size) || size < -1 || (size == -1 && unknown >= 0)) return nullptr;
    if (size == -1) {
      unknown = static_cast<int>(i);
    } else if (__builtin_mul_overflow(known, size, &known)) {
      return nullptr;
    }
    g.push(size, 0);
  }
  if (unknown >= 0) {
    if (!known || total % known) return nullptr;
    g.dims[unknown] = total / known;
  } else if (known != total) {
    return nullptr;
  }
  if (!strides_without_copy(array, g)) return nullptr;
  PyObject* shape = PyTuple_New(count);
  if (!shape) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(shape, i, Py_NewRef(sizes[i]));
  PyObject* kept = PyTuple_Pack(1, shape);
  Py_DECREF(shape);
  return kept ? finish_view(function, input, array, g, kept) : nullptr;
}

PyObject* transpose(OpFunction* function, PyObject* input, PyArrayObject* array,
                    PyObject* const* dims, Py_ssize_t count) {
  if (count != 2) return nullptr;
  PyObject *dim0 = dims[0], *dim1 = dims[1];
  const int ndim = PyArray_NDIM(array);
  npy_intp a, b;
  if (!ndim || ndim > max_dims || !whole(dim0, a) || !whole(dim1, b) || a < -ndim || a >= ndim ||
      b < -ndim || b >= ndim) {
    return nullptr;
  }
  a = a < 0 ? a + ndim : a;
  b = b < 0 ? b + ndim : b;
  Geometry g = geometry_of(array);
  std::swap(g.dims[a], g.dims[b]);
  std::swap(g.strides[a], g.strides[b]);
  PyObject* kept = PyTuple_Pack(2, dim0, dim1);
  return kept ? finish_view(function, input, array, g, kept) : nullptr;
}

PyObject* transpose_2d(OpFunction* function, PyObject* input, PyArrayObject* array,
                       PyObject* const*, Py_ssize_t count) {
  if (count || PyArray_NDIM(array) != 2) return nullptr;
  Geometry g = geometry_of(array);
  std::swap(g.dims[0], g.dims[1]);
  std::swap(g.strides[0], g.strides[1]);
  return finish_view(function, input, array, g, PyTuple_New(0));
}

PyObject* sum(OpFunction* function, PyObject* input, PyArrayObject* array, PyObject* const*,
              Py_ssize_t count) {
  if (count) return nullptr;
  Tensor* tensor = as_tensor(input);
  PyObject* result = sum_array(array);
  PyObject* out = result ? wrap(result) : nullptr;
  if (out && tensor->mode &&
      !set_history(function->op, &input, 1, &out, 1, nullptr, tensor->mode)) {
    Py_CLEAR(out);
  }
  return out;
}

// A way for what is done on an array, without keywords.
using OnArray = PyObject* (*)(OpFunction*, PyObject* input, PyArrayObject*, PyObject* const* rest,
                              Py_ssize_t count);

template <OnArray f>
PyObject* way(OpFunction* function, PyObject* const* args, Py_ssize_t nargs) {
  if (!nargs || !is_tensor(args[0]) || as_tensor(args[0])->mode & is_inference) return nullptr;
  const Ref held = hold(as_tensor(args[0])->array);
  if (!is_array(held.get())) return nullptr;
  return f(function, args[0], as_array(held.get()), args + 1, nargs - 1);
}

}  // namespace

const NamedWay view_ways[] = {{"index", way<index>},
                              {"reshape", way<reshape>},
                              {"transpose", way<transpose>},
                              {"transpose_2d", way<transpose_2d>},
                              {"sum", way<sum>},
                              {nullptr, nullptr}};

}  // namespace dtorch::core
