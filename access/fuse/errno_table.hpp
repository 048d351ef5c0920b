#pragma once

#include "messages/error.hpp"

namespace troupe {

/// The errno that a program sees for one of our errors; never 0 for an error. Positive.
int errno_of(const error& why);

} // namespace troupe
