#include "cluster/gateway/file_calls.hpp"

#include <iterator>

namespace troupe {

std::size_t bytes_read::size() const {
  std::size_t sum = 0;
  for (const auto& part : parts)
    sum += part.size();
  return sum;
}

const char* name_of(const file_call& call) {
  static constexpr const char* names[] = {
    "lookup",     "resolve", "make",         "create",         "unlink",         "remove_directory",
    "rename",     "link",    "read_symlink", "read_directory", "get_attributes", "set_attributes",
    "get_layout", "space",   "open",         "read",           "write",          "flush",
    "fsync",      "release"};
  static_assert(std::size(names) == std::variant_size_v<file_call>);
  return names[call.index()];
}

} // namespace troupe
