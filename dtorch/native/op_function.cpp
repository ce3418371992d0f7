// OpFunction: an operation as Python calls it. The common call, on plain tensors of one type, is
// done here; everything else goes to the operation's Python function.

#include "core.h"

#include <structmember.h>

#include <cstddef>
#include <cstring>

#include "elementwise.h"
#include "half.h"

namespace dtorch::core {

bool fast_paths = true;

PyObject* number_like(PyObject* number, PyArrayObject* like) {
  const int type = PyArray_TYPE(like);
  double value;
  if (PyFloat_CheckExact(number)) {
    value = PyFloat_AS_DOUBLE(number);
  } else if (PyLong_CheckExact(number)) {
    if (type == NPY_LONG) {
      const long whole = PyLong_AsLong(number);
      if (whole == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return nullptr;
      }
      PyObject* array = PyArray_EMPTY(0, nullptr, NPY_LONG, 0);
      if (array) *static_cast<long*>(PyArray_DATA(as_array(array))) = whole;
      return array;
    }
    value = PyLong_AsDouble(number);
    if (value == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return nullptr;
    }
  } else {
    return nullptr;
  }
  if (type != NPY_FLOAT && type != NPY_DOUBLE) return nullptr;
  PyObject* array = PyArray_EMPTY(0, nullptr, type, 0);
  if (!array) return nullptr;
  if (type == NPY_FLOAT) {
    *static_cast<float*>(PyArray_DATA(as_array(array))) = static_cast<float>(value);
  } else {
    *static_cast<double*>(PyArray_DATA(as_array(array))) = value;
  }
  return array;
}

namespace {

// In place of a loop's number: `ufunc` is no function of single elements, and float16 and bfloat16
// need not be widened for it.
constexpr int whole_array = -2;

PyTypeObject* op_function_type = nullptr;
PyObject* silence = nullptr;  // core.quiet.silence and restore
PyObject* restore = nullptr;

constexpr int guard_integers = 1, guard_complex = 2;

struct OpFunction {
  PyObject_HEAD vectorcallfunc vectorcall;
  PyObject* dict;
  PyObject* weakrefs;
  PyObject* slow;   // the Python function
  PyObject* op;     // the Op; set after the function is made
  PyObject* ufunc;  // NumPy's function, or null
  int arity;
  int code;       // of Binary or Unary, or -1
  int inplace;    // the operation overwrites its first operand
  int guard;      // kinds of numbers that are for the Python function
  char shortcut;  // 0: every call is for the Python function
};

OpFunction* as_op(PyObject* object) { return reinterpret_cast<OpFunction*>(object); }

// ------------------------------------------------------------------------------- computation

PyObject* call_ufunc(OpFunction* op, PyObject* a, PyObject* b) {
  if (!op->ufunc || !silence) return nullptr;
  PyObject* settings = PyObject_CallNoArgs(silence);
  if (!settings) return nullptr;
  PyObject* args[] = {a, b};
  PyObject* result =
      PyObject_Vectorcall(op->ufunc, args, static_cast<std::size_t>(op->arity), nullptr);
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyObject* done = PyObject_CallOneArg(restore, settings);
  Py_DECREF(settings);
  Py_XDECREF(done);
  if (!result) {  // the Python function will say what is wrong
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    PyErr_Clear();
    return nullptr;
  }
  return ensure_array(result);
}

bool is_guarded(OpFunction* op, PyArrayObject* array) {
  if (!op->guard || PyArray_ISFLOAT(array)) return false;
  if (PyArray_ISCOMPLEX(array)) return op->guard & guard_complex;
  return op->guard & guard_integers && !is_bfloat16(array);
}

// Whether NumPy's function may be called: functions of single elements are for float32 then, unless
// a loop of our own has seen to that.
bool is_for_numpy(OpFunction* op, PyObject* a) {
  return op->code <= whole_array || !is_half(as_array(a));
}

PyObject* compute_unary(OpFunction* op, PyObject* a) {
  if (is_guarded(op, as_array(a))) return nullptr;
  if (op->code >= 0) {
    PyObject* result = unary_array(static_cast<Unary>(op->code), as_array(a));
    if (result || PyErr_Occurred()) return result;
  }
  return is_for_numpy(op, a) ? call_ufunc(op, a, nullptr) : nullptr;
}

// For arrays of one type and, as that rule counts dims, not for a 0-dim one beside another.
PyObject* compute_binary(OpFunction* op, PyObject* a, PyObject* b) {
  if (PyArray_DESCR(as_array(a)) != PyArray_DESCR(as_array(b)) || is_guarded(op, as_array(a))) {
    return nullptr;
  }
  if (op->code >= 0) {
    PyObject* result = binary_array(static_cast<Binary>(op->code), as_array(a), as_array(b));
    if (result || PyErr_Occurred()) return result;
  }
  return is_for_numpy(op, a) ? call_ufunc(op, a, b) : nullptr;
}

// Wraps the result (a reference is taken over) and gives it the history the operands call for.
PyObject* finish(OpFunction* op, PyObject* const* args, PyObject* result, int mode) {
  PyObject* out = wrap(result);
  if (!out || mode == plain) return out;
  if (!set_history(op->op, args, op->arity, &out, 1, nullptr, mode)) Py_DECREF(out), out = nullptr;
  return out;
}

// Null without an exception: the Python function should do it.
PyObject* fast_unary(OpFunction* op, PyObject* const* args) {
  if (!is_tensor(args[0]) || !fast_paths || !op->shortcut) return nullptr;
  Tensor* a = as_tensor(args[0]);
  const Ref array = hold(a->array);
  if (!is_array(array.get()) || a->mode & inference) return nullptr;
  PyObject* result = compute_unary(op, array.get());
  return result ? finish(op, args, result, a->mode) : nullptr;
}

PyObject* fast_binary(OpFunction* op, PyObject* const* args) {
  const bool a_is = is_tensor(args[0]), b_is = is_tensor(args[1]);
  const Ref a_held = hold(a_is ? as_tensor(args[0])->array : nullptr);
  const Ref b_held = hold(b_is ? as_tensor(args[1])->array : nullptr);
  PyObject *a = a_held.get(), *b = b_held.get();
  const int mode = (a_is ? as_tensor(args[0])->mode : 0) | (b_is ? as_tensor(args[1])->mode : 0);
  if (mode & inference || !fast_paths || !op->shortcut) return nullptr;
  PyObject* result;
  if (a_is && b_is) {
    if (!is_array(a) || !is_array(b)) return nullptr;
    result = compute_binary(op, a, b);
  } else if (a_is && is_array(a)) {
    PyObject* number = number_like(args[1], as_array(a));
    if (!number) return nullptr;
    result = compute_binary(op, a, number);
    Py_DECREF(number);
  } else if (b_is && is_array(b)) {
    PyObject* number = number_like(args[0], as_array(b));
    if (!number) return nullptr;
    result = compute_binary(op, number, b);
    Py_DECREF(number);
  } else {
    return nullptr;
  }
  return result ? finish(op, args, result, mode) : nullptr;
}

// The change of a tensor that is not recorded: a plain one that is no view, or any without grad.
PyObject* fast_inplace(OpFunction* op, PyObject* const* args) {
  if (!fast_paths || !is_tensor(args[0])) return nullptr;
  Tensor* a = as_tensor(args[0]);
  const Ref changed = hold(a->array);
  if (!is_array(changed.get())) return nullptr;
  PyArrayObject* array = as_array(changed.get());
  PyObject* other = op->arity == 2 ? args[1] : nullptr;
  int mode = a->mode;
  const Ref b = hold(other && is_tensor(other) ? as_tensor(other)->array : nullptr);
  if (b) {
    mode |= as_tensor(other)->mode;
    if (!is_array(b.get())) return nullptr;
  }
  if ((mode & ~requires_grad) ||
      ((mode || !is_none(a->view)) && current_grad_mode() != GradMode::disabled)) {
    return nullptr;
  }
  if (is_guarded(op, array)) return nullptr;
  bool done;
  if (!other) {
    done = unary_inplace(static_cast<Unary>(op->code), array);
  } else if (b) {
    done = (PyArray_NDIM(as_array(b.get())) || !PyArray_NDIM(array)) &&
           binary_inplace(static_cast<Binary>(op->code), array, as_array(b.get()));
  } else {
    PyObject* number = number_like(other, array);
    if (!number) return nullptr;
    done = binary_inplace(static_cast<Binary>(op->code), array, as_array(number));
    Py_DECREF(number);
  }
  if (!done) return nullptr;
  return bump(a) ? Py_NewRef(args[0]) : nullptr;
}

// Whether the fast path ended in an exception that stands. Where an array was too large for NumPy
// or the memory, the Python function says so in its own words.
bool failed() {
  if (!PyErr_Occurred()) return false;
  if (!PyErr_ExceptionMatches(PyExc_MemoryError) && !PyErr_ExceptionMatches(PyExc_ValueError)) {
    return true;
  }
  PyErr_Clear();
  return false;
}

PyObject* fast(OpFunction* op, PyObject* const* args) {
  if (op->inplace) return fast_inplace(op, args);
  return op->arity == 1 ? fast_unary(op, args) : fast_binary(op, args);
}

PyObject* call(PyObject* self, PyObject* const* args, std::size_t nargsf, PyObject* kwnames) {
  OpFunction* op = as_op(self);
  if (!kwnames && PyVectorcall_NARGS(nargsf) == op->arity) {
    PyObject* result = fast(op, args);
    if (result || failed()) return result;
  }
  return PyObject_Vectorcall(op->slow, args, nargsf, kwnames);
}

// ----------------------------------------------------------------------------- the type itself

PyObject* op_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject *slow, *ufunc;
  int arity, code, guard, inplace = 0;
  if (!PyArg_ParseTuple(args, "OOiii|p", &slow, &ufunc, &arity, &code, &guard, &inplace)) {
    return nullptr;
  }
  if (arity < 1 || arity > 2 ||
      code >= static_cast<int>(arity == 1 ? Unary::count : static_cast<Unary>(Binary::count))) {
    PyErr_SetString(PyExc_ValueError, "OpFunction: no such operation");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  OpFunction* op = as_op(self);
  op->vectorcall = call;
  op->slow = Py_NewRef(slow);
  op->ufunc = ufunc == Py_None ? nullptr : Py_NewRef(ufunc);
  op->arity = arity;
  op->code = code;
  op->guard = guard;
  op->inplace = inplace;
  op->shortcut = 1;
  return self;
}

int op_traverse(PyObject* self, visitproc visit, void* arg) {
  OpFunction* op = as_op(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(op->dict);
  Py_VISIT(op->slow);
  Py_VISIT(op->op);
  Py_VISIT(op->ufunc);
  return 0;
}

int op_clear(PyObject* self) {
  OpFunction* op = as_op(self);
  Py_CLEAR(op->dict);
  Py_CLEAR(op->slow);
  Py_CLEAR(op->op);
  Py_CLEAR(op->ufunc);
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
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot op_slots[] = {{Py_tp_new, reinterpret_cast<void*>(op_new)},
                          {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
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
                           Py_TPFLAGS_METHOD_DESCRIPTOR,
                       op_slots};

// --------------------------------------------------------------------------------- operators

enum Operator {
  op_add,
  op_sub,
  op_mul,
  op_div,
  op_matmul,
  op_neg,
  op_eq,
  op_ne,
  op_lt,
  op_le,
  op_gt,
  op_ge,
  operators
};
constexpr const char* operator_names[operators] = {
    "__add__", "__sub__", "__mul__", "__truediv__", "__matmul__", "__neg__",
    "__eq__",  "__ne__",  "__lt__",  "__le__",      "__gt__",     "__ge__"};

// For each: the function, and the Python functions for operands the fast path does not know.
struct Behind {
  PyObject* function = nullptr;
  PyObject* forward = nullptr;   // (tensor, other)
  PyObject* backward = nullptr;  // (tensor, other), where the tensor stands on the right
} behind[operators];

template <Operator which>
PyObject* binary_operator(PyObject* a, PyObject* b) {
  const Behind& self = behind[which];
  if (!self.function) Py_RETURN_NOTIMPLEMENTED;
  PyObject* args[] = {a, b};
  PyObject* result = fast_binary(as_op(self.function), args);
  if (result || failed()) return result;
  if (is_tensor(a)) return PyObject_Vectorcall(self.forward, args, 2, nullptr);
  PyObject* swapped[] = {b, a};
  return PyObject_Vectorcall(self.backward, swapped, 2, nullptr);
}

PyObject* negative(PyObject* a) {
  const Behind& self = behind[op_neg];
  if (!self.function) {
    PyErr_SetString(PyExc_TypeError, "bad operand type for unary -");
    return nullptr;
  }
  return PyObject_CallOneArg(self.function, a);
}

PyObject* compare(PyObject* a, PyObject* b, int kind) {
  static constexpr Operator by_kind[] = {op_lt, op_le, op_eq, op_ne, op_gt, op_ge};
  const Behind& self = behind[by_kind[kind]];
  if (!self.function) Py_RETURN_NOTIMPLEMENTED;
  PyObject* args[] = {a, b};
  PyObject* result = fast_binary(as_op(self.function), args);
  if (result || failed()) return result;
  return PyObject_Vectorcall(self.forward, args, 2, nullptr);
}

Py_hash_t identity_hash(PyObject* self) {
  const auto address = reinterpret_cast<std::size_t>(self);
  return static_cast<Py_hash_t>(address >> 4);
}

PyObject* set_operator(PyObject*, PyObject* args) {
  const char* name;
  PyObject *function, *forward, *backward;
  if (!PyArg_ParseTuple(args, "sOOO", &name, &function, &forward, &backward)) return nullptr;
  if (!PyObject_TypeCheck(function, op_function_type)) Py_RETURN_FALSE;
  for (int i = 0; i < operators; ++i) {
    if (std::strcmp(name, operator_names[i]) != 0) continue;
    Py_XSETREF(behind[i].function, Py_NewRef(function));
    Py_XSETREF(behind[i].forward, Py_NewRef(forward));
    Py_XSETREF(behind[i].backward, Py_NewRef(backward));
    Py_RETURN_TRUE;
  }
  Py_RETURN_FALSE;
}

PyObject* set_context(PyObject*, PyObject* args) {
  PyObject *new_silence, *new_restore;
  if (!PyArg_ParseTuple(args, "OO", &new_silence, &new_restore)) return nullptr;
  Py_XSETREF(silence, Py_NewRef(new_silence));
  Py_XSETREF(restore, Py_NewRef(new_restore));
  Py_RETURN_NONE;
}

PyObject* loop_code(PyObject*, PyObject* args) {
  static constexpr const char* binary_names[] = {
      "add",  "sub",       "mul",          "div", "maximum", "minimum", "where_positive",
      "fmod", "remainder", "floor_divide", "eq",  "ne",      "lt",      "le",
      "gt",   "ge"};
  static constexpr const char* unary_names[] = {
      "neg",     "abs",   "square",     "sqrt",        "exp",       "tanh",
      "sigmoid", "relu",  "reciprocal", "hardsigmoid", "hardswish", "logsigmoid",
      "mish",    "relu6", "silu",       "sign",        "rsqrt",     "erf"};
  static_assert(sizeof(binary_names) / sizeof(char*) == static_cast<int>(Binary::count));
  static_assert(sizeof(unary_names) / sizeof(char*) == static_cast<int>(Unary::count));
  const char* name;
  int arity;
  if (!PyArg_ParseTuple(args, "si", &name, &arity)) return nullptr;
  const char* const* names = arity == 1 ? unary_names : binary_names;
  const int count = arity == 1 ? static_cast<int>(Unary::count) : static_cast<int>(Binary::count);
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(name, names[i]) == 0) return PyLong_FromLong(i);
  }
  return PyLong_FromLong(-1);
}

PyObject* set_fast_paths(PyObject*, PyObject* on) {
  const int yes = PyObject_IsTrue(on);
  if (yes < 0) return nullptr;
  fast_paths = yes;
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"set_fast_paths", set_fast_paths, METH_O, "Whether calls may bypass the Python functions."},
    {"set_operator", set_operator, METH_VARARGS,
     "Put a function behind an operator of TensorBase; False where there is no such slot."},
    {"set_context", set_context, METH_VARARGS, nullptr},
    {"loop_code", loop_code, METH_VARARGS, "Number of the loop for an operation's name, or -1."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyObject* tensor_subscript(PyObject* self, PyObject* index);  // views.cpp

PyType_Slot operator_slots[] = {
    {Py_mp_subscript, reinterpret_cast<void*>(tensor_subscript)},
    {Py_nb_add, reinterpret_cast<void*>(binary_operator<op_add>)},
    {Py_nb_subtract, reinterpret_cast<void*>(binary_operator<op_sub>)},
    {Py_nb_multiply, reinterpret_cast<void*>(binary_operator<op_mul>)},
    {Py_nb_true_divide, reinterpret_cast<void*>(binary_operator<op_div>)},
    {Py_nb_matrix_multiply, reinterpret_cast<void*>(binary_operator<op_matmul>)},
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
