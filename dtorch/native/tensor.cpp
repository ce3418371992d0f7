#define DTORCH_DEFINES_NUMPY_API
#include "objects.h"

#include <structmember.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <initializer_list>

namespace dtorch::core {

PyTypeObject* tensor_base = nullptr;
int requires_grad = 0, is_volatile = 0, is_inference = 0;

namespace {

PyTypeObject* tensor_type = nullptr;  // what operations return: core.tensor.Tensor

// --------------------------------------------------------------------------------- TensorBase

PyObject* get_storage(PyObject* self, void*) {
  PyObject* storage = as_tensor(self)->storage;
  return Py_NewRef(storage ? storage : Py_None);
}

int set_storage(PyObject* self, PyObject* value, void*) {
  if (is_none(value)) {
    unlink(as_tensor(self));
    return 0;
  }
  if (!PyObject_TypeCheck(value, storage_base)) {
    PyErr_SetString(PyExc_TypeError, "_storage: expected a storage or None");
    return -1;
  }
  link(as_tensor(self), value);
  return 0;
}

// memoryview(tensor) is that of its array.
int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  Tensor* t = as_tensor(self);
  if (t->mode == requires_grad || !is_array(t->array)) {
    PyErr_SetString(PyExc_BufferError, t->mode == requires_grad
                                           ? "the tensor requires grad; use detach()"
                                           : "the tensor does not lie on the CPU");
    view->obj = nullptr;
    return -1;
  }
  return PyObject_GetBuffer(t->array, view, flags);
}

PyGetSetDef tensor_getset[] = {{"_storage", get_storage, set_storage, nullptr, nullptr},
                               {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef tensor_members[] = {
    {"_array", T_OBJECT_EX, offsetof(Tensor, array), 0, nullptr},
    {"_grad", T_OBJECT, offsetof(Tensor, grad), 0, nullptr},
    {"_grad_fn", T_OBJECT, offsetof(Tensor, grad_fn), 0, nullptr},
    {"_hooks", T_OBJECT, offsetof(Tensor, hooks), 0, nullptr},
    {"_counter", T_OBJECT, offsetof(Tensor, version), 0, nullptr},
    {"_view", T_OBJECT, offsetof(Tensor, view), 0, nullptr},
    {"_mode", T_INT, offsetof(Tensor, mode), 0, nullptr},
    {"_output_nr", T_INT, offsetof(Tensor, output_nr), 0, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Tensor, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
  Tensor* t = as_tensor(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(t->array);
  Py_VISIT(t->grad);
  Py_VISIT(t->grad_fn);
  Py_VISIT(t->hooks);
  Py_VISIT(t->storage);
  Py_VISIT(t->version);
  Py_VISIT(t->view);
  return 0;
}

int tensor_clear(PyObject* self) {
  Tensor* t = as_tensor(self);
  Py_CLEAR(t->array);
  Py_CLEAR(t->grad);
  Py_CLEAR(t->grad_fn);
  Py_CLEAR(t->hooks);
  unlink(t);
  Py_CLEAR(t->version);
  Py_CLEAR(t->view);
  return 0;
}

void tensor_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, tensor_dealloc) if (as_tensor(self)->weakrefs)
      PyObject_ClearWeakRefs(self);
  tensor_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

// ---------------------------------------------------------------------------------- functions

PyObject* register_tensor_type(PyObject*, PyObject* given) {
  return set_type(tensor_type, given, tensor_base, "register_tensor_type") ? Py_NewRef(Py_None)
                                                                           : nullptr;
}

PyObject* py_wrap(PyObject*, PyObject* array) { return wrap(Py_NewRef(array)); }

PyObject* py_fill(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 2 || !is_tensor(args[0])) {
    PyErr_SetString(PyExc_TypeError, "fill: expected a tensor and an array");
    return nullptr;
  }
  Py_XSETREF(as_tensor(args[0])->array, Py_NewRef(args[1]));
  Py_RETURN_NONE;
}

PyObject* py_address_of(PyObject*, PyObject* array) {
  if (!PyArray_Check(array)) {
    PyErr_SetString(PyExc_TypeError, "address_of: expected an array of NumPy");
    return nullptr;
  }
  return PyLong_FromVoidPtr(PyArray_DATA(as_array(array)));
}

PyObject* py_set_modes(PyObject*, PyObject* args) {
  int none;
  if (!PyArg_ParseTuple(args, "iiii", &none, &requires_grad, &is_volatile, &is_inference)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_modes", py_set_modes, METH_VARARGS, nullptr},
    {"register_tensor_type", register_tensor_type, METH_O, nullptr},
    {"address_of", py_address_of, METH_O, "Address of the first element of an array."},
    {"wrap", py_wrap, METH_O, "A plain tensor over an array; nothing is copied."},
    {"fill", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_fill)), METH_FASTCALL,
     "Set the fields of a new tensor object."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyTypeObject* add_type(PyObject* module, PyType_Spec* spec) {
  PyObject* type = PyType_FromSpec(spec);
  if (!type) return nullptr;
  const char* name = std::strrchr(spec->name, '.') + 1;
  if (PyModule_AddObjectRef(module, name, type) < 0) {
    Py_DECREF(type);
    return nullptr;
  }
  return reinterpret_cast<PyTypeObject*>(type);
}

bool set_type(PyTypeObject*& place, PyObject* given, PyTypeObject* base, const char* function) {
  if (!PyType_Check(given) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(given), base)) {
    PyErr_Format(PyExc_TypeError, "%s: expected a subclass of %s", function, base->tp_name);
    return false;
  }
  Py_XSETREF(place, reinterpret_cast<PyTypeObject*>(Py_NewRef(given)));
  return true;
}

PyObject* ensure_array(PyObject* value) {
  if (!value || PyArray_CheckExact(value)) return value;
  if (!PyArray_IsScalar(value, Generic) && !PyFloat_Check(value) && !PyLong_Check(value) &&
      !PyComplex_Check(value)) {
    return value;  // an array of another device
  }
  PyObject* array = PyArray_FROM_O(value);
  Py_DECREF(value);
  return array;
}

PyObject* wrap(PyObject* array) {
  array = ensure_array(array);
  if (!array) return nullptr;
  PyTypeObject* type = tensor_type ? tensor_type : tensor_base;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) {
    Py_DECREF(array);
    return nullptr;
  }
  as_tensor(self)->array = array;
  return self;
}

// The operators of tensors, in op_function.cpp.
extern PyType_Slot operator_slots[];

bool add_tensor(PyObject* module) {
  if (PyArray_ImportNumPyAPI() < 0) return false;
  static PyType_Slot slots[64] = {
      {Py_tp_members, tensor_members},
      {Py_tp_getset, tensor_getset},
      {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
      {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
      {Py_tp_doc, const_cast<char*>("Fields every tensor has.")},
  };
  int end = 7;
  for (PyType_Slot* slot = operator_slots; slot->slot; ++slot) slots[end++] = *slot;
  slots[end] = {0, nullptr};
  PyType_Spec tensor_spec = {"dtorch._native.TensorBase", sizeof(Tensor), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  if (!add_storage(module) || !add_node(module)) return false;
  tensor_base = add_type(module, &tensor_spec);
  return tensor_base && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
