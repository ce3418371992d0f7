// The common first-order backward pass: core/engine.py's loop on arrays, accumulating
// into every leaf. Whatever is rare (hooks, nodes of other kinds, odd gradients) is left to Python.
#include <algorithm>
#include <utility>
#include <vector>

#include "backward.h"
#include "core.h"
#include "elementwise.h"
#include "half.h"

namespace dtorch::core {

namespace {

// Functions of core.engine.
struct Helpers {
  PyObject* before = nullptr;
  PyObject* after = nullptr;
  PyObject* finish_leaf = nullptr;
  PyObject* fit = nullptr;
} helpers;
PyObject* str_apply = nullptr;
PyObject* str_release = nullptr;

// What a run knows of a node or a leaf.
struct Entry {
  Ref target;
  Ref grad;  // an array; a list with None for outputs without gradient, if there are several
  Py_ssize_t waiting = 0;
  bool seen = false;
};

// Open addressing by the address of the target.
class Table {
 public:
  Table() : slots_(64, -1) {}
  // Index of the entry, made if there is none.
  std::size_t find(PyObject* target) {
    if ((entries_.size() + 1) * 2 > slots_.size()) grow();
    std::size_t slot = place(target);
    if (slots_[slot] < 0) {
      slots_[slot] = static_cast<long>(entries_.size());
      entries_.emplace_back();
      entries_.back().target = Ref(Py_NewRef(target));
    }
    return static_cast<std::size_t>(slots_[slot]);
  }
  Entry& operator[](std::size_t index) { return entries_[index]; }
  std::size_t size() const { return entries_.size(); }

 private:
  std::size_t place(PyObject* target) const {
    std::size_t slot = hash(target) & (slots_.size() - 1);
    while (slots_[slot] >= 0 &&
           entries_[static_cast<std::size_t>(slots_[slot])].target.get() != target) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    return slot;
  }
  static std::size_t hash(PyObject* target) {
    return (reinterpret_cast<std::size_t>(target) >> 4) * 0x9E3779B97F4A7C15ull >> 20;
  }
  void grow() {
    slots_.assign(slots_.size() * 2, -1);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      slots_[place(entries_[i].target.get())] = static_cast<long>(i);
    }
  }
  std::vector<long> slots_;
  std::vector<Entry> entries_;
};

class Run {
 public:
  explicit Run(bool retain_graph) : retain_graph_(retain_graph) {}

