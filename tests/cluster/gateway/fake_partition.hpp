#pragma once

#include "cluster/partition/lease_table_state.hpp"
#include "storage/base/assert.hpp"
#include "storage/base/clock.hpp"
#include "storage/meta/cleaner.hpp"
#include "storage/meta/evaluate.hpp"
#include "storage/meta/map_view.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace troupe::test {

/// One metadata partition without consensus: the real evaluation over rows in memory, committed at
/// once, and the real table of leases, which a change of leader empties.
class fake_partition {
public:
  group_id id;
  std::vector<replica_id> replicas;
  std::size_t leader = 0;
  std::set<std::uint16_t> slots;
  std::map<drive_uuid, drive_fact> drives;
  config_version config{1};
  config_version floor; ///< Commits that name an older configuration are refused.
  meta_limits limits;
  std::uint64_t commits = 0;
  bool down = false; ///< No majority.

  map_view rows;

  fake_partition() { leases_.begin(term_, boot_time{}, {}); }
  void make_root(wall_time now) { rows.apply(root_directory_rows(0, 0, 0777, now)); }

  /// Another replica leads: it knows no lease until clients name theirs.
  void change_leader(boot_time now) {
    leader = (leader + 1) % replicas.size();
    leases_.begin(++term_, now, registered_);
  }
  /// Clients may hold leases that this leader does not know.
  bool reclaiming(boot_time now) const { return leases_.reclaiming(now); }
  std::size_t lease_count() const { return leases_.lease_count(); }
  /// The client is forgotten, as after a long silence.
  void forget(client_id client) {
    auto known = registered_.find(client);
    if (known == registered_.end())
      return;
    evaluation_context context;
    context.client = client;
    context.client_incarnation = known->second;
    slot_set mine = slot_bits();
    context.slots = &mine;
    auto result = expire_client(client, known->second, context, rows);
    rows.apply(std::get<evaluation>(result).batch);
    registered_.erase(known);
    leases_.forgotten(client);
  }

  /// Frees what no name and no client holds, as a leader does in the background.
  void clean() {
    evaluation_context context;
    slot_set mine = slot_bits();
    context.slots = &mine;
    auto found = list_clean_work(context, rows, {}, 1000);
    for (const auto& item : std::get<expected<clean_page>>(found)->items)
      rows.apply(std::get<evaluation>(clean_step(item, context, rows)).batch);
  }

  /// Where a file lies, without asking as a client does.
  layout_is layout(lin file) {
    evaluation_context context;
    slot_set mine = slot_bits();
    context.slots = &mine;
    auto result = evaluate(op_get_layout{file, 0, 1ull << 40, 1000}, context, rows);
    auto outcome = std::get<evaluation>(std::move(result)).outcome;
    return std::get<layout_is>(std::get<meta_result>(std::move(outcome)));
  }

