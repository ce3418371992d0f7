#include "shared_memory.h"

#include <atomic>
#include <bit>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#endif
#if !defined(__linux__)
#include <chrono>
#include <thread>
#endif

namespace dtorch::shared {

namespace {

std::atomic_ref<std::uint64_t> at(std::uintptr_t word) noexcept {
  return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(word));
}
static_assert(std::atomic_ref<std::uint64_t>::is_always_lock_free);

Layout layout;

std::uint64_t state(std::uint64_t kind, std::uint64_t slot, std::uint64_t count,
                    std::uint64_t token) noexcept {
  return kind | slot << layout.slot_shift | count << layout.count_shift |
         token << layout.token_shift;
}

// A sum that changes with every send, receive and hold, beside the two that count.
struct Reading {
  std::uint64_t all = 0, holds = 0, in_flight = 0;
  bool operator==(const Reading&) const = default;
};

Reading read_cells(std::uintptr_t first, std::size_t stride, std::size_t count) noexcept {
  const Layout own = layout;  // stays in registers
  Reading reading;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t cell = at(first + i * stride).load();
    reading.all = std::rotl(reading.all, 7) ^ (cell * 0x9E3779B97F4A7C15u);
    reading.holds += cell & own.hold_mask;
    reading.in_flight += (cell >> own.sent_shift) - (cell >> own.taken_shift);
  }
  reading.in_flight &= own.count_mask;
  return reading;
}

bool compare_exchange(std::uintptr_t word, std::uint64_t expected, std::uint64_t desired) noexcept {
  return at(word).compare_exchange_strong(expected, desired);
}

}  // namespace

void set_layout(const Layout& given) noexcept { layout = given; }

std::uint64_t load(std::uintptr_t word) noexcept { return at(word).load(); }
void store(std::uintptr_t word, std::uint64_t value) noexcept { at(word).store(value); }
std::uint64_t add(std::uintptr_t word, std::uint64_t value) noexcept {
  return at(word).fetch_add(value);
}

bool is_unused(std::uintptr_t first, std::size_t stride, std::size_t count) noexcept {
  const Reading reading = read_cells(first, stride, count);
  if (reading.holds != 0 || reading.in_flight != 0) return false;
  // The counts of messages only grow: two equal readings are one consistent picture.
  return read_cells(first, stride, count) == reading;
}

// In both a process that is killed between two stores leaves what tells others how far it was.

std::optional<Record> send(const Messages& messages, std::uintptr_t cell, std::uint64_t block,
                           std::size_t first) noexcept {
  const std::uint64_t sent = load(cell) >> layout.sent_shift;
  const std::uint64_t one_sent = std::uint64_t{1} << layout.sent_shift;
  for (std::size_t i = 0; i < messages.count; ++i) {
    const std::size_t number = (first + i) % messages.count;
    const std::uintptr_t record = messages.table + layout.record_nbytes * number;
    const std::uint64_t word = load(record);
    const std::uint64_t token = ((word >> layout.token_shift) + 1) & layout.token_mask;
    if ((word & layout.kind_mask) != layout.free ||
        !compare_exchange(record, word, state(layout.sending, messages.slot, sent, token))) {
      continue;
    }
    store(record + 16, layout.no_channel);
    store(record + 8, block);
    add(cell, one_sent);
    store(record, state(layout.sent, 0, 0, token));
    return Record{number, token};
  }
  add(cell, one_sent);
  return std::nullopt;
}

bool take(const Messages& messages, std::uintptr_t cell, std::optional<Record> record,
          std::uint64_t holds) noexcept {
  const std::uint64_t before = load(cell);
  const std::uint64_t taken_mask = layout.count_mask << layout.taken_shift;
  const std::uint64_t one_taken = std::uint64_t{1} << layout.taken_shift;
  const std::uint64_t taken = (before & taken_mask) >> layout.taken_shift;
  const std::uintptr_t at = record ? messages.table + layout.record_nbytes * record->number : 0;
  if (record && !compare_exchange(at, state(layout.sent, 0, 0, record->token),
                                  state(layout.taking, messages.slot, taken, record->token))) {
    return false;
  }
  store(cell, ((before & ~taken_mask) | ((before + one_taken) & taken_mask)) + holds);
  if (record) {
    store(at + 8, 0);
    store(at, state(layout.free, 0, 0, record->token));
  }
  return true;
}

#if defined(__linux__)
namespace {

std::uint32_t* low_half(std::uintptr_t word) noexcept {
  const std::size_t offset = std::endian::native == std::endian::little ? 0 : 4;
  return reinterpret_cast<std::uint32_t*>(word + offset);
}

}  // namespace

void wait(std::uintptr_t word, std::uint32_t value, double seconds) noexcept {
  timespec timeout;
  timeout.tv_sec = static_cast<std::time_t>(seconds);
  timeout.tv_nsec = static_cast<long>((seconds - static_cast<double>(timeout.tv_sec)) * 1e9);
  syscall(SYS_futex, low_half(word), FUTEX_WAIT, value, &timeout, nullptr, 0);
}

void wake(std::uintptr_t word) noexcept {
  syscall(SYS_futex, low_half(word), FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}
#else
void wait(std::uintptr_t word, std::uint32_t value, double seconds) noexcept {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (static_cast<std::uint32_t>(load(word)) == value &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void wake(std::uintptr_t) noexcept {}
#endif

}  // namespace dtorch::shared
