#pragma once

#include "storage/meta/table_view.hpp"

namespace troupe {

/// All rows of a partition in an ordered map: for tests, the simulator and `fsck`, which has read
/// them all. Knows everything. Not thread-safe.
class map_view final : public table_view {
public:
  row_lookup get(std::string_view key) const override;
  range_lookup scan(const table_range& range) const override;

  void apply(const table_batch& batch);
  void put(std::string key, std::string value) { rows_[std::move(key)] = std::move(value); }
  void erase(const std::string& key) { rows_.erase(key); }
  const std::map<std::string, std::string, std::less<>>& rows() const { return rows_; }

private:
  std::map<std::string, std::string, std::less<>> rows_;
};

} // namespace troupe
