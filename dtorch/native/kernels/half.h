// bfloat16 and float16 to float32 and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

DTORCH_KERNELS(
  void widen_bfloat16(const std::uint16_t* in, float* out, std::size_t count);
  void widen_float16(const std::uint16_t* in, float* out, std::size_t count);

  // To nearest, ties to even; NaN stays NaN.
  void narrow_bfloat16(const float* in, std::uint16_t* out, std::size_t count);
  void narrow_float16(const float* in, std::uint16_t* out, std::size_t count);
)
