#pragma once

#include <string_view>

namespace troupe {

/// `*` matches any text, slashes included, `?` any one character.
bool matches(std::string_view glob, std::string_view text);

} // namespace troupe
