// Attention in tiles as Python sees it. Arrays are (*, rows, columns), all with the same dims
// before the last two; their matrices may lie anywhere, as views of (N, L, heads, E) do.
#include "binding_support.h"
#include "bindings.h"

#include <cstdint>
#include <vector>

#include "kernels/attention.h"
#include "matrix_starts.h"

namespace dtorch {
namespace {

void expect(bool holds, const char* what) { dtorch::expect(holds, "attention", what); }

// An array of numbers or bools, and where its matrices are.
class Stack {
 public:
  Stack(nb::handle object, int type, bool writable)
      : array_(reinterpret_cast<PyArrayObject*>(object.ptr())) {
    expect(PyArray_Check(object.ptr()), "an operand is no array");
    expect(PyArray_TYPE(array_) == type && PyArray_ISBEHAVED_RO(array_) &&
               (!writable || PyArray_ISWRITEABLE(array_)),
           "an array has another type, is not aligned, or cannot be written to");
    expect(
        PyArray_NDIM(array_) >= 2 && find_starts(array_, starts_) && step(-2) >= 0 && step(-1) >= 0,
        "an array has too few dims or unfit steps");
  }

  std::size_t batches() const { return starts_.size(); }
  std::size_t rows() const { return size(-2); }
  std::size_t columns() const { return size(-1); }
  std::size_t row_step() const { return static_cast<std::size_t>(step(-2)); }
  std::size_t column_step() const { return static_cast<std::size_t>(step(-1)); }
  const std::size_t* starts() const { return starts_.data(); }
  const void* data() const { return PyArray_DATA(array_); }

  template <class T>
  Matrices<T> matrices(std::size_t batches, std::size_t rows, std::size_t columns) const {
    expect(starts_.size() == batches && this->rows() == rows && this->columns() == columns,
           "the arrays do not fit each other");
    expect(column_step() == 1 || columns == 1, "columns do not lie side by side");
    return {static_cast<T*>(PyArray_DATA(array_)), starts_.data(), row_step()};
  }

 private:
  npy_intp step(int dim) const {
    return PyArray_STRIDE(array_, PyArray_NDIM(array_) + dim) / PyArray_ITEMSIZE(array_);
  }
  std::size_t size(int dim) const {
    return static_cast<std::size_t>(PyArray_DIM(array_, PyArray_NDIM(array_) + dim));
  }

  PyArrayObject* array_;
  std::vector<std::size_t> starts_;
};

// Parameters of a call that are no arrays: scale, is_causal, dropout_p, seed.
struct Options {
  double scale;
  bool causal;
  double dropout;
  std::uint64_t seed;
};

Attention shape_of(const Stack& query, const Stack& key, const Stack& value,
                   const Options& options) {
  Attention s = {};
  s.batches = query.batches();
  s.rows = query.rows();
  s.keys = key.rows();
  s.width = query.columns();
  s.out_width = value.columns();
  expect(s.batches * s.rows * s.keys * s.width * s.out_width != 0, "an array is empty");
  s.scale = options.scale;
  s.causal = options.causal;
  expect(options.dropout >= 0 && options.dropout <= 1, "dropout is no probability");
  s.drop_below = options.dropout == 1 ? UINT32_MAX
                                      : static_cast<std::uint32_t>(options.dropout * 4294967296.0);
  s.kept_factor = options.dropout == 1 ? 0 : 1 / (1 - options.dropout);
  s.seed = options.seed;
  s.slots = static_cast<std::size_t>(get_num_threads());
  return s;
}

// The mask of a call, None among them, with what it points to.
class Mask {
 public:
  Mask(nb::handle object, int type, const Attention& s) {
    if (object.is_none()) return;
    auto* array = reinterpret_cast<PyArrayObject*>(object.ptr());
    const bool numbers = !PyArray_Check(object.ptr()) || PyArray_TYPE(array) != NPY_BOOL;
    stack_.emplace_back(object, numbers ? type : NPY_BOOL, false);
    const Stack& stack = stack_.back();
    expect(stack.batches() == s.batches && stack.rows() == s.rows && stack.columns() == s.keys,
           "the mask does not fit");
    mask_ = {stack.data(), stack.starts(), stack.row_step(), stack.column_step(), numbers};
  }
  AttentionMask get() const { return mask_; }

