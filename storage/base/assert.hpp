#pragma once

/// Stays on in every build. For bugs only: never for input, the network or a disk.
#define TROUPE_ASSERT(condition)                                                                   \
  (static_cast<bool>(condition) ? static_cast<void>(0)                                             \
                                : ::troupe::assertion_failed(#condition, __FILE__, __LINE__))

namespace troupe {

/// Prints the condition and its place to stderr and aborts the process.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

} // namespace troupe
