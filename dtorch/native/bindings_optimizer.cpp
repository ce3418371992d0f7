// Steps of optimisers over all parameters of a group, handed to the threads at once.
#include "binding_support.h"
#include "bindings.h"

#include <cmath>
#include <utility>
#include <vector>

#include "core.h"
#include "kernels/optimizer.h"

namespace dtorch {
namespace {

using core::as_array;
using core::as_tensor;

constexpr std::size_t elements_at_once = elements_per_range / 2;  // each of several arrays
constexpr int most_states = 3;

// A parameter with what its step reads and writes.
struct Entry {
  core::Tensor* param;
  bool wide;  // double precision
  std::size_t size;
  void* values;
  const void* grad;
  void* states[most_states];
  double steps;  // taken, with this one
};

// An array of `size` elements of `type` that lie in order; null for any other.
PyArrayObject* ordered(PyObject* array, int type, npy_intp size) {
  if (!core::is_array(array)) return nullptr;
  PyArrayObject* found = as_array(array);
  const bool fits = PyArray_TYPE(found) == type && PyArray_SIZE(found) == size &&
                    PyArray_IS_C_CONTIGUOUS(found) && PyArray_ISBEHAVED(found);
  return fits ? found : nullptr;
}

// The parameters of a group that can be stepped here; the others are left to Python.
class Group {
 public:
  Group(nb::handle params, nb::handle states, std::vector<const char*> names, bool counts)
      : states_(states), names_(std::move(names)), counts_(counts) {
    for (nb::handle param : params) {
      if (!core::is_tensor(param.ptr())) {
        rest_.append(param);
      } else if (!core::is_none(as_tensor(param.ptr())->grad) && !add(param)) {
        rest_.append(param);
      }
    }
  }

  // step(entry, first, count) for ranges of the elements of all of them.
  template <class Step>
  nb::list run(Step step) {
    struct Range {
      const Entry* entry;
      std::size_t first;
    };
    std::vector<Range> ranges;
    std::size_t total = 0;
    for (const Entry& entry : entries_) {
      total += entry.size;
      for (std::size_t at = 0; at < entry.size; at += elements_at_once) {
        ranges.push_back({&entry, at});
      }
    }
    {
      const Released released(total >= elements_at_once);
      // Small parameters are many ranges for little work.
      const std::size_t grain = total == 0 ? 1 : ranges.size() * elements_at_once / total;
      parallel_for(0, ranges.size(), grain, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          const Range& r = ranges[i];
          step(*r.entry, r.first, std::min(elements_at_once, r.entry->size - r.first));
        }
      });
    }
    for (const Entry& entry : entries_) {
      if (!core::bump(entry.param)) throw nb::python_error();
    }
    return rest_;
  }

 private:
  bool add(nb::handle param) {
    core::Tensor* tensor = as_tensor(param.ptr());
    const core::Ref array = core::hold(tensor->array), gradient = core::hold(tensor->grad);
    if (!core::is_array(array.get()) || !core::is_tensor(gradient.get())) return false;
    const int type = PyArray_TYPE(as_array(array.get()));
    if (type != NPY_FLOAT && type != NPY_DOUBLE) return false;
    const npy_intp size = PyArray_SIZE(as_array(array.get()));
    PyArrayObject* values = ordered(array.get(), type, size);
    const core::Ref slope = core::hold(as_tensor(gradient.get())->array);
    PyObject* grad = slope.get();
    if (values == nullptr || !core::is_array(grad) || PyArray_TYPE(as_array(grad)) != type ||
        !PyArray_SAMESHAPE(as_array(grad), values) || !PyArray_ISBEHAVED_RO(as_array(grad))) {
      return false;
    }
    Entry entry = {tensor, type == NPY_DOUBLE, static_cast<std::size_t>(size), nullptr, nullptr, {},
                   0};
    entry.values = PyArray_DATA(values);
    if (!find_states(param, type, size, entry)) return false;
    if (!PyArray_IS_C_CONTIGUOUS(as_array(grad))) {
      grad = PyArray_NewCopy(as_array(grad), NPY_CORDER);
      if (grad == nullptr) throw nb::python_error();
      held_.push_back(nb::steal(grad));
    } else {
      hold(grad);
    }
    entry.grad = PyArray_DATA(as_array(grad));
    hold(param.ptr());
    hold(array.get());
    entries_.push_back(entry);
    return true;
  }

