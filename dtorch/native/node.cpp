// The nodes of the graph, and the outputs that they save.
#include "objects.h"

#include <structmember.h>

#include <cstddef>

#include <atomic>
#include <initializer_list>

namespace dtorch::core {

PyTypeObject* node_base = nullptr;
PyTypeObject* saved_output_type = nullptr;

namespace {

std::atomic<long long> sequence{0};

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

}  // namespace

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

bool add_node(PyObject* module) {
  node_base = add_type(module, &node_spec);
  saved_output_type = node_base ? add_type(module, &saved_output_spec) : nullptr;
  return saved_output_type != nullptr;
}

}  // namespace dtorch::core
