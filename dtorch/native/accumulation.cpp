// The gradients of leaves, which add up in `.grad`.
#include "backward.h"
#include "elementwise.h"

namespace dtorch::core {

namespace {

// Two threads may run backward over graphs that share leaves, in this engine or in Python's: all
// take one lock to change `.grad`. Whoever waits for it lets the interpreter go on.
PyThread_type_lock accumulation = nullptr;

void lock_accumulation() {
  if (PyThread_acquire_lock(accumulation, NOWAIT_LOCK) == PY_LOCK_ACQUIRED) return;
  PyThreadState* state = PyEval_SaveThread();
  PyThread_acquire_lock(accumulation, WAIT_LOCK);
  PyEval_RestoreThread(state);
}

class Accumulating {
 public:
  Accumulating() { lock_accumulation(); }
  ~Accumulating() { PyThread_release_lock(accumulation); }
  Accumulating(const Accumulating&) = delete;
  Accumulating& operator=(const Accumulating&) = delete;
};

bool set_grad(Tensor* leaf, Ref& grad) {
  // Taken over if nobody else can reach it, else copied: two leaves must not share a gradient.
  if (!is_buffer(grad.get())) {
    grad = Ref(PyArray_NewCopy(as_array(grad.get()), NPY_KEEPORDER));
    if (!grad) return false;
  }
  PyObject* tensor = wrap(grad.release());
  if (!tensor) return false;
  Py_XSETREF(leaf->grad, tensor);
  return true;
}

bool add_to_grad(Tensor* leaf, Ref& grad) {
  PyObject* so_far = is_tensor(leaf->grad) ? as_tensor(leaf->grad)->array : nullptr;
  if (!is_array(so_far) ||
      !binary_into(Binary::add, as_array(so_far), as_array(grad.get()), as_array(so_far))) {
    return !PyErr_Occurred();
  }
  PyObject* version = as_tensor(leaf->grad)->version;
  if (!is_none(version)) ++reinterpret_cast<Version*>(version)->value;
  grad = Ref();
  return true;
}

// The lock for Python's engine. A signal cannot come between taking it and entering its block, as
// it could with a context manager in Python.
PyObject* enter_accumulation(PyObject*, PyObject*) {
  lock_accumulation();
  Py_RETURN_NONE;
}

PyObject* exit_accumulation(PyObject*, PyObject*) {
  PyThread_release_lock(accumulation);
  Py_RETURN_NONE;
}

// In a forked child: the thread that held the lock may not live on.
PyObject* renew_accumulation(PyObject*, PyObject*) {
  accumulation = PyThread_allocate_lock();  // the old one may be held for ever
  if (!accumulation) return PyErr_NoMemory();
  Py_RETURN_NONE;
}

PyMethodDef accumulation_methods[] = {{"__enter__", enter_accumulation, METH_NOARGS, nullptr},
                                      {"__exit__", exit_accumulation, METH_VARARGS, nullptr},
                                      {"renew", renew_accumulation, METH_NOARGS, nullptr},
                                      {nullptr, nullptr, 0, nullptr}};
PyType_Slot accumulation_slots[] = {
    {Py_tp_doc, const_cast<char*>("Whoever changes `.grad` holds it.")},
    {Py_tp_methods, accumulation_methods},
    {0, nullptr}};
PyType_Spec accumulation_spec = {"dtorch._native.AccumulationLock", sizeof(PyObject), 0,
                                 Py_TPFLAGS_DEFAULT, accumulation_slots};

}  // namespace

bool accumulate(Tensor* leaf, Ref& grad) {
  const Accumulating lock;
  return is_none(leaf->grad) ? set_grad(leaf, grad) : add_to_grad(leaf, grad);
}

bool add_accumulation(PyObject* module) {
  accumulation = PyThread_allocate_lock();
  const Ref type(accumulation ? PyType_FromSpec(&accumulation_spec) : nullptr);
  return type && PyModule_AddObjectRef(module, "AccumulationLock", type.get()) == 0;
}

}  // namespace dtorch::core