 private:
  std::vector<Stack> stack_;  // one or none
  AttentionMask mask_ = {};
};

template <class T, class Kernel>
void with_workspace(std::size_t elements, Kernel kernel) {
  const Workspace<T> workspace(elements);
  const nb::gil_scoped_release released;
  kernel(workspace.get());
}

template <class T>
void forward(nb::handle query, nb::handle key, nb::handle value, nb::handle mask,
             const Options& options, nb::handle out, nb::handle log_sums, int type) {
  const Stack q(query, type, false), k(key, type, false), v(value, type, false);
  const Stack o(out, type, true), sums(log_sums, type, true);
  const Attention s = shape_of(q, k, v, options);
  const Mask added(mask, type, s);
  const auto query_of = q.matrices<const T>(s.batches, s.rows, s.width);
  const auto key_of = k.matrices<const T>(s.batches, s.keys, s.width);
  const auto value_of = v.matrices<const T>(s.batches, s.keys, s.out_width);
  const auto out_of = o.matrices<T>(s.batches, s.rows, s.out_width);
  T* row_sums = sums.matrices<T>(s.batches, s.rows, 1).data;
  with_workspace<T>(DTORCH_DISPATCH(attention_workspace<T>)(s), [&](T* workspace) {
    DTORCH_DISPATCH(attention)
    (s, query_of, key_of, value_of, added.get(), out_of, row_sums, workspace);
  });
}

template <class T>
void backward(nb::handle grad, nb::handle query, nb::handle key, nb::handle value, nb::handle mask,
              const Options& options, nb::handle out, nb::handle log_sums, nb::handle grad_query,
              nb::handle grad_key, nb::handle grad_value, int type) {
  const Stack g(grad, type, false), q(query, type, false), k(key, type, false);
  const Stack v(value, type, false), o(out, type, false), sums(log_sums, type, false);
  const Stack dq(grad_query, type, true), dk(grad_key, type, true), dv(grad_value, type, true);
  const Attention s = shape_of(q, k, v, options);
  const Mask added(mask, type, s);
  const auto grad_of = g.matrices<const T>(s.batches, s.rows, s.out_width);
  const auto query_of = q.matrices<const T>(s.batches, s.rows, s.width);
  const auto key_of = k.matrices<const T>(s.batches, s.keys, s.width);
  const auto value_of = v.matrices<const T>(s.batches, s.keys, s.out_width);
  const auto out_of = o.matrices<const T>(s.batches, s.rows, s.out_width);
  const T* row_sums = sums.matrices<const T>(s.batches, s.rows, 1).data;
  const auto dq_of = dq.matrices<T>(s.batches, s.rows, s.width);
  const auto dk_of = dk.matrices<T>(s.batches, s.keys, s.width);
  const auto dv_of = dv.matrices<T>(s.batches, s.keys, s.out_width);
  with_workspace<T>(DTORCH_DISPATCH(attention_backward_workspace<T>)(s), [&](T* workspace) {
    DTORCH_DISPATCH(attention_backward)
    (s, grad_of, query_of, key_of, value_of, added.get(), out_of, row_sums, dq_of, dk_of, dv_of,
     workspace);
  });
}

bool is_double(nb::handle array) {
  expect(PyArray_Check(array.ptr()), "the query is no array");
  return PyArray_TYPE(reinterpret_cast<PyArrayObject*>(array.ptr())) == NPY_DOUBLE;
}

void attention_of(nb::handle query, nb::handle key, nb::handle value, nb::handle mask, double scale,
                  bool causal, double dropout, std::uint64_t seed, nb::handle out,
                  nb::handle log_sums) {
  const Options options = {scale, causal, dropout, seed};
  if (is_double(query)) {
    forward<double>(query, key, value, mask, options, out, log_sums, NPY_DOUBLE);
  } else {
    forward<float>(query, key, value, mask, options, out, log_sums, NPY_FLOAT);
  }
}

void attention_backward_of(nb::handle grad, nb::handle query, nb::handle key, nb::handle value,
                           nb::handle mask, double scale, bool causal, double dropout,
                           std::uint64_t seed, nb::handle out, nb::handle log_sums,
                           nb::handle grad_query, nb::handle grad_key, nb::handle grad_value) {
  const Options options = {scale, causal, dropout, seed};
  if (is_double(query)) {
    backward<double>(grad, query, key, value, mask, options, out, log_sums, grad_query, grad_key,
                     grad_value, NPY_DOUBLE);
  } else {
    backward<float>(grad, query, key, value, mask, options, out, log_sums, grad_query, grad_key,
                    grad_value, NPY_FLOAT);
  }
}

}  // namespace

void bind_attention(nb::module_& m) {
  m.def("attention", attention_of, "query"_a, "key"_a, "value"_a, "mask"_a.none(), "scale"_a,
        "is_causal"_a, "dropout_p"_a, "seed"_a, "out"_a, "log_sums"_a);
  m.def("attention_backward", attention_backward_of, "grad"_a, "query"_a, "key"_a, "value"_a,
        "mask"_a.none(), "scale"_a, "is_causal"_a, "dropout_p"_a, "seed"_a, "out"_a, "log_sums"_a,
        "grad_query"_a, "grad_key"_a, "grad_value"_a);
}

}  // namespace dtorch
