// Steps between which Python runs no handler of a signal; see dtorch/core/interrupts.py.

#include "core.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iterator>
#include <thread>
#include <utility>

namespace dtorch::core {

namespace {

// completed(function): called by those who drop what is raised, or have to come to their end.

struct Completed {
  PyObject_HEAD PyObject* function;
};

constexpr int kTries = 8;

PyObject* call_completed(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* function = reinterpret_cast<Completed*>(self)->function;
  bool interrupted = false;
  PyObject* result = nullptr;
  for (int i = 0; i < kTries && !result; ++i) {
    result = PyObject_Call(function, args, kwargs);
    if (result || !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) break;
    PyErr_Clear();
    interrupted = true;
  }
  // Raised again as soon as the program itself goes on.
  if (interrupted) PyErr_SetInterruptEx(SIGINT);
  if (!result && !PyErr_Occurred()) Py_RETURN_NONE;
  return result;
}

PyObject* bind_completed(PyObject* self, PyObject* object, PyObject*) {
  return object ? PyMethod_New(self, object) : Py_NewRef(self);
}

PyObject* new_completed(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  PyObject* function;
  static const char* names[] = {"function", nullptr};
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", const_cast<char**>(names), &function)) {
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self) reinterpret_cast<Completed*>(self)->function = Py_NewRef(function);
  return self;
}

void free_completed(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_CLEAR(reinterpret_cast<Completed*>(self)->function);
  type->tp_free(self);
  Py_DECREF(type);
}

template <class F>
void* slot(F* function) {
  return reinterpret_cast<void*>(function);
}

PyType_Slot completed_slots[] = {{Py_tp_new, slot(new_completed)},
                                 {Py_tp_dealloc, slot(free_completed)},
                                 {Py_tp_call, slot(call_completed)},
                                 {Py_tp_descr_get, slot(bind_completed)},
                                 {0, nullptr}};
PyType_Spec completed_spec = {"dtorch._native.completed", sizeof(Completed), 0, Py_TPFLAGS_DEFAULT,
                              completed_slots};

// While signals are postponed they are noted, and sent again when they are let in.

// Those that people, supervisors and timers send; Ctrl-C last, as its handler raises.
constexpr int signals[] = {SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGINT};
constexpr int signal_count = static_cast<int>(std::size(signals));

struct {
  struct sigaction before;
  bool is_postponed;
  volatile std::sig_atomic_t came;
} states[signal_count];

void note(int number) {
  for (int i = 0; i < signal_count; ++i) {
    if (signals[i] == number) states[i].came = 1;
  }
}

bool has_handler(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) ||
         (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

bool is_noted(const struct sigaction& action) {
  return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == note;
}

PyObject* let_signals_in(PyObject*, PyObject*) {
  struct sigaction now;
  for (int i = 0; i < signal_count; ++i) {
    if (!std::exchange(states[i].is_postponed, false)) continue;
    sigaction(signals[i], nullptr, &now);
    if (is_noted(now)) sigaction(signals[i], &states[i].before, nullptr);
  }
  for (int i = 0; i < signal_count; ++i) {
    if (states[i].came) states[i].came = 0, raise(signals[i]);
  }
  Py_RETURN_NONE;
}

PyObject* postpone_signals(PyObject*, PyObject*) {
  struct sigaction noting = {};
  noting.sa_handler = note;
  for (int i = 0; i < signal_count; ++i) {
    struct sigaction& before = states[i].before;
    if (sigaction(signals[i], nullptr, &before) != 0 || !has_handler(before)) continue;
    states[i].is_postponed = sigaction(signals[i], &noting, nullptr) == 0;
  }
  // What came before is dealt with now.
  if (PyErr_CheckSignals() == 0) Py_RETURN_NONE;
  Py_XDECREF(let_signals_in(nullptr, nullptr));
  return nullptr;
}

// What came before a fork came to the parent.
void forget_in_child() {
  for (auto& state : states) state.came = 0;
}

// try_holding(lock, function, *args): what the function gives, called while the lock is held; None
// if somebody else has the lock.
PyObject* try_holding(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count < 2) {
    PyErr_SetString(PyExc_TypeError, "try_holding(lock, function, *args)");
    return nullptr;
  }
  PyObject* acquired = PyObject_CallMethod(args[0], "acquire", "O", Py_False);
  if (!acquired) return nullptr;
  const int is_held = PyObject_IsTrue(acquired);
  Py_DECREF(acquired);
  if (is_held < 0) return nullptr;
  if (!is_held) Py_RETURN_NONE;
  PyObject* result =
      PyObject_Vectorcall(args[1], args + 2, static_cast<size_t>(count - 2), nullptr);
  PyObject *kind, *error, *trace;
  PyErr_Fetch(&kind, &error, &trace);
  PyObject* released = PyObject_CallMethod(args[0], "release", nullptr);
  if (!released) {
    Py_CLEAR(result);
    Py_XDECREF(kind);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return nullptr;
  }
  Py_DECREF(released);
  PyErr_Restore(kind, error, trace);
  return result;
}

// While the interpreter ends, Python before 3.14 ends a thread that wants its lock by unwinding the
// stack, and C++ ends the process where that meets a noexcept. Such a thread sleeps, as in 3.14.

std::terminate_handler terminate_otherwise = nullptr;
std::thread::id main_thread;

bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing();
#else
  return _Py_IsFinalizing();
#endif
}

void sleep_or_terminate() {
  while (is_finalizing() && !std::current_exception() &&
         std::this_thread::get_id() != main_thread) {
    pause();
  }
  terminate_otherwise();
}

PyMethodDef functions[] = {
    {"try_holding", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(try_holding)),
     METH_FASTCALL, "Call a function while a lock is held; None if somebody else has it."},
    {"postpone_signals", postpone_signals, METH_NOARGS, "From now on no handler runs."},
    {"let_signals_in", let_signals_in, METH_NOARGS, "Handlers run again."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_interrupts(PyObject* module) {
  pthread_atfork(nullptr, nullptr, forget_in_child);
  main_thread = std::this_thread::get_id();
  terminate_otherwise = std::set_terminate(sleep_or_terminate);
  PyObject* type = PyType_FromSpec(&completed_spec);
  if (!type) return false;
  const int added = PyModule_AddObjectRef(module, "completed", type);
  Py_DECREF(type);
  return added == 0 && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
