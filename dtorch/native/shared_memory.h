// Words that processes share, and NumPy memory that comes from shared blocks.
//
// The atomics act on 8-byte words of mappings that several processes have; every access is
// sequentially consistent, so that code on them needs no reasoning about the processor's order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dtorch::shared {

std::uint64_t load(std::uintptr_t word) noexcept;
void store(std::uintptr_t word, std::uint64_t value) noexcept;
// Wraps around; returns the value before.
std::uint64_t add(std::uintptr_t word, std::uint64_t value) noexcept;
bool compare_exchange(std::uintptr_t word, std::uint64_t expected, std::uint64_t desired) noexcept;

// Whether `count` words, `stride` bytes apart, say that a block is unused: the sum of their low 16
// bits is 0, and so is the sum of (bits 40 to 63) - (bits 16 to 39) modulo 2**24. See layout.py.
bool is_unused(std::uintptr_t first, std::size_t stride, std::size_t count) noexcept;

// Sleeps while the low half of the word has this value, at most so long; may return early.
void wait(std::uintptr_t word, std::uint32_t value, double seconds) noexcept;
// Wakes everybody who sleeps on the word.
void wake(std::uintptr_t word) noexcept;

}  // namespace dtorch::shared

namespace nanobind {
class module_;
}

namespace dtorch {

// The functions above, and the NumPy allocator of `dtorch.multiprocessing.shared_memory()`.
void bind_shared_memory(nanobind::module_& m);

}  // namespace dtorch
