// What the machine, the container and the environment allow this process.
#pragma once

#include <cstddef>

namespace dtorch {

// Bytes of memory: the physical memory or the cgroup's limit (v1 or v2), whichever is smaller.
std::size_t memory_limit();

// Bytes that can be asked for at once: that memory, and what the machine may swap out.
std::size_t largest_allocation();

// Processors this process may use: affinity mask and the cgroup's CPU quota (v1 or v2), at least 1.
int cpu_limit();

}  // namespace dtorch
