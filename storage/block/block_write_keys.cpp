#include "storage/block/block_write_keys.hpp"

namespace troupe {

void block_write_keys::remember_done(const write_key& key, const run_ref& run) {
  remember(key, {run, true});
}

void block_write_keys::remember_unsure(const write_key& key, const run_ref& run) {
  remember(key, {run, false});
}

void block_write_keys::remember(const write_key& key, const finished_write& write) {
  if (auto it = done_.find(key); it != done_.end())
    forget_run(it->second.run.born);
  done_.emplace(key, write);
  done_by_birth_.emplace(write.run.born, key);
  while (done_.size() > done_max_)
    forget_run(done_by_birth_.begin()->first);
}

void block_write_keys::forget_run(birth born) {
  auto it = done_by_birth_.find(born);
  if (it == done_by_birth_.end())
    return;
  done_.erase(it->second);
  done_by_birth_.erase(it);
}

std::optional<run_ref> block_write_keys::find_done(const write_key& key) const {
  auto it = done_.find(key);
  return it == done_.end() || !it->second.sure ? std::nullopt : std::optional{it->second.run};
}

std::optional<run_ref> block_write_keys::find_run(const write_key& key) const {
  auto it = done_.find(key);
  return it == done_.end() ? std::nullopt : std::optional{it->second.run};
}

void block_write_keys::remember_abandoned(const write_key& key, std::uint64_t lsn) {
  auto [it, fresh] = abandoned_.try_emplace(key, lsn);
  if (!fresh) {
    if (lsn <= it->second)
      return;
    abandoned_by_lsn_.erase({it->second, key});
    it->second = lsn;
  }
  abandoned_by_lsn_.insert({lsn, key});
  while (abandoned_.size() > abandoned_max_) {
    // Those without a record (LSN 0) sort first but are the newest: the oldest logged one goes.
    auto oldest = abandoned_by_lsn_.lower_bound({1, write_key{}});
    drop_abandoned(oldest == abandoned_by_lsn_.end() ? abandoned_by_lsn_.begin()->second
                                                     : write_key{oldest->second});
  }
}

void block_write_keys::drop_abandoned(const write_key& key) {
  auto it = abandoned_.find(key);
  abandoned_by_lsn_.erase({it->second, it->first});
  abandoned_.erase(it);
}

std::vector<write_key> block_write_keys::abandoned_before(std::uint64_t lsn) const {
  std::vector<write_key> out;
  for (auto it = abandoned_by_lsn_.lower_bound({1, write_key{}});
       it != abandoned_by_lsn_.end() && it->first < lsn; ++it)
    out.push_back(it->second);
  return out;
}

std::uint64_t block_write_keys::oldest_lsn() const {
  auto it = abandoned_by_lsn_.lower_bound({1, write_key{}});
  return it == abandoned_by_lsn_.end() ? UINT64_MAX : it->first;
}

void block_write_keys::forget(client_id client, incarnation last) {
  write_key first{client, incarnation{0}, write_id{0}};
  auto gone = [&](const write_key& key) {
    return key.client == client && key.client_incarnation <= last;
  };
  for (auto it = done_.lower_bound(first); it != done_.end() && gone(it->first);) {
    done_by_birth_.erase(it->second.run.born);
    it = done_.erase(it);
  }
  for (auto it = abandoned_.lower_bound(first); it != abandoned_.end() && gone(it->first);) {
    abandoned_by_lsn_.erase({it->second, it->first});
    it = abandoned_.erase(it);
  }
}

} // namespace troupe
