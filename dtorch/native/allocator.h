// Caching allocator for tensor memory: pages that were touched once stay ready for the next array.
//
// Every block is aligned to 64 bytes. Blocks up to 1 KiB come from slabs through per-thread lists.
// Larger ones come from the system and go into a cache when freed; the cache is bounded, and what
// lies longest in it is given back first. Any thread may free what another one allocated, and a
// forked child may free what its parent allocated. No function throws; null means out of memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dtorch::allocator {

inline constexpr std::size_t alignment = 64;

void* allocate(std::size_t nbytes) noexcept;
void* allocate_zeroed(std::size_t nbytes) noexcept;
// Keeps min(old, new) bytes. On failure returns null and leaves the block as it was.
void* resize(void* block, std::size_t nbytes) noexcept;
void release(void* block) noexcept;

// Gives every cached block back to the system; returns the bytes.
std::size_t empty_cache() noexcept;

// Largest number of bytes kept in the cache. Blocks above the new bound are given back at once.
void set_cache_limit(std::size_t nbytes) noexcept;

// Everything but slab_bytes counts blocks above 1 KiB only: the small ones are too many to count.
struct Stats {
  std::size_t bytes_in_use;  // handed out now, in whole size classes
  std::size_t bytes_cached;  // freed and kept
  std::size_t cache_limit;   // upper bound of bytes_cached
  std::size_t peak_bytes;    // largest bytes_in_use + bytes_cached so far
  std::size_t slab_bytes;    // memory that serves the small blocks
  std::uint64_t hits;        // served from the cache
  std::uint64_t misses;      // served by the system
  std::uint64_t returned;    // blocks given back to the system
};
Stats stats() noexcept;

}  // namespace dtorch::allocator
