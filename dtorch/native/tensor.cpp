#define DTORCH_DEFINES_NUMPY_API
#include "core.h"

#include <structmember.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <initializer_list>

namespace dtorch::core {

PyTypeObject* tensor_base = nullptr;
PyTypeObject* node_base = nullptr;
PyTypeObject* version_type = nullptr;
PyTypeObject* saved_output_type = nullptr;
PyTypeObject* storage_base = nullptr;
PyTypeObject* view_type = nullptr;
PyTypeObject* op_node_type = nullptr;
int requires_grad = 0, is_volatile = 0, inference = 0;

namespace {

PyTypeObject* storage_type = nullptr;  // core.storage.Storage
PyTypeObject* tensor_type = nullptr;   // what operations return: core.tensor.Tensor
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

// -------------------------------------------------------------------------------- StorageBase

Storage* as_storage(PyObject* object) { return reinterpret_cast<Storage*>(object); }

// Takes the tensor out of the list of its storage, which the caller is to let go when the tensor is
// in order again: callbacks of weak references may run then.
Ref unlinked(Tensor* t) {
  if (is_none(t->storage)) return Ref();
  if (t->before) {
    t->before->after = t->after;
  } else {
    as_storage(t->storage)->first = t->after;
  }
  if (t->after) t->after->before = t->before;
  t->before = t->after = nullptr;
  return Ref(std::exchange(t->storage, nullptr));
}

void unlink(Tensor* t) { const Ref old = unlinked(t); }

void link(Tensor* t, PyObject* storage) {
  const Ref old = unlinked(t);
  t->storage = Py_NewRef(storage);
  t->after = as_storage(storage)->first;
  if (t->after) t->after->before = t;
  as_storage(storage)->first = t;
}

PyObject* storage_track(PyObject* self, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "track: expected a tensor");
    return nullptr;
  }
  link(as_tensor(tensor), self);
  Py_RETURN_NONE;
}

PyObject* storage_tensors(PyObject* self, PyObject*) {
  PyObject* list = PyList_New(0);
  for (Tensor* t = as_storage(self)->first; list && t; t = t->after) {
    if (Py_REFCNT(t) == 0) continue;  // being freed
    if (PyList_Append(list, reinterpret_cast<PyObject*>(t)) < 0) Py_CLEAR(list);
  }
  return list;
}

