// The threads that kernels run on.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>

namespace dtorch {

// OMP_NUM_THREADS, or the processors this process may use.
int get_num_threads();
// Counts the calling thread; at least 1. Threads are started when they are first needed.
void set_num_threads(int count);

// Work for one thread, of which each element is a few operations: less is done sooner by one than
// handed to two.
constexpr std::size_t elements_per_range = 32 * 1024;

namespace detail {
using RangeFunction = void (*)(void* context, std::size_t begin, std::size_t end);
void parallel_for(std::size_t begin, std::size_t end, std::size_t grain, RangeFunction function,
                  void* context);
}  // namespace detail

// Calls function(b, e) for ranges of at least `grain` indices (but the last) that cover
// [begin, end), on several threads, the calling one included. The first exception is rethrown
// here when all threads have stopped; ranges that nobody began by then are left out.
//
// Runs on the calling thread alone: a range up to `grain`, a call from inside another
// parallel_for, and a call while another thread uses the pool.
template <class Function>
void parallel_for(std::size_t begin, std::size_t end, std::size_t grain, Function&& function) {
  using Callable = std::remove_reference_t<Function>;
  detail::parallel_for(
      begin, end, grain,
      [](void* context, std::size_t b, std::size_t e) { (*static_cast<Callable*>(context))(b, e); },
      const_cast<void*>(static_cast<const void*>(std::addressof(function))));
}

}  // namespace dtorch
