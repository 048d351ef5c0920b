#include "cluster/partition/lease_table_state.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::uint64_t ns_per_ms = 1'000'000;

boot_time after(boot_time at, std::uint64_t ms) {
  return {at.ns + ms * ns_per_ms};
}

error unknown(client_ref client) {
  return {errc::unknown_client, "client " + std::to_string(client.id.value)};
}

} // namespace

void lease_table_state::begin(std::uint64_t term, boot_time elected,
                              const std::map<client_id, incarnation>& clients) {
  TROUPE_ASSERT(term > 0);
  TROUPE_ASSERT(term < (std::uint64_t{1} << 32));
  end();
  term_ = term;
  elected_ = elected;
  for (const auto& [id, life] : clients)
    clients_[id] = {life, elected, false, {}};
}

void lease_table_state::end() {
  given_ = 0;
  clients_.clear();
  leases_.clear();
  reserved_.clear();
}

boot_time lease_table_state::run_out(boot_time heard) const {
  return after(heard, options_.lease_ms + options_.slack_ms);
}

bool lease_table_state::is_live(const lease_record& lease, boot_time now) const {
  auto holder = clients_.find(lease.holder);
  return lease.committing > 0 || (holder != clients_.end() && now < run_out(holder->second.heard));
}

bool lease_table_state::reclaiming(boot_time now) const {
  return unknown_leases({}, now);
}

bool lease_table_state::unknown_leases(client_id self, boot_time now) const {
  if (now >= run_out(elected_) || options_.planted_no_grace)
    return false;
  return std::any_of(clients_.begin(), clients_.end(), [&](const auto& client) {
    return client.first != self && !client.second.reasserted;
  });
}

/// Leases of this term are known; older ones count until the client has named all that it has.
bool lease_table_state::may_reassert(const client_record& client, lease_id lease,
                                     boot_time now) const {
  return lease && term_of(lease) < term_ && !client.reasserted && now < run_out(elected_);
}

// -- clients --------------------------------------------------------------------------------------

void lease_table_state::registered(client_ref client, boot_time now) {
  auto known = clients_.find(client.id);
  if (known != clients_.end() && known->second.life == client.life)
    return;
  forgotten(client.id);
  clients_[client.id] = {client.life, now, true, {}}; // a new life holds nothing
}

void lease_table_state::forgotten(client_id client) {
  auto at = clients_.find(client);
  if (at == clients_.end())
    return;
  for (auto file : std::set<lin>{at->second.files}) {
    auto lease = leases_.find(file);
    lease->second.released = true;
    if (lease->second.committing == 0)
      leases_.erase(lease);
  }
  clients_.erase(at);
}

bool lease_table_state::is_registered(client_ref client) const {
  auto at = clients_.find(client.id);
  return at != clients_.end() && at->second.life == client.life;
}

std::vector<client_ref> lease_table_state::silent_since(boot_time before) const {
  std::vector<client_ref> out;
  for (const auto& [id, client] : clients_)
    if (client.heard < before)
      out.push_back({id, client.life});
  return out;
}

// -- leases ---------------------------------------------------------------------------------------

void lease_table_state::insert(lin file, lease_id id, client_id holder, boot_time now) {
  lease_record record;
  record.id = id;
  record.holder = holder;
  record.named = now;
  leases_.emplace(file, record);
  clients_.at(holder).files.insert(file);
}

/// Takes a lease away; who waited for it has the next word.
void lease_table_state::drop(std::map<lin, lease_record>::iterator at, boot_time now) {
  TROUPE_ASSERT(at->second.committing == 0);
  if (at->second.waiting)
    reserved_[at->first] = {at->second.waiting, after(now, options_.reserve_ms)};
  if (auto holder = clients_.find(at->second.holder); holder != clients_.end())
    holder->second.files.erase(at->first);
  leases_.erase(at);
}

void lease_table_state::drop_all(client_record& client, boot_time now) {
  for (auto file : std::set<lin>{client.files})
    if (auto at = leases_.find(file); at->second.committing == 0)
      drop(at, now);
}

error lease_table_state::recall(lin file, lease_record& lease, client_id waiting) const {
  lease.recalled = true;
  if (!lease.waiting)
    lease.waiting = waiting;
  return {errc::busy, "file " + to_string(file) + " is being written by client "
                        + std::to_string(lease.holder.value)};
}

