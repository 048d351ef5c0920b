#include "storage/meta/in_flight_view.hpp"

#include "storage/base/assert.hpp"

namespace troupe {

void in_flight_view::add(std::uint64_t index, table_batch batch) {
  TROUPE_ASSERT(entries_.empty() || entries_.back().index < index);
  overlay_.add(batch);
  in_flight_rows_ += batch.size();
  entries_.push_back({index, std::move(batch)});
}

void in_flight_view::applied(std::uint64_t index) {
  for (; !entries_.empty() && entries_.front().index <= index; entries_.pop_front()) {
    auto rows = entries_.front().batch.size();
    in_flight_rows_ -= rows;
    applied_rows_ += rows;
  }
  // Rows that the base has too are harmless; they go when they are the greater part.
  if (applied_rows_ <= in_flight_rows_)
    return;
  overlay_.clear();
  applied_rows_ = 0;
  for (const auto& e : entries_)
    overlay_.add(e.batch);
}

void in_flight_view::clear() {
  overlay_.clear();
  entries_.clear();
  applied_rows_ = 0;
  in_flight_rows_ = 0;
}

} // namespace troupe
