#pragma once

#include "cluster/gateway/gateway_context.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <utility>

namespace troupe {

/// The removals of names that this client has under way, so that opening and closing the same file
/// meanwhile takes its place before or after them, never between:
///
/// - A removal decides when it is sent whether the file is open here. If it is, the inode outlives
///   its name (`kept`), and the last close waits for the answer before it lets the inode go.
/// - If it is not, the inode may go with the name: an open that comes later waits for the answer
///   and then looks whether the file is still there. So does one that comes a moment after the
///   answer: whoever asks for it may have found the name before.
///
/// A removal that did not ask what its name leads to may remove any file of its partition. Pure.
class removals {
public:
  explicit removals(gateway_context& context) : ctx_(context) {}

  /// From when it is sent until it is answered.
  class [[nodiscard]] under_way {
  public:
    under_way(removals* list, std::uint64_t number) : list_(list), number_(number) {}
    under_way(under_way&& other) noexcept
      : list_(std::exchange(other.list_, nullptr)), number_(other.number_) {}
    under_way& operator=(under_way&&) = delete;
    ~under_way() { end(); }
    void end();

  private:
    removals* list_;
    std::uint64_t number_;
  };

  /// @param file  what the name leads to; nothing if that was not asked.
  under_way begin(group_id group, std::optional<lin> file, bool kept);

  /// A point in time: removals that begin later know of what is open now.
  std::uint64_t mark() const { return count_; }
  /// True while a removal that began before `mark` may take the inode of this file away.
  bool may_take(lin file, group_id group, std::uint64_t mark) const;
  /// True if a removal that may have taken it was answered a moment ago.
  bool may_have_taken(lin file, group_id group) const;
  /// True while a removal that leaves the inode to the last close is not answered.
  bool keeps(lin file) const;
  /// One of them was answered.
  wait_list changed;

private:
  struct removal {
    group_id group;
    std::optional<lin> file;
    bool kept = false;
    bool concerns(lin x, group_id g) const { return !kept && (file ? *file == x : group == g); }
  };
  void end(std::uint64_t number);

  gateway_context& ctx_;
  std::uint64_t count_ = 0;
  std::map<std::uint64_t, removal> under_way_;
  std::multimap<boot_time, removal> answered_; ///< By when it may be forgotten.
};

} // namespace troupe