  bool find_states(nb::handle param, int type, npy_intp size, Entry& entry) {
    if (names_.empty()) return true;
    const core::Ref found = core::hold(PyDict_GetItemWithError(states_.ptr(), param.ptr()));
    if (!found && PyErr_Occurred()) throw nb::python_error();
    if (!found || !PyDict_Check(found.get())) return false;
    PyArrayObject* counter = nullptr;
    if (counts_) {
      counter = state_of(found.get(), "step", NPY_FLOAT, 1);
      if (counter == nullptr) return false;
    }
    for (std::size_t i = 0; i < names_.size(); ++i) {
      PyArrayObject* array = state_of(found.get(), names_[i], type, size);
      if (array == nullptr) return false;
      entry.states[i] = PyArray_DATA(array);
    }
    if (counts_) {
      float* count = static_cast<float*>(PyArray_DATA(counter));
      *count += 1;
      entry.steps = static_cast<double>(*count);
    }
    return true;
  }

  // The array of a tensor in the state of a parameter, held; null if it is not as expected.
  PyArrayObject* state_of(PyObject* state, const char* name, int type, npy_intp size) {
    PyObject* tensor = PyDict_GetItemString(state, name);
    if (tensor == nullptr || !core::is_tensor(tensor)) return nullptr;
    PyArrayObject* array = ordered(as_tensor(tensor)->array, type, size);
    if (array != nullptr) hold(as_tensor(tensor)->array);
    return array;
  }

  // Other threads of Python may give a parameter another array meanwhile.
  void hold(PyObject* object) { held_.push_back(nb::borrow(object)); }

  nb::handle states_;
  std::vector<const char*> names_;
  bool counts_;
  std::vector<Entry> entries_;
  std::vector<nb::object> held_;
  nb::list rest_;
};

template <class T>
T* at(void* values, std::size_t first) {
  return values == nullptr ? nullptr : static_cast<T*>(values) + first;
}

template <class T>
void step_sgd(const SgdOptions& options, const Entry& e, std::size_t first, std::size_t count) {
  DTORCH_DISPATCH(sgd_step)
  (options, at<T>(e.values, first), static_cast<const T*>(e.grad) + first,
   at<T>(e.states[0], first), count);
}

nb::list sgd_steps(nb::list params, nb::dict state, double lr, double momentum, double dampening,
                   double weight_decay, bool nesterov, bool maximize) {
  const SgdOptions options = {lr, momentum, dampening, weight_decay, nesterov, maximize};
  std::vector<const char*> names;
  if (momentum != 0) names.push_back("momentum_buffer");
  return Group(params, state, names, false)
      .run([&](const Entry& e, std::size_t first, std::size_t count) {
        e.wide ? step_sgd<double>(options, e, first, count)
               : step_sgd<float>(options, e, first, count);
      });
}

template <class T>
void step_adam(const AdamOptions& options, const Entry& e, std::size_t first, std::size_t count) {
  DTORCH_DISPATCH(adam_step)
  (options, at<T>(e.values, first), static_cast<const T*>(e.grad) + first,
   at<T>(e.states[0], first), at<T>(e.states[1], first), at<T>(e.states[2], first), count);
}

nb::list adam_steps(nb::list params, nb::dict state, double lr, double beta1, double beta2,
                    double eps, double weight_decay, bool decoupled, bool amsgrad, bool maximize) {
  std::vector<const char*> names = {"exp_avg", "exp_avg_sq"};
  if (amsgrad) names.push_back("max_exp_avg_sq");
  return Group(params, state, names, true)
      .run([&](const Entry& e, std::size_t first, std::size_t count) {
        const AdamOptions options = {lr,
                                     beta1,
                                     beta2,
                                     eps,
                                     weight_decay,
                                     decoupled,
                                     maximize,
                                     1 - std::pow(beta1, e.steps),
                                     1 - std::pow(beta2, e.steps)};
        e.wide ? step_adam<double>(options, e, first, count)
               : step_adam<float>(options, e, first, count);
      });
}

}  // namespace

// Each steps the parameters that have a gradient, and gives back those whose arrays it does not
// know or whose state has not begun.
void bind_optimizer(nb::module_& m) {
  m.def("sgd_steps", sgd_steps, "params"_a, "state"_a, "lr"_a, "momentum"_a, "dampening"_a,
        "weight_decay"_a, "nesterov"_a, "maximize"_a);
  m.def("adam_steps", adam_steps, "params"_a, "state"_a, "lr"_a, "beta1"_a, "beta2"_a, "eps"_a,
        "weight_decay"_a, "decoupled"_a, "amsgrad"_a, "maximize"_a);
}

}  // namespace dtorch
