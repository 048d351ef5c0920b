#pragma once

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
/// once, and a small table of leases that a change of leader empties, as a real one does.
class fake_partition {
public:
  group_id id;
  std::vector<replica_id> replicas;
  std::size_t leader = 0;
  std::set<std::uint16_t> slots;
  std::map<drive_uuid, drive_fact> drives;
  config_version config{1};
  std::uint32_t lease_ms = 4000;
  meta_limits limits;
  std::uint64_t commits = 0;
  bool down = false; ///< No majority.

  map_view rows;

  void make_root(wall_time now) { rows.apply(root_directory_rows(0, 0, 0777, now)); }

  /// Another replica leads: it knows no lease, and grants none before `lease_ms` are over.
  void change_leader(boot_time now) {
    leader = (leader + 1) % replicas.size();
    ++term_;
    for (auto& [file, lease] : std::exchange(leases_, {}))
      old_leases_[file] = lease; // and those that the leader before had not heard of yet
    elected_ = now;
  }
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
    for (auto* table : {&leases_, &old_leases_})
      std::erase_if(*table, [&](const auto& x) { return x.second.holder == client; });
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
  struct lease_record {
    lease_id lease;
    client_id holder;
    boot_time until;
    bool recalled = false;
  };

  slot_set slot_bits() const {
    slot_set out;
    for (auto s : slots)
      out.set(s);
    return out;
  }
  boot_time after(boot_time now, std::uint64_t ms) const { return {now.ns + ms * 1'000'000}; }
  bool reclaiming(boot_time now) const {
    return term_ > 1 && now < after(elected_, lease_ms + 500);
  }
  lease_record* live(lin file, boot_time now) {
    auto it = leases_.find(file);
    if (it == leases_.end())
      return nullptr;
    if (now < after(it->second.until, 500))
      return &it->second;
    leases_.erase(it);
    return nullptr;
  }
  /// A lease of an earlier leader that its holder names again in time.
  bool reassert(lin file, lease_id lease, client_id client, boot_time now) {
    auto old = old_leases_.find(file);
    if (leases_.contains(file) || old == old_leases_.end() || !reclaiming(now)
        || old->second.lease != lease || old->second.holder != client)
      return false;
    leases_[file] = {lease, client, after(now, lease_ms), false};
    return true;
  }
  bool holds(lin file, lease_id lease, client_id client, boot_time now) {
    auto* known = live(file, now);
    if (known)
      return known->lease == lease && known->holder == client;
    return reassert(file, lease, client, now);
  }
  expected<lease_id> grant(lin file, client_id client, bool fresh, boot_time now) {
    if (auto* known = live(file, now)) {
      if (known->holder != client) {
        known->recalled = true;
        return error{errc::busy, "leased"};
      }
      known->until = after(now, lease_ms);
      return known->lease;
    }
    if (!fresh && reclaiming(now) && old_leases_.contains(file)
        && old_leases_[file].holder != client)
      return error{errc::busy, "reclaiming"};
    old_leases_.erase(file);
    lease_id lease{term_ << 32 | ++leases_given_};
    leases_[file] = {lease, client, after(now, lease_ms), false};
    return lease;
  }

  expected<meta_result> execute(const meta_request& request, boot_time now, wall_time wall,
                                bool& definite) {
    const auto& op = request.operation;
    bool mine = slots.contains(slot_of(op).value);
    if (!mine)
      return error{errc::stale, "slot is elsewhere"};
    auto known = registered_.find(request.client);
    bool is_known = known != registered_.end() && known->second == request.client_incarnation;
    if (auto* renew = std::get_if<op_renew_leases>(&op)) {
      if (!is_known)
        return error{errc::unknown_client, "renew"};
      leases_renewed out;
      for (const auto& x : renew->held) {
        if (!holds(x.id, x.lease, request.client, now)) {
          out.lost.push_back(x.id);
          continue;
        }
        auto& record = leases_.at(x.id);
        record.until = after(now, lease_ms);
        if (record.recalled)
          out.recalled.push_back(x.id);
      }
      return meta_result{std::move(out)};
    }
    if (auto* acquire = std::get_if<op_acquire_write_lease>(&op)) {
      if (!is_known)
        return error{errc::unknown_client, "acquire"};
      auto attributes = evaluated(op_get_attributes{acquire->id}, request, wall, false, definite);
      if (!attributes)
        return attributes.error();
      auto lease = grant(acquire->id, request.client, false, now);
      if (!lease)
        return lease.error();
      return meta_result{
        lease_granted{*lease, lease_ms, std::get<attributes_are>(*attributes).attributes}};
    }
    if (auto* release = std::get_if<op_release_lease>(&op)) {
      auto* record = live(release->id, now);
      if (record && record->lease == release->lease && record->holder == request.client)
        leases_.erase(release->id);
      auto old = old_leases_.find(release->id);
      if (old != old_leases_.end() && old->second.lease == release->lease)
        old_leases_.erase(old);
      return meta_result{done{}};
    }
    auto file = file_read(op);
    if (file) {
      auto* record = live(*file, now);
      if (record && record->holder != request.client) {
        record->recalled = true;
        return error{errc::busy, "is being written"};
      }
      if (!record && reclaiming(now) && old_leases_.contains(*file)
          && old_leases_[*file].holder != request.client)
        return error{errc::busy, "reclaiming"};
    }
    auto* commit = std::get_if<op_commit_write>(&op);
    bool lease_valid = commit && holds(commit->id, commit->lease, request.client, now);
    auto outcome = evaluated(op, request, wall, lease_valid, definite);
    if (!outcome)
      return outcome;
    auto* committing = commit ? live(commit->id, now) : nullptr;
    if (committing && commit->release_lease && committing->lease == commit->lease)
      leases_.erase(commit->id); // not that of somebody who came before the repeated request
    if (std::holds_alternative<op_register_client>(op)) {
      registered_[request.client] = request.client_incarnation;
      std::get<client_registered>(*outcome).lease_ms = lease_ms;
    }
    auto* create = std::get_if<op_create>(&op);
    if (create && create->want_lease) {
      auto& entry = std::get<entry_found>(*outcome);
      auto lease = grant(entry.child, request.client, true, now);
      if (lease)
        entry.lease = granted_lease{*lease, lease_ms};
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
  std::uint64_t leases_given_ = 0;
  boot_time elected_;
  std::map<lin, lease_record> leases_;
  std::map<lin, lease_record> old_leases_;
  std::map<client_id, incarnation> registered_;
};

} // namespace troupe::test
