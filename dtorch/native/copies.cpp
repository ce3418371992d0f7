// Copies of NumPy arrays of numbers of 4 and 8 bytes, on several threads.
#include "copies.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "kernels/copy.h"
#include "released.h"
#include "thread_pool.h"

namespace dtorch {
namespace {

constexpr npy_intp elements_to_release_gil = 16 * 1024;

bool known(PyArrayObject* array) {
  const char kind = PyArray_DESCR(array)->kind;
  const npy_intp size = PyArray_ITEMSIZE(array);
  return (kind == 'f' || kind == 'i' || kind == 'u') && (size == 4 || size == 8) &&
         PyArray_ISALIGNED(array) && PyArray_ISNOTSWAPPED(array);
}

// False where the order of the elements in memory is left to NumPy.
bool make_plan(PyArrayObject* from, PyArrayObject* to, CopyPlan& plan) {
  const int ndim = PyArray_NDIM(to);
  const npy_intp item = PyArray_ITEMSIZE(to);
  if (ndim > CopyPlan::max_dims) return false;
  const npy_intp* steps = PyArray_STRIDES(to);
  int order[CopyPlan::max_dims] = {};
  int count = 0;
  for (int d = 0; d < ndim; ++d) {  // dims by step in `to`, the largest first
    if (PyArray_DIM(to, d) == 1) continue;
    if (steps[d] % item != 0 || PyArray_STRIDE(from, d) % item != 0) return false;
    int at = count++;
    for (; at > 0 && std::abs(steps[order[at - 1]]) < std::abs(steps[d]); --at) {
      order[at] = order[at - 1];
    }
    order[at] = d;
  }
  plan.ndim = 0;
  for (int k = 0; k < count; ++k) {
    const int d = order[k];
    const auto size = static_cast<std::size_t>(PyArray_DIM(to, d));
    const std::ptrdiff_t in = PyArray_STRIDE(from, d) / item, out = steps[d] / item;
    const int last = plan.ndim - 1;
    const auto whole = static_cast<std::ptrdiff_t>(size);
    if (last >= 0 && plan.from[last] == in * whole && plan.to[last] == out * whole) {
      plan.sizes[last] *= size;
      plan.from[last] = in;
      plan.to[last] = out;
      continue;
    }
    plan.sizes[plan.ndim] = size;
    plan.from[plan.ndim] = in;
    plan.to[plan.ndim++] = out;
  }
  if (plan.ndim == 0) {
    plan.sizes[0] = 1;
    plan.from[0] = plan.to[0] = 1;
    plan.ndim = 1;
  }
  return plan.to[plan.ndim - 1] == 1;
}

template <class T>
void copy(const CopyPlan& plan, const void* from, void* to) {
  std::size_t size = 1;
  const std::size_t parts = DTORCH_DISPATCH(copy_parts<T>)(&plan, &size);
  parallel_for(0, parts, elements_per_range / 2 / std::max<std::size_t>(size, 1),
               [&](std::size_t begin, std::size_t end) {
                 DTORCH_DISPATCH(copy_elements)
                 (&plan, static_cast<const T*>(from), static_cast<T*>(to), begin, end);
               });
}

}  // namespace

bool copy_array(PyArrayObject* from, PyArrayObject* to) {
  CopyPlan plan;
  if (PyArray_TYPE(from) != PyArray_TYPE(to) || !PyArray_SAMESHAPE(from, to) || !known(from) ||
      !known(to) || !PyArray_ISWRITEABLE(to)) {
    return false;
  }
  const npy_intp n = PyArray_SIZE(to);
  if (n == 0) return true;
  if (!make_plan(from, to, plan)) return false;
  const Released released(n >= elements_to_release_gil);
  if (PyArray_ITEMSIZE(to) == 4) {
    copy<float>(plan, PyArray_DATA(from), PyArray_DATA(to));
  } else {
    copy<double>(plan, PyArray_DATA(from), PyArray_DATA(to));
  }
  return true;
}

}  // namespace dtorch
