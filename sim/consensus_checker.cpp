#include "sim/consensus_checker.hpp"

#include "storage/base/coding.hpp"

namespace troupe {

shared_bytes encode_command(const sim_command& x) {
  byte_vector out;
  byte_writer{out}.put(x.id).put(x.row).put(static_cast<std::uint8_t>(x.erase ? 1 : 0));
  return shared_bytes{std::move(out)};
}

sim_command decode_command(byte_view bytes) {
  byte_reader in{bytes};
  sim_command out;
  out.id = in.get<std::uint64_t>();
  out.row = in.get<std::uint32_t>();
  out.erase = in.get<std::uint8_t>() != 0;
  return out;
}

namespace {

std::string name(replica_id x) {
  return "replica " + std::to_string(x.value);
}

} // namespace

void consensus_checker::fail(std::string what) {
  if (violation_.empty())
    violation_ = std::move(what);
}

void consensus_checker::fail_liveness(std::string what) {
  if (violation_.empty())
    stuck_ = true;
  fail(std::move(what));
}

void consensus_checker::led(replica_id replica, std::uint64_t opening, std::uint64_t term) {
  auto [at, fresh] = leaders_.try_emplace(term, leadership{replica, opening});
  if (!fresh && (at->second.replica != replica || at->second.opening != opening))
    fail("two leaders in term " + std::to_string(term) + ": " + name(at->second.replica) + " and "
         + name(replica));
  if (fresh) {
    mix(term);
    mix(replica.value);
  }
}

void consensus_checker::sent(replica_id from, std::uint64_t opening, const send_message& x) {
  replica_id vote;
  std::uint64_t term = 0;
  if (const auto* entries = std::get_if<append_entries>(&x.body))
    led(from, opening, entries->term);
  if (const auto* offer = std::get_if<install_offer>(&x.body))
    led(from, opening, offer->term);
  if (const auto* result = std::get_if<request_vote_result>(&x.body)) {
    if (result->granted && !result->pre_vote) {
      vote = x.to;
      term = result->term;
    }
  } else if (const auto* request = std::get_if<request_vote>(&x.body)) {
    if (!request->pre_vote) { // a candidate has voted for itself
      vote = from;
      term = request->term;
    }
  }
  if (!vote)
    return;
  auto [at, fresh] = votes_.try_emplace({from, term}, vote);
  if (!fresh && at->second != vote)
    fail(name(from) + " voted for " + name(at->second) + " and " + name(vote) + " in term "
         + std::to_string(term));
}

void consensus_checker::applied(replica_id replica, std::uint64_t index, std::uint64_t term,
                                const sim_command& command) {
  auto [at, fresh] = log_.try_emplace(index, logged{term, command});
  if (!fresh && (at->second.term != term || !(at->second.command == command)))
    fail(name(replica) + " applied another command at index " + std::to_string(index) + ": "
         + std::to_string(command.id) + " of term " + std::to_string(term) + " instead of "
         + std::to_string(at->second.command.id) + " of term " + std::to_string(at->second.term));
  if (fresh) {
    index_of_[command.id] = index;
    mix(index);
    mix(command.id);
  }
}

void consensus_checker::acknowledged(std::uint64_t id) {
  ++acknowledged_count_;
  auto at = index_of_.find(id);
  if (at == index_of_.end()) {
    fail("command " + std::to_string(id) + " was acknowledged and never applied");
    return;
  }
  last_acknowledged_ = std::max(last_acknowledged_, at->second);
  mix(id);
}

void consensus_checker::read(replica_id replica, std::uint64_t last_applied) {
  if (last_applied < last_acknowledged_)
    fail("stale read at " + name(replica) + ": applied up to " + std::to_string(last_applied)
         + ", acknowledged up to " + std::to_string(last_acknowledged_));
}

namespace {

/// Term of the entry `index`; 0 if it is not there or below the checkpoint.
std::uint64_t term_at(const durable_state& state, std::uint64_t index) {
  if (index == state.checkpoint.index)
    return state.checkpoint.term;
  if (index < state.checkpoint.index || index > state.last_index())
    return 0;
  return state.entries[index - state.checkpoint.index - 1].term;
}

} // namespace

void consensus_checker::acknowledges(replica_id replica, const durable_state& disk,
                                     const append_entries_result& x, const durable_state* leader) {
  // Held back until a newer term was durable: the same as a message that was long on its way.
  if (disk.term > x.term)
    return;
  auto what = name(replica) + " acknowledged index " + std::to_string(x.last_index) + " in term "
              + std::to_string(x.term);
  if (disk.last_index() < x.last_index)
    fail(what + ", its disk has " + std::to_string(disk.last_index()) + " in term "
         + std::to_string(disk.term));
  if (leader == nullptr)
    return;
  auto here = term_at(disk, x.last_index);
  auto there = term_at(*leader, x.last_index);
  if (here != 0 && there != 0 && here != there)
    fail(what + " of term " + std::to_string(here) + ", the leader has term "
         + std::to_string(there));
}

void consensus_checker::votes(replica_id replica, const durable_state& disk, std::uint64_t term,
                              replica_id vote) {
  if (disk.term < term || (disk.term == term && disk.vote != vote))
    fail(name(replica) + " voted in term " + std::to_string(term) + ", its disk has term "
         + std::to_string(disk.term));
}

void consensus_checker::misfit(replica_id replica) {
  fail(name(replica) + " stored a record that does not fit");
}

sim_tables consensus_checker::tables_at(std::uint64_t index) const {
  sim_tables out;
  for (const auto& [i, entry] : log_) {
    if (i > index)
      break;
    out.apply(entry.command);
  }
  return out;
}

} // namespace troupe
