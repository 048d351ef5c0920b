#pragma once

#include "storage/base/env.hpp"

namespace troupe {

/// An errno as an error: `verb` and `path` become the context ("write /d/blocks: No space left on
/// device"), with the error id that tells a person what to do where one fits. `number` is positive;
/// for io_uring, the negated result.
error posix_error(int number, const char* verb, const std::string& path);

/// Real files. New files are private to the user (mode 0600, directories 0700). Stateless: any
/// number of them may exist; thread-safe.
class posix_env final : public env {
public:
  expected<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  expected<void> make_directory(const std::string& path) override;
  expected<void> remove_directory(const std::string& path) override;
  expected<std::vector<std::string>> list(const std::string& path) override;
  expected<bool> exists(const std::string& path) override;
  expected<void> remove_file(const std::string& path) override;
  expected<void> rename(const std::string& from, const std::string& to) override;
  expected<void> sync_directory(const std::string& path) override;
  expected<std::uint64_t> free_bytes(const std::string& path) override;
  expected<std::unique_ptr<file>> lock(const std::string& path) override;
};

} // namespace troupe
