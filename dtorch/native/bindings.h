// What Python sees of the native module: one function for each family of kernels.
#pragma once

#include <nanobind/nanobind.h>

namespace dtorch {

void bind_activation(nanobind::module_& m);
void bind_attention(nanobind::module_& m);
void bind_convolution(nanobind::module_& m);
void bind_cross_entropy(nanobind::module_& m);
void bind_half(nanobind::module_& m);
void bind_matmul(nanobind::module_& m);
void bind_normalization(nanobind::module_& m);
void bind_optimizer(nanobind::module_& m);
void bind_pooling(nanobind::module_& m);
void bind_recurrent(nanobind::module_& m);
// Of shared_memory.h, with the NumPy allocator of `dtorch.multiprocessing.shared_memory()`.
void bind_shared_memory(nanobind::module_& m);
void bind_slices(nanobind::module_& m);
void bind_softmax(nanobind::module_& m);

}  // namespace dtorch
