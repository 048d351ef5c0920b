#pragma once

#include "messages/metadata.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace troupe {

using stripe_ptr = std::shared_ptr<const stripe_info>;

/// A part of a file that lies in one stripe, or a hole.
struct file_segment {
  std::uint64_t file_offset = 0;
  std::uint64_t bytes = 0;
  stripe_ptr stripe; ///< nullptr: zeros.
  std::uint64_t stripe_offset = 0;
};

/// What is known of where the committed bytes of one file lie, all of one change count. Whoever
/// uses it must know that the change count is still the file's. Pure; not thread-safe.
class layout_cache {
public:
  explicit layout_cache(std::uint32_t extents_max) : extents_max_(extents_max) {}

  void clear();
  /// Takes an answer to a question about [offset, offset + bytes). One of a higher change count
  /// replaces everything, one of a lower is late and passed over.
  void insert(std::uint64_t offset, std::uint64_t bytes, layout_is answer);
  bool covers(std::uint64_t offset, std::uint64_t bytes) const;
  /// The end of what is known from `offset` on without a gap; `offset` itself if nothing is.
  std::uint64_t covered_until(std::uint64_t offset) const;
  /// The segments of a covered range, without a gap.
  std::vector<file_segment> segments(std::uint64_t offset, std::uint64_t bytes) const;

  /// Nothing until the first answer, and after `clear`.
  const std::optional<inode_attributes>& attributes() const { return attributes_; }
  /// The content of a file that lies in its metadata; zeros follow up to the size.
  const std::optional<byte_vector>& inline_data() const { return inline_data_; }

private:
  struct known_extent {
    std::uint64_t bytes = 0;
    stripe_ptr stripe;
    std::uint64_t stripe_offset = 0;
  };
  void add_covered(std::uint64_t from, std::uint64_t to);

  std::uint32_t extents_max_;
  std::optional<inode_attributes> attributes_;
  std::optional<byte_vector> inline_data_;
  std::map<std::uint64_t, known_extent> extents_;
  std::map<std::uint64_t, std::uint64_t> covered_; ///< [from, to), disjoint, not touching.
};

} // namespace troupe
