#include "storage/base/env.hpp"

#include <algorithm>

namespace troupe {

expected<void> file::write_zeros(std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint64_t piece_bytes = 256 * 1024;
  byte_vector zeros(std::min(piece_bytes, end > begin ? end - begin : 0));
  while (begin < end) {
    auto count = std::min<std::uint64_t>(zeros.size(), end - begin);
    if (auto written = write_at(begin, byte_view{zeros}.first(count)); !written)
      return written;
    begin += count;
  }
  return {};
}

expected<byte_vector> env::read_file(const std::string& path, std::uint64_t bytes_max) {
  auto f = open(path, open_mode::read_only);
  if (!f)
    return f.error();
  auto size = (*f)->size();
  if (!size)
    return size.error();
  if (*size > bytes_max)
    return error{errc::too_large, path + " has " + std::to_string(*size) + " bytes, at most "
                                    + std::to_string(bytes_max) + " expected"};
  byte_vector out(*size);
  auto got = (*f)->read_at(0, out);
  if (!got)
    return got.error();
  out.resize(*got);
  return out;
}

expected<void> env::replace_file(const std::string& path, byte_view contents) {
  auto temporary = path + ".new";
  auto slash = path.rfind('/');
  auto directory = slash == std::string::npos ? std::string{"."} : path.substr(0, slash);
  if (auto there = exists(temporary); !there)
    return there.error();
  else if (*there) {
    if (auto removed = remove_file(temporary); !removed)
      return removed;
  }
  {
    auto f = open(temporary, open_mode::create_new);
    if (!f)
      return f.error();
    if (auto written = (*f)->write_at(0, contents); !written)
      return written;
    if (auto synced = (*f)->sync(); !synced)
      return synced;
  }
  if (auto renamed = rename(temporary, path); !renamed)
    return renamed;
  return sync_directory(directory);
}

} // namespace troupe
