// Independent items of work on the thread pool, each with a workspace that no other item uses at
// the same time.
#pragma once

#include <cstddef>

#include "thread_pool.h"

namespace dtorch::DTORCH_CAPABILITY {

// Calls function(item, slot) for every item; slot < slots, items of one slot run one
// after another.
template <class Function>
inline void for_each_item(std::size_t items, std::size_t slots, Function function) {
  std::size_t next = 0;
  parallel_for(0, slots < items ? slots : items, 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t slot = begin; slot < end; ++slot) {
      for (;;) {
        const std::size_t item = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
        if (item >= items) break;
        function(item, slot);
      }
    }
  });
}

}  // namespace dtorch::DTORCH_CAPABILITY