  meta_response handle(const meta_request& request, replica_id to, boot_time boot, wall_time wall) {
    meta_response response;
    response.config = config;
    response.epoch = snapshot_epoch{1};
    if (down) {
      response.outcome = error{errc::unavailable, "no majority"};
      return response;
    }
    if (to != replicas[leader]) {
      response.outcome = error{errc::not_leader, "follower"};
      response.leader = replicas[leader];
      return response;
    }
    auto outcome = execute(request, boot, wall, response.definite);
    if (outcome)
      response.outcome = std::move(*outcome);
    else
      response.outcome = outcome.error();
    return response;
  }

private:
  slot_set slot_bits() const {
    slot_set out;
    for (auto s : slots)
      out.set(s);
    return out;
  }
  expected<meta_result> execute(const meta_request& request, boot_time now, wall_time wall,
                                bool& definite) {
    const auto& op = request.operation;
    bool mine = slots.contains(slot_of(op).value);
    if (!mine)
      return error{errc::stale, "slot is elsewhere"};
    leases_.tick(now);
    client_ref client{request.client, request.client_incarnation};
    if (auto* renewal = std::get_if<op_renew_leases>(&op)) {
      auto renewed = leases_.renew(client, renewal->held, now);
      if (!renewed)
        return renewed.error();
      return meta_result{std::move(*renewed)};
    }
    if (auto* acquire = std::get_if<op_acquire_write_lease>(&op)) {
      auto attributes = evaluated(op_get_attributes{acquire->id}, request, wall, false, definite);
      if (!attributes)
        return attributes.error();
      auto lease = leases_.acquire(acquire->id, client, false, now);
      if (!lease)
        return lease.error();
      return meta_result{lease_granted{*lease, lease_options{}.lease_ms,
                                       std::get<attributes_are>(*attributes).attributes}};
    }
    if (auto* release = std::get_if<op_release_lease>(&op)) {
      leases_.release(release->id, release->lease, client, now);
      return meta_result{done{}};
    }
    if (auto file = file_read(op)) {
      auto allowed = leases_.may_read(*file, request.client, now);
      if (!allowed)
        return allowed.error();
    }
    auto* commit = std::get_if<op_commit_write>(&op);
    if (commit && leases_.is_unnamed(commit->id, commit->lease, client, now))
      return error{errc::busy, "leases are to be named first"};
    bool lease_valid = commit && leases_.holds(commit->id, commit->lease, client, now);
    auto commits_before = commits;
    auto outcome = evaluated(op, request, wall, lease_valid, definite);
    bool changed = commits > commits_before;
    if (!outcome)
      return outcome;
    if (commit && commit->release_lease)
      leases_.release(commit->id, commit->lease, client, now);
    if (std::holds_alternative<op_register_client>(op)) {
      registered_[request.client] = request.client_incarnation;
      leases_.registered(client, now);
      std::get<client_registered>(*outcome).lease_ms = lease_options{}.lease_ms;
    }
    auto* create = std::get_if<op_create>(&op);
    if (create && create->want_lease) {
      auto& entry = std::get<entry_found>(*outcome);
      auto lease = leases_.acquire(entry.child, client, changed, now);
      if (lease)
        entry.lease = granted_lease{*lease, lease_options{}.lease_ms};
    }
    return outcome;
  }

  static std::optional<lin> file_read(const meta_operation& op) {
    if (auto* x = std::get_if<op_get_attributes>(&op))
      return x->id;
    if (auto* x = std::get_if<op_get_layout>(&op))
      return x->id;
    return std::nullopt;
  }

  expected<meta_result> evaluated(const meta_operation& op, const meta_request& request,
                                  wall_time wall, bool lease_valid, bool& definite) {
    evaluation_context context;
    context.now = wall;
    context.client = request.client;
    context.client_incarnation = request.client_incarnation;
    context.sequence = request.sequence;
    context.low_water = request.low_water;
    context.drives = &drives;
    context.limits = limits;
    slot_set mine = slot_bits();
    context.slots = &mine;
    context.lease_valid = lease_valid;
    context.below_floor = request.config < floor;
    auto result = evaluate(op, context, rows);
    auto& done = std::get<evaluation>(result);
    rows.apply(done.batch);
    commits += done.batch.empty() ? 0 : 1;
    definite = done.recorded;
    if (auto* why = std::get_if<error>(&done.outcome))
      return *why;
    if (auto* commit = std::get_if<op_commit_write>(&op))
      check_content(commit->id);
    return std::get<meta_result>(std::move(done.outcome));
  }
  /// A file lies in the metadata or in stripes, never in both, after every single commit.
  void check_content(lin file) {
    auto now_is = layout(file);
    bool is_inline = now_is.inline_data.has_value();
    TROUPE_ASSERT(!is_inline || now_is.attributes.size <= inline_bytes_max);
    TROUPE_ASSERT(!is_inline || now_is.extents.empty());
  }

  std::uint64_t term_ = 1;
  lease_table_state leases_;
  std::map<client_id, incarnation> registered_;
};

} // namespace troupe::test
