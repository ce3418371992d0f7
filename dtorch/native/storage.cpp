// The memory of tensors: storages, the views of it, and the counters of its changes.
#include "objects.h"

#include <structmember.h>

#include <cstddef>

#include <utility>

namespace dtorch::core {

PyTypeObject* storage_base = nullptr;

namespace {

PyTypeObject* version_type = nullptr;
PyTypeObject* view_type = nullptr;
PyTypeObject* storage_type = nullptr;  // core.storage.Storage

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

// ---------------------------------------------------------------------------------- functions

PyObject* register_storage_type(PyObject*, PyObject* given) {
  return set_type(storage_type, given, storage_base, "register_storage_type") ? Py_NewRef(Py_None)
                                                                              : nullptr;
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

PyObject* py_version_of(PyObject*, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "version_of: expected a tensor");
    return nullptr;
  }
  return PyLong_FromSsize_t(version_value(as_tensor(tensor)->version));
}

PyObject* py_shared_version(PyObject*, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "shared_version: expected a tensor");
    return nullptr;
  }
  return Py_XNewRef(shared_version(as_tensor(tensor)));
}

PyObject* py_bump(PyObject*, PyObject* tensor) {
  if (!is_tensor(tensor)) {
    PyErr_SetString(PyExc_TypeError, "bump: expected a tensor");
    return nullptr;
  }
  if (!bump(as_tensor(tensor))) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"register_storage_type", register_storage_type, METH_O, nullptr},
    {"wrap_view", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_wrap_view)),
     METH_FASTCALL, "A tensor that views the memory of another."},
    {"version_of", py_version_of, METH_O, "How often the memory was changed in place."},
    {"shared_version", py_shared_version, METH_O, "The counter that views share."},
    {"bump", py_bump, METH_O, "Note an in-place change."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void unlink(Tensor* t) { const Ref old = unlinked(t); }

void link(Tensor* t, PyObject* storage) {
  const Ref old = unlinked(t);
  t->storage = Py_NewRef(storage);
  t->after = as_storage(storage)->first;
  if (t->after) t->after->before = t;
  as_storage(storage)->first = t;
}

PyObject* shared_version(Tensor* tensor) {  // borrowed
  if (is_none(tensor->version)) {
    PyObject* made = version_type->tp_alloc(version_type, 0);
    if (!made) return nullptr;
    Py_XSETREF(tensor->version, made);  // Version is not collected: nobody came in between
  }
  return tensor->version;
}

bool bump(Tensor* tensor) {
  PyObject* version = shared_version(tensor);
  if (version) ++reinterpret_cast<Version*>(version)->value;
  return version != nullptr;
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

bool add_storage(PyObject* module) {
  version_type = add_type(module, &version_spec);
  storage_base = version_type ? add_type(module, &storage_spec) : nullptr;
  view_type = storage_base ? add_type(module, &view_spec) : nullptr;
  return view_type && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
