#pragma once

#include "storage/base/wire.hpp"
#include "storage/meta/cleaner.hpp"
#include "storage/meta/evaluate.hpp"
#include "storage/meta/map_view.hpp"
#include "storage/meta/meta_check.hpp"

#include <catch2/catch.hpp>

#include <set>

namespace troupe::test {

/// Says "unknown" to everything until it was loaded, one need at a time: an evaluation over it
/// meets every place where rows may be missing.
class forgetful_view final : public table_view {
public:
  explicit forgetful_view(const table_view& base) : base_(base) {}
  row_lookup get(std::string_view key) const override {
    if (!keys_.contains(key))
      return {row_state::unknown, {}};
    return base_.get(key);
  }
  range_lookup scan(const table_range& range) const override {
    for (const auto& known : ranges_)
      if (known == range)
        return base_.scan(range);
    return {range, {}, false};
  }
  /// Loads the first of the needs only.
  void load_one(const row_needs& needs) {
    REQUIRE_FALSE(needs.empty());
    if (!needs.keys.empty())
      keys_.insert(needs.keys.front());
    else
      ranges_.push_back(needs.ranges.front());
  }

private:
  const table_view& base_;
  std::set<std::string, std::less<>> keys_;
  std::vector<table_range> ranges_;
};

/// The bytes of an outcome, to compare two.
inline byte_vector outcome_bytes(const std::variant<meta_result, error>& outcome) {
  meta_response response;
  response.outcome = outcome;
  return wire_encode(response).body;
}

/// One partition with one client, that applies what is evaluated. Evaluations are made twice, over
/// the rows and over a view that first knows none of them, and must come out the same.
class meta_harness {
public:
  meta_harness() {
    rows.apply(root_directory_rows(0, 0, 0755, wall_time{1}));
    context.client = client_id{7};
    context.client_incarnation = incarnation{1};
    context.now = wall_time{1000};
    context.drives = &drives;
    context.lease_valid = true;
    call(op_register_client{});
  }

  /// `decide(view)` gives an evaluation_result.
  template <class Decide>
  evaluation both_ways(Decide decide) {
    evaluation_result known = decide(rows);
    REQUIRE(std::holds_alternative<evaluation>(known));
    if (++evaluation_count % forgetful_every != 0)
      return std::move(std::get<evaluation>(known));
    forgetful_view forgetful{rows};
    while (true) {
      evaluation_result again = decide(forgetful);
      if (const auto* needs = std::get_if<row_needs>(&again)) {
        forgetful.load_one(*needs);
        continue;
      }
      const auto& late = std::get<evaluation>(again);
      auto& at_once = std::get<evaluation>(known);
      REQUIRE(late.batch == at_once.batch);
      REQUIRE(late.recorded == at_once.recorded);
      REQUIRE(outcome_bytes(late.outcome) == outcome_bytes(at_once.outcome));
      return std::move(at_once);
    }
  }

  /// Evaluates the client's next operation and applies it.
  std::variant<meta_result, error> call(const meta_operation& op) {
    bool read_only = is_read_only(op) || std::holds_alternative<op_register_client>(op);
    auto& sequence = sequences[slot_of(op)];
    context.sequence = read_only ? 0 : ++sequence;
    context.low_water = read_only ? 0 : sequence - 1;
    if (!is_read_only(op))
      context.now.ns += 10;
    auto out = both_ways([&](const table_view& view) { return evaluate(op, context, view); });
    rows.apply(out.batch);
    last_batch = out.batch;
    last_recorded = out.recorded;
    return out.outcome;
  }
  /// The result of an operation that must work.
  template <class Result>
  Result must(const meta_operation& op) {
    auto outcome = call(op);
    if (auto* e = std::get_if<error>(&outcome)) {
      INFO(name_of(op) << ": " << describe(*e));
      REQUIRE(e == nullptr);
    }
    return std::get<Result>(std::get<meta_result>(std::move(outcome)));
  }
  /// The refusal of an operation that must not work; errc::none if it did.
  errc refused(const meta_operation& op) {
    auto outcome = call(op);
    auto* e = std::get_if<error>(&outcome);
    return e ? e->code : errc::none;
  }

  /// One step of the cleaner for every file that has work, until there is none.
  /// @returns the number of entries that it took.
  int clean_all() {
    for (int entries = 0;; ++entries) {
      auto item = first_clean_item();
      if (!item)
        return entries;
      clean(*item);
    }
  }
  std::optional<clean_item> first_clean_item() {
    std::string from;
    forgetful_view forgetful{rows};
    do {
      auto found = list_clean_work(context, forgetful, from, 2);
      if (const auto* needs = std::get_if<row_needs>(&found)) {
        forgetful.load_one(*needs);
        continue;
      }
      auto& page = std::get<expected<clean_page>>(found);
      REQUIRE(page);
      if (!page->items.empty())
        return page->items.front();
      from = page->next;
      if (from.empty())
        return {};
    } while (true);
  }
  void clean(const clean_item& item) {
    auto out = both_ways([&](const table_view& view) { return clean_step(item, context, view); });
    REQUIRE(std::holds_alternative<meta_result>(out.outcome));
    REQUIRE_FALSE(out.batch.empty());
    rows.apply(out.batch);
  }
  /// Every drive takes what is pending for it and says so.
  void drain_frees() {
    for (const auto& [drive, fact] : drives) {
      auto found = list_frees(rows, drive, 1000);
      auto& frees = std::get<expected<std::vector<pending_free>>>(found);
      REQUIRE(frees);
      std::vector<std::string> keys;
      for (const auto& free : *frees)
        keys.push_back(free.key);
      if (!keys.empty())
        rows.apply(
          both_ways([&](const table_view& view) { return frees_done(keys, context, view); }).batch);
    }
  }
  /// Every finding of a check of the whole partition, one per line; "" if all is well.
  std::string findings() const {
    std::string out;
    for (const auto& f : check_partition(rows, nullptr).findings)
      out += std::string{to_string(f.kind)} + " " + f.object + " " + f.detail + "\n";
    return out;
  }

  lin create(lin directory, const std::string& name, file_kind kind = file_kind::regular) {
    op_create op{directory, name, {kind, 0644, 10, 20, 0, ""}, false};
    if (kind == file_kind::symlink)
      op.inode.symlink_target = "target of " + name;
    return must<entry_found>(op).child;
  }
  lin mkdir(lin directory, const std::string& name) {
    return create(directory, name, file_kind::directory);
  }
  inode_attributes stat(lin id) { return must<attributes_are>(op_get_attributes{id}).attributes; }
  lin lookup(lin directory, const std::string& name) {
    return must<entry_found>(op_lookup{directory, name}).child;
  }

  map_view rows;
  evaluation_context context;
  std::map<drive_uuid, drive_fact> drives;
  std::map<slot_id, std::uint64_t> sequences;
  table_batch last_batch;
  bool last_recorded = false;
  std::uint64_t forgetful_every = 1; ///< One of so many evaluations is made twice; it costs most.
  std::uint64_t evaluation_count = 0;
};

} // namespace troupe::test