  // roots: sequence of (edge, gradient).
  bool walk(PyObject* roots) {
    const Py_ssize_t count = PyList_GET_SIZE(roots);
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (!count_contributions(target_of(PyTuple_GET_ITEM(PyList_GET_ITEM(roots, i), 0)))) {
        return false;
      }
    }
    std::vector<std::size_t> first;
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* root = PyList_GET_ITEM(roots, i);
      PyObject* edge = PyTuple_GET_ITEM(root, 0);
      const std::size_t at = table_.find(target_of(edge));
      if (!add(at, number_of(edge), Ref(Py_NewRef(PyTuple_GET_ITEM(root, 1))))) return false;
      if (std::find(first.begin(), first.end(), at) == first.end()) first.push_back(at);
    }
    for (const std::size_t at : first) {
      if (!table_[at].waiting && !completed(at)) return false;
    }
    while (!ready_.empty()) {
      std::pop_heap(ready_.begin(), ready_.end());
      const std::size_t at = ready_.back().second;
      ready_.pop_back();
      if (!run_node(at)) return false;
    }
    return true;
  }

 private:
  static PyObject* target_of(PyObject* edge) {
    return PyTuple_CheckExact(edge) ? PyTuple_GET_ITEM(edge, 0) : edge;
  }
  static Py_ssize_t number_of(PyObject* edge) {
    return PyTuple_CheckExact(edge) ? PyLong_AsSsize_t(PyTuple_GET_ITEM(edge, 1)) : 0;
  }

  bool count_contributions(PyObject* root) {
    std::vector<std::size_t> stack{table_.find(root)};
    while (!stack.empty()) {
      const std::size_t at = stack.back();
      stack.pop_back();
      if (table_[at].seen) continue;
      table_[at].seen = true;
      PyObject* target = table_[at].target.get();
      if (!is_node(target)) continue;
      PyObject* edges = as_node(target)->edges;
      if (is_none(edges) || !PyTuple_Check(edges)) return refuse("edges of a node are no tuple");
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(edges); ++i) {
        PyObject* edge = PyTuple_GET_ITEM(edges, i);
        if (edge == Py_None) continue;
        const std::size_t next = table_.find(target_of(edge));
        ++table_[next].waiting;
        if (!table_[next].seen) stack.push_back(next);
      }
    }
    return true;
  }

  static bool refuse(const char* message) {
    PyErr_SetString(PyExc_RuntimeError, message);
    return false;
  }

  // Adds a contribution to the gradient of an output of a node, or of a leaf.
  bool add(std::size_t at, Py_ssize_t nr, Ref grad) {
    Entry& entry = table_[at];
    PyObject* target = entry.target.get();
    if (is_node(target) && as_node(target)->n_outputs > 1) {
      if (!entry.grad) {
        const Py_ssize_t n = as_node(target)->n_outputs;
        entry.grad = Ref(PyList_New(n));
        if (!entry.grad) return false;
        for (Py_ssize_t i = 0; i < n; ++i) {
          PyList_SET_ITEM(entry.grad.get(), i, Py_NewRef(Py_None));
        }
      }
      PyObject* so_far = PyList_GET_ITEM(entry.grad.get(), nr);
      if (so_far != Py_None) {
        grad = sum(so_far, grad.get());
        if (!grad) return false;
      }
      return PyList_SetItem(entry.grad.get(), nr, grad.release()) == 0;
    }
    if (!entry.grad) {
      entry.grad = std::move(grad);
      return true;
    }
    if (is_array(grad.get()) && is_buffer(entry.grad.get()) &&
        binary_into(Binary::add, as_array(entry.grad.get()), as_array(grad.get()),
                    as_array(entry.grad.get()))) {
      return true;
    }
    Ref total = sum(entry.grad.get(), grad.get());
    if (!total) return false;
    entry.grad = std::move(total);
    return true;
  }

  static Ref sum(PyObject* a, PyObject* b) {
    if (is_array(a) && is_array(b)) {
      PyObject* result = binary_array(Binary::add, as_array(a), as_array(b));
      if (result || PyErr_Occurred()) return Ref(result);
    }
    return Ref(ensure_array(PyNumber_Add(a, b)));
  }

  bool completed(std::size_t at) {
    Entry& entry = table_[at];
    PyObject* target = entry.target.get();
    if (is_node(target)) {
      if (!entry.grad) return skip(at);
      ready_.emplace_back(as_node(target)->seq, at);
      std::push_heap(ready_.begin(), ready_.end());
      return true;
    }
    if (!entry.grad) return true;
    Ref grad = std::move(entry.grad);
    Tensor* leaf = as_tensor(target);
    if (!is_none(leaf->hooks) || !is_array(grad.get()) || !is_array(leaf->array)) {
      return finish_leaf(leaf, grad.get());
    }
    if (!accumulate(leaf, grad)) return false;
    return !grad || finish_leaf(leaf, grad.get());
  }

  static bool finish_leaf(Tensor* leaf, PyObject* grad) {
    PyObject* args[] = {reinterpret_cast<PyObject*>(leaf), grad,
                        is_buffer(grad) ? Py_True : Py_False};
    return static_cast<bool>(Ref(PyObject_Vectorcall(helpers.finish_leaf, args, 3, nullptr)));
  }

  // No gradient arrived: what the node leads to waits for one contribution less each.
  bool skip(std::size_t at) {
    PyObject* edges = as_node(table_[at].target.get())->edges;
    std::vector<std::size_t> done;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(edges); ++i) {
      PyObject* edge = PyTuple_GET_ITEM(edges, i);
      if (edge == Py_None) continue;
      const std::size_t next = table_.find(target_of(edge));
      if (--table_[next].waiting == 0) done.push_back(next);
    }
    skipped_.insert(skipped_.end(), done.begin(), done.end());
    if (skipping_) return true;  // the outer call goes on with the list; no recursion
    skipping_ = true;
    bool good = true;
    while (good && !skipped_.empty()) {
      const std::size_t next = skipped_.back();
      skipped_.pop_back();
      good = completed(next);
    }
    skipping_ = false;
    return good;
  }

  bool run_node(std::size_t at) {
    Ref keep(Py_NewRef(table_[at].target.get()));
    Node* node = as_node(keep.get());
    Ref grad = std::move(table_[at].grad);
    Ref hooks(Py_XNewRef(node->hooks));
    if (!is_none(hooks.get())) {
      PyObject* args[] = {keep.get(), hooks.get(), grad.get()};
      grad = Ref(PyObject_Vectorcall(helpers.before, args, 3, nullptr));
      if (!grad) return false;
    }
    Ref edges(Py_XNewRef(node->edges)), inputs(Py_XNewRef(node->inputs));
    const Py_ssize_t count = PyTuple_GET_SIZE(edges.get());
    std::vector<Ref> grads;
    grads.reserve(static_cast<std::size_t>(count));
    const bool native = is_op_node(keep.get());
    if (!(native && !is_half_precision(grad.get()) ? apply_op(node, grad.get(), grads)
                                                   : apply_other(keep.get(), grad.get(), grads))) {
      return explain(keep.get());
    }
    if (!is_none(hooks.get()) && !run_hooks_after(keep.get(), hooks.get(), grad.get(), grads)) {
      return false;
    }
    if (static_cast<Py_ssize_t>(grads.size()) != count) {
      return refuse("a gradient formula gave a wrong number of gradients");
    }
    if (!retain_graph_) {
      if (native) {
        release_op(node);
      } else if (!Ref(PyObject_CallMethodNoArgs(keep.get(), str_release))) {
        return false;
      }
    }
    grad = Ref();
    for (Py_ssize_t i = 0; i < count; ++i) {
      PyObject* edge = PyTuple_GET_ITEM(edges.get(), i);
      if (edge == Py_None) continue;
      const std::size_t next = table_.find(target_of(edge));
      Ref g = std::move(grads[static_cast<std::size_t>(i)]);
      if (!is_none(g.get())) {
        if (!fit(g, PyTuple_GET_ITEM(inputs.get(), i)) ||
            !add(next, number_of(edge), std::move(g))) {
          return false;
        }
      }
      if (--table_[next].waiting == 0 && !completed(next)) return false;
    }
    return true;
  }

  // Undoes broadcasting and promotion of the input that the gradient belongs to.
  static bool fit(Ref& grad, PyObject* info) {
    if (is_array(grad.get())) {
      PyArrayObject* array = as_array(grad.get());
      PyObject* shape = PyTuple_GET_ITEM(info, 0);
      bool fits = PyTuple_GET_ITEM(info, 1) == reinterpret_cast<PyObject*>(PyArray_DESCR(array)) &&
                  PyTuple_GET_SIZE(shape) == PyArray_NDIM(array);
      for (int i = 0; fits && i < PyArray_NDIM(array); ++i) {
        fits = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, i)) == PyArray_DIM(array, i);
      }
      if (fits) return true;
    }
    PyObject* args[] = {grad.get(), info};
    grad = Ref(ensure_array(PyObject_Vectorcall(helpers.fit, args, 2, nullptr)));
    return static_cast<bool>(grad);
  }

  // Of float16 or bfloat16: what is done to widen it is up to OpNode.apply.
  static bool is_half_precision(PyObject* grad) {
    if (PyList_CheckExact(grad)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(grad); ++i) {
        if (is_half_precision(PyList_GET_ITEM(grad, i))) return true;
      }
      return false;
    }
    return is_array(grad) && is_half(as_array(grad));
  }

  static bool apply_other(PyObject* node, PyObject* grad, std::vector<Ref>& grads) {
    PyObject* args[] = {node, grad, Py_False};
    Ref result(
        PyObject_VectorcallMethod(str_apply, args, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
    return result && take_all(result.get(), grads);
  }

  static bool run_hooks_after(PyObject* node, PyObject* hooks, PyObject* grad,
                              std::vector<Ref>& grads) {
    Ref list(PyList_New(static_cast<Py_ssize_t>(grads.size())));
    if (!list) return false;
    for (std::size_t i = 0; i < grads.size(); ++i) {
      PyObject* g = grads[i] ? grads[i].get() : Py_None;
      PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), Py_NewRef(g));
    }
    PyObject* args[] = {node, hooks, list.get(), grad};
    Ref result(PyObject_Vectorcall(helpers.after, args, 4, nullptr));
    grads.clear();
    return result && take_all(result.get(), grads);
  }

  // Says in which node the exception came up.
  static bool explain(PyObject* node) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    Ref name(PyObject_GetAttrString(node, "name"));
    if (name && value) {
      Ref note(PyUnicode_FromFormat("in the backward pass of %U", name.get()));
      Ref done(note ? PyObject_CallMethod(value, "add_note", "O", note.get()) : nullptr);
    }
    PyErr_Clear();
    PyErr_Restore(type, value, trace);
    return false;
  }

  Table table_;
  std::vector<std::pair<long long, std::size_t>> ready_;
  std::vector<std::size_t> skipped_;
  bool skipping_ = false;
  bool retain_graph_;
};

