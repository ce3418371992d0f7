// Words that processes share, and NumPy memory that comes from shared blocks.
//
// The atomics act on 8-byte words of mappings that several processes have; every access is
// sequentially consistent, so that code on them needs no reasoning about the processor's order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace dtorch::shared {

std::uint64_t load(std::uintptr_t word) noexcept;
void store(std::uintptr_t word, std::uint64_t value) noexcept;
// Wraps around; returns the value before.
std::uint64_t add(std::uintptr_t word, std::uint64_t value) noexcept;

// Of the cells of blocks and the records of messages: the constants of these names of layout.py,
// which describes both.
struct Layout {
  std::uint64_t hold_mask, count_mask, taken_shift, sent_shift;
  std::uint64_t record_nbytes, kind_mask, token_mask, slot_shift, count_shift, token_shift;
  std::uint64_t free, sending, sent, taking, no_channel;
};
void set_layout(const Layout& layout) noexcept;

// Whether the cells of a block, `count` of them `stride` bytes apart, say that it is unused.
bool is_unused(std::uintptr_t first, std::size_t stride, std::size_t count) noexcept;

// The table of messages under way, and the slot of this process in it.
struct Messages {
  std::uintptr_t table;
  std::size_t count;
  std::uint64_t slot;
};
struct Record {
  std::size_t number;
  std::uint64_t token;
};
// Counts a message as sent in this process's cell of the block, with the first record that is free
// from `first` on, if any is. `block`: the second word of the record.
std::optional<Record> send(const Messages& messages, std::uintptr_t cell, std::uint64_t block,
                           std::size_t first) noexcept;
// Counts a message as taken, and `holds` new users of the block with it. False if somebody else
// has its record, if it had one.
bool take(const Messages& messages, std::uintptr_t cell, std::optional<Record> record,
          std::uint64_t holds) noexcept;

// Sleeps while the low half of the word has this value, at most so long; may return early.
void wait(std::uintptr_t word, std::uint32_t value, double seconds) noexcept;
// Wakes everybody who sleeps on the word.
void wake(std::uintptr_t word) noexcept;

}  // namespace dtorch::shared
