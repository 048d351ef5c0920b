#include "storage/base/clock.hpp"

#include <ctime>

namespace troupe {

namespace {

std::int64_t read_ns(clockid_t which) {
  timespec now{};
  ::clock_gettime(which, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

class posix_clock final : public clock {
public:
  boot_time boot() const override {
    return boot_time{static_cast<std::uint64_t>(read_ns(CLOCK_BOOTTIME))};
  }
  wall_time wall() const override { return wall_time{read_ns(CLOCK_REALTIME)}; }
};

} // namespace

const clock& system_clock() {
  static const posix_clock instance;
  return instance;
}

} // namespace troupe
