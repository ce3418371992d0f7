// bfloat16 to float32 and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  void widen(const std::uint16_t* in, float* out, std::size_t count);

  // To nearest, ties to even; NaN stays NaN.
  void narrow(const float* in, std::uint16_t* out, std::size_t count);
)
