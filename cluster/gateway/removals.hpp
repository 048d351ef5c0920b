#pragma once

#include "cluster/gateway/procedure.hpp"
#include "messages/ids.hpp"

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
///   and then looks whether the file is still there.
///
/// A removal that did not ask what its name leads to may remove any file of its partition. Pure.
class removals {
public:
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
  /// True while a removal that leaves the inode to the last close is not answered.
  bool keeps(lin file) const;
  /// One of them was answered.
  wait_list changed;

private:
  struct removal {
    group_id group;
    std::optional<lin> file;
    bool kept = false;
  };
  std::uint64_t count_ = 0;
  std::map<std::uint64_t, removal> under_way_;
};

} // namespace troupe