PyObject* walk_arrays(PyObject*, PyObject* args) {
  PyObject* roots;
  int retain_graph;
  if (!PyArg_ParseTuple(args, "O!p", &PyList_Type, &roots, &retain_graph)) return nullptr;
  const bool walked = guarded([&] { return Run(retain_graph).walk(roots); });
  return walked ? Py_NewRef(Py_None) : nullptr;
}

PyObject* set_engine(PyObject*, PyObject* args) {
  PyObject *before, *after, *finish_leaf, *fit;
  if (!PyArg_ParseTuple(args, "OOOO", &before, &after, &finish_leaf, &fit)) return nullptr;
  Py_XSETREF(helpers.before, Py_NewRef(before));
  Py_XSETREF(helpers.after, Py_NewRef(after));
  Py_XSETREF(helpers.finish_leaf, Py_NewRef(finish_leaf));
  Py_XSETREF(helpers.fit, Py_NewRef(fit));
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"walk_arrays", walk_arrays, METH_VARARGS,
     "Walk the graph from [(edge, gradient)] and accumulate into every leaf."},
    {"set_engine", set_engine, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

bool add_engine(PyObject* module) {
  str_apply = PyUnicode_InternFromString("apply");
  str_release = PyUnicode_InternFromString("release");
  return str_apply && str_release && PyModule_AddFunctions(module, functions) == 0;
}

}  // namespace dtorch::core
