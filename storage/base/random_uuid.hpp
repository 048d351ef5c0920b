#pragma once

#include "messages/ids.hpp"

namespace troupe {

/// A new version-4 uuid from the kernel's random source. For identities that are given once (a
/// cluster, a drive); decisions take their randomness from a seed instead.
uuid random_uuid();

} // namespace troupe
