#pragma once

#include "actors/transport/transport_options.hpp"

#include <cstdint>

namespace troupe {

/// Makes the listeners' rooms small enough for the descriptors that the process may have: a
/// connection takes up to two, and those who came first would otherwise leave none for files and
/// for links to other nodes.
/// @returns true if they had to shrink.
bool fit_descriptors(transport_options& options, std::uint64_t descriptors_max);

} // namespace troupe
