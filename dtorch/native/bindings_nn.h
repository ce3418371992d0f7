// Kernels of neural networks as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

namespace dtorch {

void bind_nn(nanobind::module_& m);
void bind_attention(nanobind::module_& m);
void bind_matmul(nanobind::module_& m);
void bind_slices(nanobind::module_& m);
void bind_optim(nanobind::module_& m);

}  // namespace dtorch
