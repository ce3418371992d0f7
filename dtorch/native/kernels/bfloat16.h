// The product of two matrices of bfloat16, with the processor's own instruction for sums of such
// products (AVX512_BF16).
#pragma once

#include <cstddef>
#include <cstdint>

#include "capability.h"
#include "kernels/matmul.h"

#if DTORCH_X86
// Not one of the capabilities: this file alone is compiled for it, and called only where
// has_bfloat16_products() says so.
namespace dtorch::avx512_bf16 {

// Number of 32-bit words of the workspace of the next function.
std::size_t matmul_workspace(Product shape);

// As matmul of kernels/matmul.h; sums are formed in float32, with that of `start`, and rounded
// once, to nearest even. Numbers below the normal range (1.2e-38) count as 0, as the instruction
// has it.
void matmul(Product shape, const std::uint16_t* a, const std::size_t* a_at, const std::uint16_t* b,
            const std::size_t* b_at, const float* start, std::uint16_t* out,
            std::uint32_t* workspace);

// out (rows, columns) = sum over the batch of a (rows, depth) times b (columns, depth) turned, all
// contiguous; the sum is rounded once.
std::size_t summed_matmul_workspace(Product shape);
void summed_matmul(Product shape, const std::uint16_t* a, const std::uint16_t* b,
                   std::uint16_t* out, std::uint32_t* workspace);

}  // namespace dtorch::avx512_bf16
#endif
