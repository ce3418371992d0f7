#include "system_limits.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#if defined(__linux__)
#include <sched.h>
#include <sys/sysinfo.h>
#endif

namespace dtorch {
namespace {

// No std::string: this must stand before any other file's static objects are made.
constexpr std::string_view cgroup_root = "/sys/fs/cgroup";

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<double> number(const std::string& text) {
  try {
    return std::stod(text);
  } catch (const std::exception&) {  // empty, "max", or not a number: no limit is set
    return std::nullopt;
  }
}

// Whether a list "cpu,cpuacct" has the controller; the empty list of v2 has the empty name.
bool names(const std::string& list, const std::string& controller) {
  std::istringstream items(list);
  std::string item;
  do {
    std::getline(items, item, ',');
    if (item == controller) return true;
  } while (items.good());
  return false;
}

// This process' folder in a hierarchy: "" names v2, "memory" and so on a v1 controller.
// Inside a container the kernel may show the host's path, which does not exist here: then the root.
std::string cgroup_folder(const std::string& controller) {
  std::string mount(cgroup_root);
  if (!controller.empty()) mount += "/" + controller;
  std::ifstream file("/proc/self/cgroup");  // lines "4:memory,cpu:/path", for v2 "0::/path"
  std::string line;
  while (std::getline(file, line)) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    if (!names(line.substr(first + 1, second - first - 1), controller)) continue;
    const std::string folder = mount + line.substr(second + 1);
    return access(folder.c_str(), R_OK) == 0 ? folder : mount;
  }
  return mount;
}

// Smallest value of read(folder) from the process' cgroup up to the root: limits are inherited.
template <class Read>
std::optional<double> tightest(std::string folder, Read read) {
  std::optional<double> least;
  while (folder.size() >= cgroup_root.size()) {
    if (const auto value = read(folder)) least = std::min(least.value_or(*value), *value);
    folder.resize(folder.find_last_of('/'));
  }
  return least;
}

std::optional<double> cgroup_memory() {
  const auto v2 = tightest(cgroup_folder(""), [](const std::string& folder) {
    return number(first_line(folder + "/memory.max"));
  });
  const auto v1 = tightest(cgroup_folder("memory"), [](const std::string& folder) {
    return number(first_line(folder + "/memory.limit_in_bytes"));
  });
  return v2 ? v2 : v1;
}

std::optional<double> cgroup_cpus() {
  const auto v2 = tightest(cgroup_folder(""), [](const std::string& folder) {
    const std::string line = first_line(folder + "/cpu.max");  // "<quota or max> <period>"
    const auto quota = number(line);
    const auto space = line.find(' ');
    const auto period = space == std::string::npos ? std::nullopt : number(line.substr(space));
    return quota && period ? std::optional(*quota / *period) : std::nullopt;
  });
  const auto v1 = tightest(cgroup_folder("cpu"), [](const std::string& folder) {
    const auto quota = number(first_line(folder + "/cpu.cfs_quota_us"));
    const auto period = number(first_line(folder + "/cpu.cfs_period_us"));
    return quota && period && *quota > 0 ? std::optional(*quota / *period) : std::nullopt;
  });
  return v2 ? v2 : v1;
}

int affinity_count() {
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
#endif
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace

std::size_t memory_limit() {
  const double physical =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return static_cast<std::size_t>(std::min(physical, cgroup_memory().value_or(physical)));
}

std::size_t largest_allocation() {
  std::size_t swap = 0;
#if defined(__linux__)
  struct sysinfo machine;
  if (sysinfo(&machine) == 0) swap = std::size_t{machine.totalswap} * machine.mem_unit;
#endif
  return memory_limit() + swap;
}

int cpu_limit() {
  const double allowed = affinity_count();
  const double quota = cgroup_cpus().value_or(allowed);
  return std::max(1, static_cast<int>(std::ceil(std::min(allowed, quota))));
}

}  // namespace dtorch
