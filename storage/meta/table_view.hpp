#pragma once

#include "storage/meta/table_types.hpp"

#include <functional>
#include <map>

namespace troupe {

/// The rows of one table as an evaluation may see them: never blocks, says "unknown" instead
/// (hazards F37). The answers to several calls agree with each other until the owner of the view
/// changes something.
class table_view {
public:
  virtual ~table_view() = default;
  virtual row_lookup get(std::string_view key) const = 0;
  virtual range_lookup scan(const table_range& range) const = 0;
};

/// Changes on top of another view: what was evaluated but is not applied yet. Borrows `base`,
/// which must live longer. Not thread-safe.
class overlay_view final : public table_view {
public:
  explicit overlay_view(const table_view& base) : base_(base) {}

  row_lookup get(std::string_view key) const override;
  range_lookup scan(const table_range& range) const override;

  /// Puts a batch on top of everything so far.
  void add(const table_batch& batch);
  /// Forgets all changes: the view is the base again.
  void clear() { changes_.clear(); }
  bool empty() const { return changes_.empty(); }
  /// True if a change to this key lies here.
  bool changes(std::string_view key) const { return changes_.contains(key); }

private:
  const table_view& base_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
};

} // namespace troupe
