#define DTORCH_DEFINES_NUMPY_API
#include "core.h"

#include <structmember.h>

#include <atomic>
#include <cstddef>
#include <cstring>

namespace dtorch::core {

PyTypeObject* tensor_base = nullptr;
PyTypeObject* node_base = nullptr;
PyTypeObject* version_type = nullptr;
PyTypeObject* saved_output_type = nullptr;

namespace {

PyTypeObject* tensor_type = nullptr;   // what operations return: core.tensor.Tensor
PyTypeObject* op_node_type = nullptr;  // core.record.OpNode
std::atomic<long long> sequence{0};

// ---------------------------------------------------------------------------------- Version

PyMemberDef version_members[] = {
    {"value", T_PYSSIZET, offsetof(Version, value), 0, "number of in-place changes"},
    {nullptr, 0, 0, 0, nullptr}};

void version_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot version_slots[] = {
    {Py_tp_members, version_members},
    {Py_tp_dealloc, reinterpret_cast<void*>(version_dealloc)},
    {Py_tp_doc, const_cast<char*>("Counts the in-place changes of a family of tensors.")},
    {0, nullptr}};
PyType_Spec version_spec = {"dtorch._native.Version", sizeof(Version), 0, Py_TPFLAGS_DEFAULT,
                            version_slots};

// --------------------------------------------------------------------------------- TensorBase

PyMemberDef tensor_members[] = {
    {"_array", T_OBJECT_EX, offsetof(Tensor, array), 0, nullptr},
    {"_grad", T_OBJECT, offsetof(Tensor, grad), 0, nullptr},
    {"_grad_fn", T_OBJECT, offsetof(Tensor, grad_fn), 0, nullptr},
    {"_hooks", T_OBJECT, offsetof(Tensor, hooks), 0, nullptr},
    {"_storage", T_OBJECT, offsetof(Tensor, storage), 0, nullptr},
    {"_version", T_OBJECT, offsetof(Tensor, version), 0, nullptr},
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
  Py_CLEAR(t->storage);
  Py_CLEAR(t->version);
  Py_CLEAR(t->view);
  return 0;
}

void tensor_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, tensor_dealloc)
  if (as_tensor(self)->weakrefs) PyObject_ClearWeakRefs(self);
  tensor_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

// ----------------------------------------------------------------------------------- NodeBase

PyMemberDef node_members[] = {
    {"edges", T_OBJECT, offsetof(Node, edges), 0, nullptr},
    {"inputs", T_OBJECT, offsetof(Node, inputs), 0, nullptr},
    {"hooks", T_OBJECT, offsetof(Node, hooks), 0, nullptr},
    {"op", T_OBJECT, offsetof(Node, op), 0, nullptr},
    {"plan", T_OBJECT, offsetof(Node, plan), 0, nullptr},
    {"saved", T_OBJECT, offsetof(Node, saved), 0, nullptr},
    {"versions", T_OBJECT, offsetof(Node, versions), 0, nullptr},
    {"out_like", T_OBJECT, offsetof(Node, out_like), 0, nullptr},
    {"n_outputs", T_INT, offsetof(Node, n_outputs), 0, nullptr},
    {"seq", T_LONGLONG, offsetof(Node, seq), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Node, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

int node_traverse(PyObject* self, visitproc visit, void* arg) {
  Node* n = as_node(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(n->edges);
  Py_VISIT(n->inputs);
  Py_VISIT(n->hooks);
  Py_VISIT(n->op);
  Py_VISIT(n->plan);
  Py_VISIT(n->saved);
  Py_VISIT(n->versions);
  Py_VISIT(n->out_like);
  return 0;
}

int node_clear(PyObject* self) {
  Node* n = as_node(self);
  Py_CLEAR(n->edges);
  Py_CLEAR(n->inputs);
  Py_CLEAR(n->hooks);
  Py_CLEAR(n->op);
  Py_CLEAR(n->plan);
  Py_CLEAR(n->saved);
  Py_CLEAR(n->versions);
  Py_CLEAR(n->out_like);
  return 0;
}

// The trashcan keeps the freeing of a long chain of nodes from recursing.
void node_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, node_dealloc)
  if (as_node(self)->weakrefs) PyObject_ClearWeakRefs(self);
  node_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

PyObject* node_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  as_node(self)->n_outputs = 1;
  as_node(self)->seq = sequence++;
  return self;
}

PyType_Slot node_slots[] = {
    {Py_tp_members, node_members},
    {Py_tp_new, reinterpret_cast<void*>(node_new)},
    {Py_tp_traverse, reinterpret_cast<void*>(node_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(node_clear)},
    {Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
    {Py_tp_doc, const_cast<char*>("Fields every node has.")},
    {0, nullptr}};
PyType_Spec node_spec = {"dtorch._native.NodeBase", sizeof(Node), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, node_slots};

// -------------------------------------------------------------------------------- SavedOutput

PyMemberDef saved_output_members[] = {
    {"array", T_OBJECT, offsetof(SavedOutput, array), 0, nullptr},
    {"version", T_OBJECT, offsetof(SavedOutput, version), 0, nullptr},
    {"nr", T_INT, offsetof(SavedOutput, nr), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

void saved_output_dealloc(PyObject* self) {
  auto* s = reinterpret_cast<SavedOutput*>(self);
  Py_CLEAR(s->array);
  Py_CLEAR(s->version);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* saved_output_new(PyTypeObject*, PyObject* args, PyObject*) {
  PyObject* tensor;
  int nr;
  if (!PyArg_ParseTuple(args, "Oi", &tensor, &nr)) return nullptr;
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "SavedOutput: expected a tensor");
    return nullptr;
  }
  return new_saved_output(as_tensor(tensor), nr);
}

PyType_Slot saved_output_slots[] = {
    {Py_tp_members, saved_output_members},
    {Py_tp_new, reinterpret_cast<void*>(saved_output_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(saved_output_dealloc)},
    {Py_tp_doc, const_cast<char*>("An output kept for the gradient, without its graph.")},
    {0, nullptr}};
PyType_Spec saved_output_spec = {"dtorch._native.SavedOutput", sizeof(SavedOutput), 0,
                                 Py_TPFLAGS_DEFAULT, saved_output_slots};

// ---------------------------------------------------------------------------------- functions

PyObject* py_register_tensor_type(PyObject*, PyObject* type) {
  if (!PyType_Check(type) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), tensor_base)) {
    PyErr_SetString(PyExc_TypeError, "register_tensor_type: expected a subclass of TensorBase");
    return nullptr;
  }
  Py_INCREF(type);
  Py_XDECREF(reinterpret_cast<PyObject*>(tensor_type));
  tensor_type = reinterpret_cast<PyTypeObject*>(type);
  Py_RETURN_NONE;
}

PyObject* py_register_op_node(PyObject*, PyObject* type) {
  if (!PyType_Check(type) || !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), node_base)) {
    PyErr_SetString(PyExc_TypeError, "register_op_node: expected a subclass of NodeBase");
    return nullptr;
  }
  Py_INCREF(type);
  Py_XDECREF(reinterpret_cast<PyObject*>(op_node_type));
  op_node_type = reinterpret_cast<PyTypeObject*>(type);
  Py_RETURN_NONE;
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

PyObject* py_version_of(PyObject*, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "version_of: expected a tensor");
    return nullptr;
  }
  return PyLong_FromSsize_t(version_value(as_tensor(tensor)->version));
}

PyObject* shared_version(Tensor* tensor) {  // borrowed
  if (is_none(tensor->version)) {
    PyObject* made = version_type->tp_alloc(version_type, 0);
    if (!made) return nullptr;
    Py_XSETREF(tensor->version, made);
  }
  return tensor->version;
}

PyObject* py_shared_version(PyObject*, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "shared_version: expected a tensor");
    return nullptr;
  }
  return Py_XNewRef(shared_version(as_tensor(tensor)));
}

