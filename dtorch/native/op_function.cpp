#include "op_function.h"

#include <structmember.h>

#include <cstddef>
#include <cstring>
#include <iterator>

#include "entry.h"

namespace dtorch::core {

bool fast_paths = true;

namespace {

PyTypeObject* op_function_type = nullptr;

OpFunction* as_op(PyObject* object) { return reinterpret_cast<OpFunction*>(object); }

PyObject* call(PyObject* self, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  OpFunction* op = as_op(self);
  if (!kwnames) {
    PyObject* result = short_way(op, args, PyVectorcall_NARGS(nargsf));
    if (result || failed()) return result;
  }
  return op->told ? enter(op, args, nargsf, kwnames)
                  : PyObject_Vectorcall(op->slow, args, nargsf, kwnames);
}

int op_traverse(PyObject* self, visitproc visit, void* arg) {
  OpFunction* op = as_op(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(op->dict);
  Py_VISIT(op->slow);
  Py_VISIT(op->told);
  Py_VISIT(op->run);
  Py_VISIT(op->defaults);
  Py_VISIT(op->index);
  Py_VISIT(op->op);
  Py_VISIT(op->ufunc);
  Py_VISIT(op->signature);
  return 0;
}

int op_clear(PyObject* self) {
  OpFunction* op = as_op(self);
  Py_CLEAR(op->dict);
  Py_CLEAR(op->slow);
  Py_CLEAR(op->told);
  Py_CLEAR(op->run);
  Py_CLEAR(op->defaults);
  Py_CLEAR(op->index);
  Py_CLEAR(op->op);
  Py_CLEAR(op->ufunc);
  Py_CLEAR(op->signature);
  return 0;
}

void op_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  if (as_op(self)->weakrefs) PyObject_ClearWeakRefs(self);
  op_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// Methods: `tensor.exp` is this function with the tensor bound.
PyObject* op_get(PyObject* self, PyObject* instance, PyObject*) {
  return is_none(instance) ? Py_NewRef(self) : PyMethod_New(self, instance);
}

// Pickled by name, as functions are.
PyObject* op_reduce(PyObject* self, PyObject*) {
  return PyObject_GetAttrString(self, "__qualname__");
}

PyObject* op_repr(PyObject* self) {
  PyObject* name = PyObject_GetAttrString(self, "__qualname__");
  if (!name) return nullptr;
  PyObject* text = PyUnicode_FromFormat("<function %U>", name);
  Py_DECREF(name);
  return text;
}

PyObject* op_signature(PyObject* self, void*) {
  PyObject* make = as_op(self)->signature;
  if (make) return PyObject_CallNoArgs(make);
  PyErr_SetString(PyExc_AttributeError, "__signature__");
  return nullptr;
}

PyMemberDef op_members[] = {
    {"op", T_OBJECT, offsetof(OpFunction, op), 0, nullptr},
    {"shortcut", T_BOOL, offsetof(OpFunction, shortcut), 0, nullptr},
    {"__dictoffset__", T_PYSSIZET, offsetof(OpFunction, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(OpFunction, weakrefs), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(OpFunction, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyMethodDef op_methods[] = {{"__reduce__", op_reduce, METH_NOARGS, nullptr},
                            {nullptr, nullptr, 0, nullptr}};
PyGetSetDef op_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {"__signature__", op_signature, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot op_slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                          {Py_tp_descr_get, reinterpret_cast<void*>(op_get)},
                          {Py_tp_repr, reinterpret_cast<void*>(op_repr)},
                          {Py_tp_members, op_members},
                          {Py_tp_methods, op_methods},
                          {Py_tp_getset, op_getset},
                          {Py_tp_traverse, reinterpret_cast<void*>(op_traverse)},
                          {Py_tp_clear, reinterpret_cast<void*>(op_clear)},
                          {Py_tp_dealloc, reinterpret_cast<void*>(op_dealloc)},
                          {0, nullptr}};
PyType_Spec op_spec = {"dtorch._native.OpFunction", sizeof(OpFunction), 0,
                       Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                           Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                       op_slots};

// ------------------------------------------------------------------- special methods of tensors

enum Slot {
  slot_add,
  slot_sub,
  slot_mul,
  slot_truediv,
  slot_matmul,
  slot_neg,
  slot_eq,
  slot_ne,
  slot_lt,
  slot_le,
  slot_gt,
  slot_ge,
  slot_getitem,
};
constexpr const char* slot_names[] = {
    "__add__", "__sub__", "__mul__", "__truediv__", "__matmul__", "__neg__",    "__eq__",
    "__ne__",  "__lt__",  "__le__",  "__gt__",      "__ge__",     "__getitem__"};

// For each: the function, and the Python functions for operands the short way does not know.
struct Behind {
  PyObject* function = nullptr;
  PyObject* forward = nullptr;   // (tensor, other)
  PyObject* backward = nullptr;  // (tensor, other), where the tensor stands on the right
} behind[std::size(slot_names)];

template <Slot which>
PyObject* binary_slot(PyObject* a, PyObject* b) {
  const Behind& self = behind[which];
  if (!self.function) Py_RETURN_NOTIMPLEMENTED;
  PyObject* args[] = {a, b};
  PyObject* result = short_way(as_op(self.function), args, 2);
  if (result || failed()) return result;
  if (is_tensor(a)) return PyObject_Vectorcall(self.forward, args, 2, nullptr);
  PyObject* swapped[] = {b, a};
  return PyObject_Vectorcall(self.backward, swapped, 2, nullptr);
}

PyObject* compare(PyObject* a, PyObject* b, int kind) {
  static constexpr binaryfunc by_kind[] = {binary_slot<slot_lt>, binary_slot<slot_le>,
                                           binary_slot<slot_eq>, binary_slot<slot_ne>,
                                           binary_slot<slot_gt>, binary_slot<slot_ge>};
  return by_kind[kind](a, b);
}

PyObject* negative(PyObject* a) {
  const Behind& self = behind[slot_neg];
  if (self.function) return PyObject_CallOneArg(self.function, a);
  PyErr_SetString(PyExc_TypeError, "bad operand type for unary -");
  return nullptr;
}

PyObject* subscript(PyObject* self, PyObject* index) {
  const Behind& get = behind[slot_getitem];
  PyObject* args[] = {self, index};
  if (get.function) return call(get.function, args, 2, nullptr);
  PyErr_SetString(PyExc_TypeError, "tensors cannot be indexed yet");
  return nullptr;
}

Py_hash_t identity_hash(PyObject* self) {
  const auto address = reinterpret_cast<std::size_t>(self);
  return static_cast<Py_hash_t>(address >> 4);
}

PyObject* set_slot(PyObject*, PyObject* args) {
  const char* name;
  PyObject *function, *forward, *backward;
  if (!PyArg_ParseTuple(args, "sOOO", &name, &function, &forward, &backward)) return nullptr;
  if (!PyObject_TypeCheck(function, op_function_type)) Py_RETURN_FALSE;
  for (std::size_t i = 0; i < std::size(slot_names); ++i) {
    if (std::strcmp(name, slot_names[i]) != 0) continue;
    Py_XSETREF(behind[i].function, Py_NewRef(function));
    Py_XSETREF(behind[i].forward, Py_NewRef(forward));
    Py_XSETREF(behind[i].backward, Py_NewRef(backward));
    Py_RETURN_TRUE;
  }
  Py_RETURN_FALSE;
}

PyObject* named_way(PyObject*, PyObject* args) {
  PyObject *slow, *op;
  const char* name;
  if (!PyArg_ParseTuple(args, "OsO", &slow, &name, &op)) return nullptr;
  for (const NamedWay* named = view_ways; named->name; ++named) {
    if (std::strcmp(name, named->name) != 0) continue;
    OpFunction* self = new_op_function(slow, named->way);
    if (self) self->op = Py_NewRef(op);
    return reinterpret_cast<PyObject*>(self);
  }
  return PyErr_Format(PyExc_ValueError, "there is no short way %s", name);
}

PyObject* set_fast_paths(PyObject*, PyObject* on) {
  const int yes = PyObject_IsTrue(on);
  if (yes < 0) return nullptr;
  fast_paths = yes;
  Py_RETURN_NONE;
}

PyObject* set_signature(PyObject*, PyObject* args) {
  PyObject *function, *make;
  if (!PyArg_ParseTuple(args, "O!O", op_function_type, &function, &make)) return nullptr;
  Py_XSETREF(as_op(function)->signature, Py_NewRef(make));
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_signature", set_signature, METH_VARARGS, "What gives the signature of a function."},
    {"set_fast_paths", set_fast_paths, METH_O, "Whether calls may bypass the Python functions."},
    {"set_slot", set_slot, METH_VARARGS,
     "Put a function behind a special method of TensorBase; False where there is no such slot."},
    {"named_way", named_way, METH_VARARGS, "A function whose calls take the way of a name."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

OpFunction* new_op_function(PyObject* slow, Way way) {
  if (way && Py_TYPE(slow) == op_function_type && !as_op(slow)->way) {
    as_op(slow)->way = way;
    return as_op(Py_NewRef(slow));
  }
  PyObject* self = op_function_type->tp_alloc(op_function_type, 0);
  if (!self) return nullptr;
  OpFunction* op = as_op(self);
  op->vectorcall = call;
  op->slow = Py_NewRef(slow);
  op->way = way;
  op->loop = -1;
  op->shortcut = 1;
  return op;
}

PyType_Slot operator_slots[] = {
    {Py_mp_subscript, reinterpret_cast<void*>(subscript)},
    {Py_nb_add, reinterpret_cast<void*>(binary_slot<slot_add>)},
    {Py_nb_subtract, reinterpret_cast<void*>(binary_slot<slot_sub>)},
    {Py_nb_multiply, reinterpret_cast<void*>(binary_slot<slot_mul>)},
    {Py_nb_true_divide, reinterpret_cast<void*>(binary_slot<slot_truediv>)},
    {Py_nb_matrix_multiply, reinterpret_cast<void*>(binary_slot<slot_matmul>)},
    {Py_nb_negative, reinterpret_cast<void*>(negative)},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
    {Py_tp_hash, reinterpret_cast<void*>(identity_hash)},
    {0, nullptr}};

bool add_op_function(PyObject* module) {
  PyObject* type = PyType_FromSpec(&op_spec);
  if (!type) return false;
  op_function_type = reinterpret_cast<PyTypeObject*>(type);
  return PyModule_AddObjectRef(module, "OpFunction", type) == 0 &&
         PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
