#include "storage/consensus/durable_state.hpp"

#include <algorithm>
#include <utility>

namespace troupe {

durable_state bootstrap_state(group_configuration voters, std::uint64_t state_id) {
  durable_state state;
  state.term = 1;
  state.checkpoint = {1, 1, std::move(voters), 1, state_id};
  return state;
}

namespace {

bool fold_record(durable_state& state, const term_vote_record& x) {
  if (x.term < state.term)
    return false;
  state.term = x.term;
  state.vote = x.vote;
  return true;
}

bool fold_record(durable_state& state, const append_record& x) {
  if (x.first_index != state.last_index() + 1)
    return false;
  state.entries.insert(state.entries.end(), x.entries.begin(), x.entries.end());
  return true;
}

bool fold_record(durable_state& state, const truncate_record& x) {
  if (x.from <= state.checkpoint.index || x.from > state.last_index() + 1)
    return false;
  state.entries.resize(x.from - state.checkpoint.index - 1);
  return true;
}

bool fold_record(durable_state& state, const checkpoint_record& x) {
  if (x.checkpoint.index < state.checkpoint.index || x.checkpoint.index > state.last_index())
    return false;
  auto dropped = static_cast<std::ptrdiff_t>(x.checkpoint.index - state.checkpoint.index);
  state.entries.erase(state.entries.begin(), state.entries.begin() + dropped);
  state.checkpoint = x.checkpoint;
  return true;
}

bool fold_record(durable_state& state, const install_record& x) {
  state.entries.clear();
  state.checkpoint = x.checkpoint;
  return true;
}

/// Recovery begins with entries of unknown terms where their first copies are gone.
bool fold_record(durable_state& state, const rewrite_record& x) {
  if (x.first_index <= state.checkpoint.index
      || x.first_index + x.entries.size() > state.last_index() + 1)
    return false;
  auto at =
    state.entries.begin() + static_cast<std::ptrdiff_t>(x.first_index - state.checkpoint.index - 1);
  for (const auto& entry : x.entries) {
    if (at->term != 0 && (at->term != entry.term || at->kind != entry.kind))
      return false;
    *at++ = entry;
  }
  return true;
}

} // namespace

bool fold(durable_state& state, const log_record& record) {
  return std::visit([&](const auto& x) { return fold_record(state, x); }, record);
}

} // namespace troupe