expected<lease_id> lease_table_state::acquire(lin file, client_ref client, bool fresh,
                                              boot_time now) {
  if (!is_registered(client))
    return unknown(client);
  auto& self = clients_.at(client.id);
  if (auto at = leases_.find(file); at != leases_.end()) {
    auto& lease = at->second;
    bool own = lease.holder == client.id;
    if (own && is_live(lease, now) && !lease.released) {
      self.heard = now;
      lease.named = now;
      return lease.id;
    }
    if (lease.committing > 0 || (!own && is_live(lease, now)))
      return recall(file, lease, client.id);
    drop(at, now);
  } else if (!fresh && unknown_leases(client.id, now)) {
    return error{errc::busy, "file " + to_string(file)
                               + ": a new leader waits until clients have named their leases"};
  }
  if (auto kept = reserved_.find(file); kept != reserved_.end()) {
    if (now < kept->second.until && kept->second.client != client.id)
      return error{errc::busy, "file " + to_string(file) + " is kept for client "
                                 + std::to_string(kept->second.client.value)};
    reserved_.erase(kept);
  }
  if (leases_.size() >= options_.leases_max)
    return error{errc::busy, std::to_string(leases_.size()) + " leases in one partition"};
  self.heard = now;
  lease_id id{term_ << 32 | ++given_};
  insert(file, id, client.id, now);
  return id;
}

bool lease_table_state::holds(lin file, lease_id lease, client_ref client, boot_time now) const {
  auto at = leases_.find(file);
  return is_registered(client) && at != leases_.end() && at->second.id == lease
         && at->second.holder == client.id && !at->second.released && is_live(at->second, now);
}

bool lease_table_state::is_unnamed(lin file, lease_id lease, client_ref client,
                                   boot_time now) const {
  if (!is_registered(client) || !may_reassert(clients_.at(client.id), lease, now))
    return false;
  auto at = leases_.find(file);
  return at == leases_.end() || at->second.id < lease;
}

void lease_table_state::commit_started(lin file) {
  auto at = leases_.find(file);
  TROUPE_ASSERT(at != leases_.end());
  ++at->second.committing;
}

void lease_table_state::commit_finished(lin file, bool release, boot_time now) {
  auto at = leases_.find(file);
  TROUPE_ASSERT(at != leases_.end());
  TROUPE_ASSERT(at->second.committing > 0);
  at->second.released |= release;
  if (--at->second.committing == 0 && at->second.released)
    drop(at, now);
}

void lease_table_state::release(lin file, lease_id lease, client_ref client, boot_time now) {
  auto at = leases_.find(file);
  if (at == leases_.end() || at->second.id != lease || at->second.holder != client.id
      || !is_registered(client))
    return;
  at->second.released = true;
  if (at->second.committing == 0)
    drop(at, now);
}

expected<leases_renewed>
lease_table_state::renew(client_ref client, const std::vector<held_lease>& held, boot_time now) {
  if (!is_registered(client))
    return unknown(client);
  auto& self = clients_.at(client.id);
  if (now >= run_out(self.heard))
    drop_all(self, now); // lost, though nobody took them yet
  leases_renewed answer;
  for (const auto& x : held) {
    auto at = leases_.find(x.id);
    // Of two that name the same file, the younger grant is right: the older one ran out before it.
    if (at != leases_.end() && at->second.holder != client.id && at->second.committing == 0
        && at->second.id < x.lease && may_reassert(self, x.lease, now)) {
      drop(at, now);
      at = leases_.end();
    }
    if (at == leases_.end() && leases_.size() < options_.leases_max
        && may_reassert(self, x.lease, now)) {
      insert(x.id, x.lease, client.id, now);
      continue;
    }
    if (at == leases_.end() || at->second.id != x.lease || at->second.holder != client.id
        || at->second.released) {
      answer.lost.push_back(x.id);
      continue;
    }
    at->second.named = now;
    if (at->second.recalled)
      answer.recalled.push_back(x.id);
  }
  self.heard = now;
  self.reasserted = true;
  // A grant whose answer was lost is never named: it ends by itself.
  for (auto file : std::set<lin>{self.files}) {
    auto at = leases_.find(file);
    if (at->second.committing == 0 && now >= run_out(at->second.named))
      drop(at, now);
  }
  return answer;
}

expected<void> lease_table_state::may_read(lin file, client_id client, boot_time now) {
  if (auto at = leases_.find(file); at != leases_.end()) {
    if (at->second.holder != client && is_live(at->second, now))
      return recall(file, at->second, client);
  } else if (unknown_leases(client, now)) {
    return error{errc::busy, "file " + to_string(file)
                               + ": a new leader waits until clients have named their leases"};
  }
  if (auto kept = reserved_.find(file); kept != reserved_.end() && kept->second.client == client)
    reserved_.erase(kept);
  return {};
}

void lease_table_state::tick(boot_time now) {
  for (auto at = leases_.begin(); at != leases_.end();) {
    auto here = at++;
    if (!is_live(here->second, now))
      drop(here, now);
  }
  std::erase_if(reserved_, [&](const auto& x) { return now >= x.second.until; });
}

} // namespace troupe
