// Checks of parallel_for that no kernel can show; test_thread_pool.py compiles and runs this.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "thread_pool.h"

namespace {

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

bool covers_each_index_once(std::size_t begin, std::size_t end, std::size_t grain) {
  std::vector<std::atomic<int>> visits(end);
  dtorch::parallel_for(begin, end, grain, [&](std::size_t b, std::size_t e) {
    for (std::size_t i = b; i < e; ++i) ++visits[i];
  });
  for (std::size_t i = 0; i < end; ++i) {
    if (visits[i] != (i >= begin ? 1 : 0)) return false;
  }
  return true;
}

void check_coverage() {
  for (int threads : {1, 2, 3, 8}) {
    dtorch::set_num_threads(threads);
    for (std::size_t grain : {0, 1, 7, 1000}) {
      for (std::size_t end : {0, 1, 2, 99, 5000}) {
        check(covers_each_index_once(0, end, grain), "every index once");
        check(covers_each_index_once(end / 2, end, grain), "every index once from an offset");
      }
    }
  }
}

void check_exception() {
  for (int threads : {1, 4}) {
    dtorch::set_num_threads(threads);
    std::string message;
    try {
      dtorch::parallel_for(0, 1000, 1, [](std::size_t b, std::size_t) {
        if (b >= 500) throw std::runtime_error("from a range");
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    check(threads == 1 || message == "from a range", "the exception reaches the caller");
    check(covers_each_index_once(0, 1000, 1), "the pool works after an exception");
  }
}

void check_nesting() {
  dtorch::set_num_threads(4);
  std::atomic<int> calls = 0;
  dtorch::parallel_for(0, 100, 1, [&](std::size_t b, std::size_t e) {
    dtorch::parallel_for(
        b, e, 1, [&](std::size_t ib, std::size_t ie) { calls += static_cast<int>(ie - ib); });
  });
  check(calls == 100, "a nested call runs where it is");
}

void check_callers_at_the_same_time() {
  dtorch::set_num_threads(3);
  std::atomic<bool> right = true;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int k = 0; k < 200; ++k) right = right && covers_each_index_once(0, 300, 1);
    });
  }
  for (std::thread& caller : callers) caller.join();
  check(right, "callers do not disturb each other");
}

[[maybe_unused]] void check_fork() {
  dtorch::set_num_threads(3);
  check(covers_each_index_once(0, 1000, 1), "before fork");
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(covers_each_index_once(0, 1000, 1) ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child has a pool of its own");
  }
  check(covers_each_index_once(0, 1000, 1), "after fork");
}

void check_many_short_jobs() {
  dtorch::set_num_threads(2);
  for (int i = 0; i < 20000; ++i) {
    std::atomic<std::size_t> sum = 0;
    dtorch::parallel_for(0, 64, 1, [&](std::size_t b, std::size_t e) { sum += e - b; });
    check(sum == 64, "a short job is complete");
  }
}

}  // namespace

int main() {
  check_coverage();
  check_exception();
  check_nesting();
  check_callers_at_the_same_time();
  check_many_short_jobs();
#if !defined(__SANITIZE_THREAD__)  // which knows no threads after a fork
  check_fork();
#endif
  std::puts("all checks hold");
}
