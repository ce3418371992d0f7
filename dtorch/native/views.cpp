// The commonest views, and the sum, of plain NumPy arrays: indexing with ints and slices, view(),
// transpose(), t(). What they do not know goes to the Python method.
#include "core.h"

#include <structmember.h>

#include <cstddef>
#include <cstring>
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

struct Method {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* slow;  // the Python method
  PyObject* op;    // what is recorded
  int kind;
};

enum Kind { get_item, reshape, transpose, transpose_2d, sum, kinds };
constexpr const char* kind_names[kinds] = {"__getitem__", "view", "transpose", "t", "sum"};
PyTypeObject* method_type = nullptr;
PyObject* get_item_method = nullptr;

Method* as_method(PyObject* object) { return reinterpret_cast<Method*>(object); }

// A view of `array`, that of `input`, with its history; args: what follows the input in a call of
// the operation (taken over).
PyObject* finish_view(Method* method, PyObject* input, PyArrayObject* array, Geometry& g,
                      PyObject* args) {
  Tensor* tensor = as_tensor(input);
  PyObject* view = args ? array_over(array, g) : nullptr;
  PyObject* out = view ? wrap_view(tensor, view, method->op, args, -1, false) : nullptr;
  if (out && tensor->mode) {
    PyObject* values[4] = {input};
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    for (Py_ssize_t i = 0; i < n && i < 3; ++i) values[i + 1] = PyTuple_GET_ITEM(args, i);
    if (!set_history(method->op, values, n + 1, &out, 1, nullptr, tensor->mode)) Py_CLEAR(out);
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

PyObject* index_fast(Method* method, PyObject* input, PyArrayObject* array, PyObject* index) {
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
  return args ? finish_view(method, input, array, g, args) : nullptr;
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

PyObject* view_fast(Method* method, PyArrayObject* array, PyObject* const* args, Py_ssize_t nargs) {
  PyObject* const* sizes = args + 1;
  Py_ssize_t count = nargs - 1;
  if (count == 1 && PyTuple_Check(args[1])) {
    sizes = PySequence_Fast_ITEMS(args[1]);
    count = PyTuple_GET_SIZE(args[1]);
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
  return kept ? finish_view(method, args[0], array, g, kept) : nullptr;
}

PyObject* transpose_fast(Method* method, PyObject* input, PyArrayObject* array, PyObject* dim0,
                         PyObject* dim1) {
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
  return kept ? finish_view(method, input, array, g, kept) : nullptr;
}

PyObject* t_fast(Method* method, PyObject* input, PyArrayObject* array) {
  if (PyArray_NDIM(array) != 2) return nullptr;
  static PyObject* zero = PyLong_FromLong(0);
  static PyObject* one = PyLong_FromLong(1);
  return transpose_fast(method, input, array, zero, one);
}

PyObject* sum_fast(Method* method, PyObject* input, PyArrayObject* array) {
  Tensor* tensor = as_tensor(input);
  PyObject* result = sum_array(array);
  PyObject* out = result ? wrap(result) : nullptr;
  if (out && tensor->mode && !set_history(method->op, &input, 1, &out, 1, nullptr, tensor->mode)) {
    Py_CLEAR(out);
  }
  return out;
}

PyObject* fast(Method* method, PyObject* const* args, Py_ssize_t nargs) {
  if (!fast_paths || !nargs || !is_tensor(args[0]) || as_tensor(args[0])->mode & inference) {
    return nullptr;
  }
  const Ref held = hold(as_tensor(args[0])->array);
  if (!is_array(held.get())) return nullptr;
  PyArrayObject* array = as_array(held.get());
  switch (method->kind) {
    case get_item:
      return nargs == 2 ? index_fast(method, args[0], array, args[1]) : nullptr;
    case reshape:
      return view_fast(method, array, args, nargs);
    case transpose:
      return nargs == 3 ? transpose_fast(method, args[0], array, args[1], args[2]) : nullptr;
    case transpose_2d:
      return nargs == 1 ? t_fast(method, args[0], array) : nullptr;
    default:
      return nargs == 1 ? sum_fast(method, args[0], array) : nullptr;
  }
}

PyObject* call(PyObject* self, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  Method* method = as_method(self);
  if (!kwnames) {
    PyObject* result = fast(method, args, PyVectorcall_NARGS(nargsf));
    if (result || PyErr_Occurred()) return result;
  }
  return PyObject_Vectorcall(method->slow, args, nargsf, kwnames);
}

// ----------------------------------------------------------------------------- the type itself

// FastMethod(name, slow, op): the compiled form of the method `name`.
PyObject* method_new(PyTypeObject* type, PyObject* args, PyObject*) {
  const char* name;
  PyObject *slow, *op;
  if (!PyArg_ParseTuple(args, "sOO", &name, &slow, &op)) return nullptr;
  int kind = 0;
  while (kind < kinds && std::strcmp(name, kind_names[kind]) != 0) ++kind;
  if (kind == kinds) {
    PyErr_Format(PyExc_ValueError, "FastMethod: there is none for %s", name);
    return nullptr;
  }
  auto* self = reinterpret_cast<Method*>(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  self->vectorcall = call;
  self->slow = Py_NewRef(slow);
  self->op = Py_NewRef(op);
  self->kind = kind;
  if (kind == get_item) Py_XSETREF(get_item_method, Py_NewRef(reinterpret_cast<PyObject*>(self)));
  return reinterpret_cast<PyObject*>(self);
}

int method_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_method(self)->dict);
  Py_VISIT(as_method(self)->slow);
  Py_VISIT(as_method(self)->op);
  return 0;
}

int method_clear(PyObject* self) {
  Py_CLEAR(as_method(self)->dict);
  Py_CLEAR(as_method(self)->slow);
  Py_CLEAR(as_method(self)->op);
  return 0;
}

void method_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  method_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* method_get(PyObject* self, PyObject* instance, PyObject*) {
  return is_none(instance) ? Py_NewRef(self) : PyMethod_New(self, instance);
}

PyObject* method_reduce(PyObject* self, PyObject*) {
  return PyObject_GetAttrString(self, "__qualname__");
}

PyMemberDef method_members[] = {
    {"op", T_OBJECT, offsetof(Method, op), READONLY, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(Method, dict), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Method, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyGetSetDef method_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef method_methods[] = {{"__reduce__", method_reduce, METH_NOARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};
PyType_Slot method_slots[] = {{Py_tp_new, reinterpret_cast<void*>(method_new)},
                              {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                              {Py_tp_descr_get, reinterpret_cast<void*>(method_get)},
                              {Py_tp_members, method_members},
                              {Py_tp_getset, method_getset},
                              {Py_tp_methods, method_methods},
                              {Py_tp_traverse, reinterpret_cast<void*>(method_traverse)},
                              {Py_tp_clear, reinterpret_cast<void*>(method_clear)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(method_dealloc)},
                              {0, nullptr}};
PyType_Spec method_spec = {"dtorch._native.FastMethod", sizeof(Method), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                               Py_TPFLAGS_METHOD_DESCRIPTOR,
                           method_slots};

}  // namespace

// tensor[index], the slot of TensorBase.
PyObject* tensor_subscript(PyObject* self, PyObject* index) {
  if (!get_item_method) {
    PyErr_SetString(PyExc_TypeError, "tensors cannot be indexed yet");
    return nullptr;
  }
  PyObject* args[] = {self, index};
  return call(get_item_method, args, 2, nullptr);
}

bool add_views(PyObject* module) {
  PyObject* type = PyType_FromSpec(&method_spec);
  if (!type) return false;
  method_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "FastMethod", type) == 0;
}

}  // namespace dtorch::core