PyMethodDef functions[] = {
    {"register_tensor_type", py_register_tensor_type, METH_O, nullptr},
    {"register_op_node", py_register_op_node, METH_O, nullptr},
    {"wrap", py_wrap, METH_O, "A plain tensor over an array; nothing is copied."},
    {"fill", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_fill)), METH_FASTCALL,
     "Set the fields of a new tensor object."},
    {"version_of", py_version_of, METH_O, "How often the memory was changed in place."},
    {"shared_version", py_shared_version, METH_O, "The counter that views share."},
    {nullptr, nullptr, 0, nullptr}};

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

}  // namespace

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

PyObject* new_saved_output(Tensor* tensor, int nr) {
  PyObject* version = shared_version(tensor);
  if (!version) return nullptr;
  PyObject* self = saved_output_type->tp_alloc(saved_output_type, 0);
  if (!self) return nullptr;
  auto* s = reinterpret_cast<SavedOutput*>(self);
  s->array = Py_XNewRef(tensor->array);
  s->version = Py_NewRef(version);
  s->nr = nr;
  return self;
}

Node* new_op_node() {
  if (!op_node_type) {
    PyErr_SetString(PyExc_RuntimeError, "no class of nodes is registered");
    return nullptr;
  }
  return as_node(node_new(op_node_type, nullptr, nullptr));
}

