#include "storage/base/random_uuid.hpp"

#include "storage/base/assert.hpp"

#include <sys/random.h>

namespace troupe {

uuid random_uuid() {
  uuid x;
  // Up to 256 bytes come whole once the kernel's source is initialised, which getrandom waits for.
  auto got = ::getrandom(x.bytes.data(), x.bytes.size(), 0);
  TROUPE_ASSERT(got == static_cast<ssize_t>(x.bytes.size()));
  x.bytes[6] = static_cast<std::uint8_t>((x.bytes[6] & 0x0f) | 0x40);
  x.bytes[8] = static_cast<std::uint8_t>((x.bytes[8] & 0x3f) | 0x80);
  return x;
}

} // namespace troupe
