#pragma once

#include "messages/error.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp> // the macro below needs the complete caf::message
#include <caf/result.hpp>

#include <string>

CAF_ERROR_CODE_ENUM(troupe::errc, "troupe")

namespace troupe {

/// Our error as CAF carries it: the only place where the two meet.
caf::error to_caf(const error& err);
/// And back. CAF's own: a timeout is errc::timeout, a receiver that ended or threw is
/// errc::may_have_happened, everything else errc::unavailable.
error from_caf(const caf::error& err);

template <class T>
caf::result<T> to_caf(expected<T> x) {
  if (x)
    return std::move(*x);
  return to_caf(x.error());
}

/// For `actor_system_config::add_error_category(caf::atom("troupe"), render_error)`.
std::string render_error(std::uint8_t code, caf::atom_value category, const caf::message& context);

} // namespace troupe