PyObject* array_info(PyArrayObject* array) {
  struct Entry {
    PyObject* info = nullptr;
    PyArray_Descr* descr = nullptr;
    int ndim = 0;
    npy_intp dims[4] = {};
  };
  static Entry cache[8];
  static unsigned next = 0;
  const int ndim = PyArray_NDIM(array);
  const npy_intp* dims = PyArray_DIMS(array);
  PyArray_Descr* descr = PyArray_DESCR(array);
  if (ndim <= 4) {
    for (const Entry& entry : cache) {
      if (entry.info && entry.descr == descr && entry.ndim == ndim &&
          std::memcmp(entry.dims, dims, static_cast<std::size_t>(ndim) * sizeof(npy_intp)) == 0) {
        return Py_NewRef(entry.info);
      }
    }
  }
  PyObject* shape = PyTuple_New(ndim);
  if (!shape) return nullptr;
  for (int i = 0; i < ndim; ++i) PyTuple_SET_ITEM(shape, i, PyLong_FromSsize_t(dims[i]));
  PyObject* info = PyTuple_Pack(2, shape, reinterpret_cast<PyObject*>(descr));
  Py_DECREF(shape);
  if (info && ndim <= 4) {
    Entry& entry = cache[next++ % 8];
    Py_XSETREF(entry.info, Py_NewRef(info));
    entry.descr = descr;  // kept alive by info
    entry.ndim = ndim;
    std::memcpy(entry.dims, dims, static_cast<std::size_t>(ndim) * sizeof(npy_intp));
  }
  return info;
}

// The operators of tensors, in op_function.cpp.
extern PyType_Slot operator_slots[];

bool add_tensor(PyObject* module) {
  if (PyArray_ImportNumPyAPI() < 0) return false;
  static PyType_Slot slots[64] = {
      {Py_tp_members, tensor_members},
      {Py_tp_traverse, reinterpret_cast<void*>(tensor_traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(tensor_clear)},
      {Py_tp_dealloc, reinterpret_cast<void*>(tensor_dealloc)},
      {Py_tp_doc, const_cast<char*>("Fields every tensor has.")},
  };
  int end = 5;
  for (PyType_Slot* slot = operator_slots; slot->slot; ++slot) slots[end++] = *slot;
  slots[end] = {0, nullptr};
  PyType_Spec tensor_spec = {"dtorch._native.TensorBase", sizeof(Tensor), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  version_type = add_type(module, &version_spec);
  saved_output_type = version_type ? add_type(module, &saved_output_spec) : nullptr;
  node_base = saved_output_type ? add_type(module, &node_spec) : nullptr;
  tensor_base = node_base ? add_type(module, &tensor_spec) : nullptr;
  return tensor_base && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
