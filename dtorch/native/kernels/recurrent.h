// Long short-term memory over whole sequences, in single precision. Sequences do not see each
// other, so a block of them is taken through all steps by one thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.h"

namespace dtorch {

// Step t works on rows starts[t] .. starts[t] + sizes[t] of the arrays over all steps, which belong
// to the first sizes[t] sequences. Gates i, f, g, o lie one after another in a row of 4 * width.
struct Lstm {
  const std::int64_t* starts;
  const std::int64_t* sizes;
  std::size_t steps, sequences, width, slots;
};

}  // namespace dtorch

DTORCH_KERNELS(
  // Number of elements of the workspace of the functions below.
  std::size_t lstm_workspace(Lstm shape);

  // Gates hold the share of the inputs, and then the gates. Hidden and cell (sequences, width) are
  // moved from before the first step to behind the last. The other arrays get what the gradient
  // needs: outputs, squashed cells, hidden and cell states before each step.
  void lstm_forward(Lstm shape, float* gates, const float* weight, float* hidden, float* cell,
                    float* out, float* squashed, float* hiddens, float* cells, float* workspace);

  // delta: gradient of the gates before their functions. grad_hidden and grad_cell are moved from
  // behind the last step to before the first.
  void lstm_backward(Lstm shape, const float* grad_out, const float* gates, const float* squashed,
                     const float* cells, const float* weight, float* grad_hidden, float* grad_cell,
                     float* delta, float* workspace);
)