void storage_dealloc(PyObject* self) {
  if (as_storage(self)->weakrefs) PyObject_ClearWeakRefs(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef storage_methods[] = {
    {"track", storage_track, METH_O, "Remember that a tensor views this memory."},
    {"tensors", storage_tensors, METH_NOARGS, "The living tensors that view this memory."},
    {nullptr, nullptr, 0, nullptr}};
PyMemberDef storage_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Storage, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot storage_slots[] = {
    {Py_tp_members, storage_members},
    {Py_tp_methods, storage_methods},
    {Py_tp_dealloc, reinterpret_cast<void*>(storage_dealloc)},
    {Py_tp_doc, const_cast<char*>("Knows the tensors that view one piece of memory.")},
    {0, nullptr}};
PyType_Spec storage_spec = {"dtorch._native.StorageBase", sizeof(Storage), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, storage_slots};

// --------------------------------------------------------------------------------------- View

PyObject* make_view(Tensor* input, PyObject* op, PyObject* args, int nr, bool several) {
  PyObject* self = view_type->tp_alloc(view_type, 0);
  if (!self) return nullptr;
  auto* v = reinterpret_cast<View*>(self);
  auto* before = is_none(input->view) ? nullptr : reinterpret_cast<View*>(input->view);
  v->base = Py_NewRef(before ? before->base : reinterpret_cast<PyObject*>(input));
  v->previous = Py_XNewRef(reinterpret_cast<PyObject*>(before));
  v->op = Py_NewRef(op);
  v->args = Py_NewRef(args);
  v->nr = nr;
  v->several = several || (before && before->several);
  return self;
}

PyObject* view_new(PyTypeObject*, PyObject* args, PyObject*) {
  PyObject *input, *op, *values;
  int nr, several;
  if (!PyArg_ParseTuple(args, "OOO!ip", &input, &op, &PyTuple_Type, &values, &nr, &several)) {
    return nullptr;
  }
  if (!is_tensor(input)) {
    PyErr_SetString(PyExc_TypeError, "View: expected a tensor");
    return nullptr;
  }
  return make_view(as_tensor(input), op, values, nr, several);
}

PyObject* view_steps(PyObject* self, void*) {
  Py_ssize_t count = 0;
  for (PyObject* v = self; v; v = reinterpret_cast<View*>(v)->previous) ++count;
  PyObject* steps = PyTuple_New(count);
  for (PyObject* v = self; steps && v; v = reinterpret_cast<View*>(v)->previous) {
    auto* view = reinterpret_cast<View*>(v);
    PyObject* nr = view->nr < 0 ? Py_NewRef(Py_None) : PyLong_FromLong(view->nr);
    PyObject* step = nr ? PyTuple_Pack(3, view->op, view->args, nr) : nullptr;
    Py_XDECREF(nr);
    if (!step)
      Py_CLEAR(steps);
    else
      PyTuple_SET_ITEM(steps, --count, step);
  }
  return steps;
}

PyObject* view_rebased(PyObject* self, PyObject* base) {
  if (!is_tensor(base)) {
    PyErr_SetString(PyExc_TypeError, "rebased: expected a tensor");
    return nullptr;
  }
  PyObject* copy = view_type->tp_alloc(view_type, 0);
  if (!copy) return nullptr;
  auto* from = reinterpret_cast<View*>(self);
  auto* to = reinterpret_cast<View*>(copy);
  to->base = Py_NewRef(base);
  to->previous = Py_XNewRef(from->previous);
  to->op = Py_NewRef(from->op);
  to->args = Py_NewRef(from->args);
  to->nr = from->nr;
  to->several = from->several;
  return copy;
}

PyMethodDef view_methods[] = {
    {"rebased", view_rebased, METH_O, "The same steps from another base."},
    {nullptr, nullptr, 0, nullptr}};

int view_traverse(PyObject* self, visitproc visit, void* arg) {
  auto* v = reinterpret_cast<View*>(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(v->base);
  Py_VISIT(v->previous);
  Py_VISIT(v->op);
  Py_VISIT(v->args);
  return 0;
}

int view_clear(PyObject* self) {
  auto* v = reinterpret_cast<View*>(self);
  Py_CLEAR(v->base);
  Py_CLEAR(v->previous);
  Py_CLEAR(v->op);
  Py_CLEAR(v->args);
  return 0;
}

void view_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, view_dealloc) view_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

PyMemberDef view_members[] = {{"base", T_OBJECT, offsetof(View, base), READONLY, nullptr},
                              {"several", T_BOOL, offsetof(View, several), READONLY, nullptr},
                              {nullptr, 0, 0, 0, nullptr}};
PyGetSetDef view_getset[] = {{"steps", view_steps, nullptr,
                              "(operation, arguments, output number) from the base on", nullptr},
                             {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot view_slots[] = {{Py_tp_new, reinterpret_cast<void*>(view_new)},
                            {Py_tp_members, view_members},
                            {Py_tp_methods, view_methods},
                            {Py_tp_getset, view_getset},
                            {Py_tp_traverse, reinterpret_cast<void*>(view_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(view_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
                            {Py_tp_doc, const_cast<char*>("How a view follows from its base.")},
                            {0, nullptr}};
PyType_Spec view_spec = {"dtorch._native.View", sizeof(View), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, view_slots};

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

// The recorder takes the tuples of a node out of the garbage collector's lists, which more than
// halves what it has to walk in a large graph; the node then speaks for what they hold. Not for a
// tuple that somebody else holds, too: that one keeps its contents alive.
int traverse_tuple(PyObject* tuple, visitproc visit, void* arg) {
  if (is_none(tuple)) return 0;
  if (!PyTuple_CheckExact(tuple) || PyObject_GC_IsTracked(tuple)) {
    Py_VISIT(tuple);
    return 0;
  }
  if (Py_REFCNT(tuple) > 1) return 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) Py_VISIT(PyTuple_GET_ITEM(tuple, i));
  return 0;
}

int node_traverse(PyObject* self, visitproc visit, void* arg) {
  Node* n = as_node(self);
  Py_VISIT(Py_TYPE(self));
  for (PyObject* tuple : {n->edges, n->saved, n->inputs, n->versions, n->out_like}) {
    const int stop = traverse_tuple(tuple, visit, arg);
    if (stop) return stop;
  }
  Py_VISIT(n->hooks);
  Py_VISIT(n->op);
  Py_VISIT(n->plan);
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
  Py_TRASHCAN_BEGIN(self, node_dealloc) if (as_node(self)->weakrefs) PyObject_ClearWeakRefs(self);
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

PyType_Slot node_slots[] = {{Py_tp_members, node_members},
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

PyObject* py_register_storage_type(PyObject*, PyObject* type) {
  if (!PyType_Check(type) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type), storage_base)) {
    PyErr_SetString(PyExc_TypeError, "register_storage_type: expected a subclass of StorageBase");
    return nullptr;
  }
  Py_INCREF(type);
  Py_XDECREF(reinterpret_cast<PyObject*>(storage_type));
  storage_type = reinterpret_cast<PyTypeObject*>(type);
  Py_RETURN_NONE;
}

PyObject* py_wrap_view(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 6 || !is_tensor(args[0]) || !PyTuple_Check(args[3])) {
    PyErr_SetString(PyExc_TypeError, "wrap_view: expected (tensor, array, op, args, nr, several)");
    return nullptr;
  }
  const long nr = args[4] == Py_None ? -1 : PyLong_AsLong(args[4]);
  if (nr == -1 && PyErr_Occurred()) return nullptr;
  return wrap_view(as_tensor(args[0]), Py_NewRef(args[1]), args[2], args[3], static_cast<int>(nr),
                   args[5] == Py_True);
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
    Py_XSETREF(tensor->version, made);  // Version is not collected: nobody came in between
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

PyObject* py_address_of(PyObject*, PyObject* array) {
  if (!PyArray_Check(array)) {
    PyErr_SetString(PyExc_TypeError, "address_of: expected an array of NumPy");
    return nullptr;
  }
  return PyLong_FromVoidPtr(PyArray_DATA(as_array(array)));
}

PyObject* py_set_modes(PyObject*, PyObject* args) {
  int none;
  if (!PyArg_ParseTuple(args, "iiii", &none, &requires_grad, &is_volatile, &inference)) {
    return nullptr;
  }
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_modes", py_set_modes, METH_VARARGS, nullptr},
    {"register_tensor_type", py_register_tensor_type, METH_O, nullptr},
    {"register_op_node", py_register_op_node, METH_O, nullptr},
    {"register_storage_type", py_register_storage_type, METH_O, nullptr},
    {"wrap_view", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_wrap_view)),
     METH_FASTCALL, "A tensor that views the memory of another."},
    {"address_of", py_address_of, METH_O, "Address of the first element of an array."},
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

bool bump(Tensor* tensor) {
  PyObject* version = shared_version(tensor);
  if (version) ++reinterpret_cast<Version*>(version)->value;
  return version != nullptr;
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

PyObject* wrap_view(Tensor* input, PyObject* array, PyObject* op, PyObject* args, int nr,
                    bool several) {
  Ref storage = hold(is_none(input->storage) ? nullptr : input->storage);
  if (!storage) {
    const Ref viewed = hold(input->array);
    storage = Ref(PyObject_CallOneArg(reinterpret_cast<PyObject*>(storage_type), viewed.get()));
    if (storage) link(input, storage.get());
  }
  Ref version = hold(storage ? shared_version(input) : nullptr);
  PyObject* self = version ? wrap(array) : nullptr;
  if (!version) Py_DECREF(array);
  if (!self) return nullptr;
  Tensor* tensor = as_tensor(self);
  tensor->version = version.release();
  tensor->view = make_view(input, op, args, nr, several);
  if (!tensor->view) {
    Py_DECREF(self);
    return nullptr;
  }
  link(tensor, storage.get());
  return self;
}

PyObject* new_saved_output(Tensor* tensor, int nr) {
  Ref version = hold(shared_version(tensor));
  if (!version) return nullptr;
  PyObject* self = saved_output_type->tp_alloc(saved_output_type, 0);
  if (!self) return nullptr;
  auto* s = reinterpret_cast<SavedOutput*>(self);
  s->array = Py_XNewRef(tensor->array);
  s->version = version.release();
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
          std::equal(dims, dims + ndim, entry.dims)) {
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
    std::copy_n(dims, ndim, entry.dims);
  }
  return info;
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
  version_type = add_type(module, &version_spec);
  saved_output_type = version_type ? add_type(module, &saved_output_spec) : nullptr;
  storage_base = saved_output_type ? add_type(module, &storage_spec) : nullptr;
  view_type = storage_base ? add_type(module, &view_spec) : nullptr;
  node_base = view_type ? add_type(module, &node_spec) : nullptr;
  tensor_base = node_base ? add_type(module, &tensor_spec) : nullptr;
  return tensor_base && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
