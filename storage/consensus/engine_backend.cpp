// What the library calls. Nothing here calls back or fails: it only fills the queues of the step.

#include "storage/base/assert.hpp"
#include "storage/consensus/configuration_format.hpp"
#include "storage/consensus/engine.hpp"

#include <cstring>

namespace troupe {

void consensus::engine::bind_backend() {
  using std::size_t;
  io_ = {};
  io_.version = 2;
  io_.impl = this;
  io_.init = [](struct ::raft_io*, ::raft_id, const char*) { return 0; };
  io_.close = [](struct ::raft_io* io, ::raft_io_close_cb cb) {
    static_cast<engine*>(io->impl)->close_cb_ = cb;
  };
  io_.load = [](struct ::raft_io* io, ::raft_term* term, ::raft_id* vote,
                struct ::raft_snapshot** snapshot, ::raft_index* start,
                struct ::raft_entry** entries, size_t* count) {
    return static_cast<engine*>(io->impl)->backend_load(term, vote, snapshot, start, entries,
                                                        count);
  };
  io_.start = [](struct ::raft_io* io, unsigned, ::raft_io_tick_cb on_tick,
                 ::raft_io_recv_cb on_receive) {
    auto* self = static_cast<engine*>(io->impl);
    self->tick_cb_ = on_tick;
    self->recv_cb_ = on_receive;
    return 0;
  };
  // A group is bootstrapped by its durable state, and recovered by an operator's tool.
  io_.bootstrap = [](struct ::raft_io*, const struct ::raft_configuration*) {
    return RAFT_CANTBOOTSTRAP;
  };
  io_.recover = [](struct ::raft_io*, const struct ::raft_configuration*) {
    return RAFT_CANTBOOTSTRAP;
  };
  io_.set_term = [](struct ::raft_io* io, ::raft_term term) {
    auto* self = static_cast<engine*>(io->impl);
    self->record_vote(term, {});
    return 0;
  };
  io_.set_vote = [](struct ::raft_io* io, ::raft_id id) {
    auto* self = static_cast<engine*>(io->impl);
    // The library calls this before it raises its own term: ours is the one of set_term.
    self->record_vote(self->stored_term_, replica_id{id});
    return 0;
  };
  io_.send = [](struct ::raft_io* io, struct ::raft_io_send* request,
                const struct ::raft_message* message, ::raft_io_send_cb cb) {
    return static_cast<engine*>(io->impl)->backend_send(request, message, cb);
  };
  io_.append = [](struct ::raft_io* io, struct ::raft_io_append* request,
                  const struct ::raft_entry entries[], unsigned count, ::raft_io_append_cb cb) {
    return static_cast<engine*>(io->impl)->backend_append(request, entries, count, cb);
  };
  io_.truncate = [](struct ::raft_io* io, ::raft_index from) {
    auto* self = static_cast<engine*>(io->impl);
    self->drop_from(from);
    return 0;
  };
  io_.snapshot_put = [](struct ::raft_io* io, unsigned, struct ::raft_io_snapshot_put* request,
                        const struct ::raft_snapshot* snapshot, ::raft_io_snapshot_put_cb cb) {
    return static_cast<engine*>(io->impl)->backend_snapshot_put(request, snapshot, cb);
  };
  io_.snapshot_get = [](struct ::raft_io* io, struct ::raft_io_snapshot_get* request,
                        ::raft_io_snapshot_get_cb cb) {
    static_cast<engine*>(io->impl)->gets_.push_back({request, cb});
    return 0;
  };
  io_.time = [](struct ::raft_io* io) -> ::raft_time {
    return static_cast<engine*>(io->impl)->now_ms();
  };
  io_.random = [](struct ::raft_io* io, int min, int max) {
    return static_cast<engine*>(io->impl)->backend_random(min, max);
  };

  fsm_ = {};
  fsm_.version = 1;
  fsm_.data = this;
  fsm_.apply = [](struct ::raft_fsm* fsm, const struct ::raft_buffer* buffer, void** result) {
    *result = nullptr;
    return static_cast<engine*>(fsm->data)->backend_apply(buffer);
  };
  // A snapshot of the library only trims its memory; the tables are the owner's (try_install,
  // checkpointed), so one placeholder byte stands for them.
  fsm_.snapshot = [](struct ::raft_fsm* fsm, struct ::raft_buffer* buffers[], unsigned* count) {
    auto* self = static_cast<engine*>(fsm->data);
    if (self->options_.guards.committed_membership
        && self->raft_.configuration_uncommitted_index != 0)
      return RAFT_BUSY;
    *buffers = static_cast<struct ::raft_buffer*>(raft_malloc(sizeof(struct ::raft_buffer)));
    (*buffers)->base = raft_malloc(1);
    (*buffers)->len = 1;
    *count = 1;
    return 0;
  };
  fsm_.restore = [](struct ::raft_fsm*, struct ::raft_buffer* buffer) {
    raft_free(buffer->base);
    return 0;
  };
}

int consensus::engine::backend_load(::raft_term* term, ::raft_id* vote,
                                    struct ::raft_snapshot** snapshot, ::raft_index* start,
                                    struct ::raft_entry** entries, std::size_t* count) {
  auto& state = *loading_;
  *term = state.term;
  *vote = state.vote.value;
  *start = state.checkpoint.index + 1;
  *snapshot = nullptr;
  if (state.checkpoint.index > 0) {
    auto* out =
      static_cast<struct ::raft_snapshot*>(raft_calloc(1, sizeof(struct ::raft_snapshot)));
    out->index = state.checkpoint.index;
    out->term = state.checkpoint.term;
    out->configuration_index = state.checkpoint.configuration_index;
    to_library(state.checkpoint.configuration, out->configuration);
    out->bufs = static_cast<struct ::raft_buffer*>(raft_malloc(sizeof(struct ::raft_buffer)));
    out->bufs[0].base = raft_malloc(1);
    out->bufs[0].len = 1;
    out->n_bufs = 1;
    *snapshot = out;
  }
  *count = state.entries.size();
  *entries = nullptr;
  tail_bytes_ = 0;
  if (state.entries.empty())
    return 0;
  *entries = static_cast<struct ::raft_entry*>(
    raft_calloc(state.entries.size(), sizeof(struct ::raft_entry)));
  for (std::size_t i = 0; i < state.entries.size(); ++i) {
    auto& entry = (*entries)[i];
    entry.term = state.entries[i].term;
    entry.type = static_cast<unsigned short>(state.entries[i].kind);
    entry.buf = to_library_buffer(state.entries[i]);
    tail_bytes_ += entry.buf.len;
  }
  return 0;
}

/// The payload as the library wants it, in memory of its allocator.
struct ::raft_buffer consensus::engine::to_library_buffer(const log_entry& entry) {
  if (entry.kind == entry_kind::configuration) {
    auto configuration = decode_configuration(entry.payload.view());
    TROUPE_ASSERT(configuration); // checked when it came
    return encode_for_library(*configuration);
  }
  struct ::raft_buffer buffer = {};
  buffer.len = entry.kind == entry_kind::barrier ? 8 : entry.payload.size();
  buffer.base = raft_calloc(1, buffer.len);
  TROUPE_ASSERT(buffer.base != nullptr);
  if (entry.kind == entry_kind::command)
    std::memcpy(buffer.base, entry.payload.data(), entry.payload.size());
  return buffer;
}

/// An entry of the library's memory as ours, from the mirror if it is still there.
log_entry consensus::engine::copy_entry(std::uint64_t index,
                                        const struct ::raft_entry& from) const {
  if (const auto* known = mirror_.find(index); known != nullptr && known->term == from.term)
    return *known;
  log_entry out{from.term, static_cast<entry_kind>(from.type), {}};
  if (out.kind == entry_kind::configuration)
    out.payload = shared_bytes{encode_configuration(decode_from_library(from.buf))};
  else if (out.kind == entry_kind::command) {
    const auto* bytes = static_cast<const std::byte*>(from.buf.base);
    out.payload = shared_bytes{byte_vector(bytes, bytes + from.buf.len)};
  }
  return out;
}

void consensus::engine::record_vote(std::uint64_t term, replica_id vote) {
  stored_term_ = term;
  stored_vote_ = vote;
  // Term and vote come one after the other: one record.
  if (!records_.empty())
    if (auto* last = std::get_if<term_vote_record>(&records_.back()); last && last->term == term) {
      last->vote = vote;
      return;
    }
  records_.push_back(term_vote_record{term, vote});
  vote_unflushed_ = true;
}

void consensus::engine::drop_from(std::uint64_t from) {
  for (auto index = from; index <= mirror_.last_index(); ++index)
    if (const auto* entry = find_entry(raft_.log, index))
      tail_bytes_ -= std::min<std::uint64_t>(tail_bytes_, entry->buf.len);
  records_.push_back(truncate_record{from});
  mirror_.truncate(from);
}

int consensus::engine::backend_append(struct ::raft_io_append* request,
                                      const struct ::raft_entry* entries, unsigned count,
                                      ::raft_io_append_cb cb) {
  if (options_.backend_errors_per_million > 0
      && static_cast<std::uint32_t>(backend_random(0, 1'000'000))
           < options_.backend_errors_per_million)
    return RAFT_IOERR;
  append_record record{mirror_.last_index() + 1, {}};
  record.entries.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    record.entries.push_back(incoming_entry(record.first_index + i, entries[i]));
    tail_bytes_ += entries[i].buf.len;
  }
  mirror_.append(record.entries);
  records_.push_back(std::move(record));
  appends_.push_back({{}, now_, request, cb});
  return 0;
}

/// An entry that is about to be stored: its payload comes from the message or proposal of this
/// step if it is the same entry.
log_entry consensus::engine::incoming_entry(std::uint64_t index, const struct ::raft_entry& from) {
  if (index >= arriving_first_ && index - arriving_first_ < arriving_.size()) {
    const auto& known = arriving_[index - arriving_first_];
    if (known.term == from.term && static_cast<unsigned short>(known.kind) == from.type)
      return known;
  }
  return copy_entry(index, from);
}

int consensus::engine::backend_send(struct ::raft_io_send* request,
                                    const struct ::raft_message* message, ::raft_io_send_cb cb) {
  replica_id to{message->server_id};
  switch (message->type) {
  case RAFT_IO_APPEND_ENTRIES: send_entries(to, message->append_entries); break;
  case RAFT_IO_APPEND_ENTRIES_RESULT: {
    const auto& x = message->append_entries_result;
    append_entries_result out{x.term, x.rejected, x.last_log_index, 0};
    if (options_.guards.clamp_results && x.rejected == 0)
      out.last_index =
        std::min<std::uint64_t>(x.last_log_index, matched_term_ == x.term ? matched_index_ : 0);
    if (heard_term_ == x.term)
      out.sent_at_ns = heard_ns_;
    queue(to, out);
    break;
  }
  case RAFT_IO_REQUEST_VOTE: {
    const auto& x = message->request_vote;
    queue(to,
          request_vote{x.term, x.last_log_index, x.last_log_term, x.disrupt_leader, x.pre_vote});
    break;
  }
  case RAFT_IO_REQUEST_VOTE_RESULT: {
    const auto& x = message->request_vote_result;
    request_vote_result out{x.term, x.vote_granted, x.pre_vote == raft_tribool_true};
    if (options_.guards.true_pre_vote_term && out.pre_vote && !out.granted)
      out.term = raft_.current_term;
    queue(to, out);
    break;
  }
  case RAFT_IO_INSTALL_SNAPSHOT: {
    auto offer = offer_for(to); // only here the library tells to whom
    queue(to, install_offer{message->install_snapshot.term, self_, offer.index, offer.term,
                            std::move(offer.configuration), offer.configuration_index});
    break;
  }
  case RAFT_IO_TIMEOUT_NOW: {
    const auto& x = message->timeout_now;
    if (options_.guards.transfer_drops_lease)
      lease_.drop();
    queue(to, timeout_now{x.term, x.last_log_index, x.last_log_term});
    break;
  }
  default: TROUPE_ASSERT(false);
  }
  if (cb != nullptr)
    send_callbacks_.push_back({request, cb});
  return 0;
}

/// The library sends everything from the follower's next index on; this cuts it into messages.
void consensus::engine::send_entries(replica_id to, const struct ::raft_append_entries& x) {
  append_entries out{x.term, x.prev_log_index, x.prev_log_term, 0, now_.ns, {}};
  std::uint64_t bytes = 0;
  auto send = [&] {
    auto end = out.prev_index + out.entries.size();
    auto end_term = out.entries.empty() ? out.prev_term : out.entries.back().term;
    out.commit_index = std::min<std::uint64_t>(x.leader_commit, end);
    append_entries next{x.term, end, end_term, 0, now_.ns, {}};
    queue(to, std::exchange(out, std::move(next)));
    bytes = 0;
  };
  for (unsigned i = 0; i < x.n_entries; ++i) {
    const auto& entry = x.entries[i];
    if (!out.entries.empty() && bytes + entry.buf.len > options_.message_bytes_max)
      send();
    out.entries.push_back(copy_entry(x.prev_log_index + 1 + i, entry));
    bytes += entry.buf.len;
  }
  send();
}

int consensus::engine::backend_snapshot_put(struct ::raft_io_snapshot_put* request,
                                            const struct ::raft_snapshot* snapshot,
                                            ::raft_io_snapshot_put_cb cb) {
  if (!feeding_install_) {
    trim_put_ = request;
    trim_cb_ = cb;
    return 0;
  }
  install_put_ = request;
  install_cb_ = cb;
  checkpoint_ = {snapshot->index, snapshot->term, from_library(snapshot->configuration),
                 snapshot->configuration_index, pull_->state_id};
  mirror_.reset(checkpoint_);
  tail_bytes_ = 0;
  records_.push_back(install_record{checkpoint_});
  return 0;
}

int consensus::engine::backend_random(int min, int max) {
  // xorshift64*, so that the same seed gives the same elections everywhere.
  random_state_ ^= random_state_ >> 12;
  random_state_ ^= random_state_ << 25;
  random_state_ ^= random_state_ >> 27;
  auto value = (random_state_ * 0x2545f4914f6cdd1dULL) >> 33;
  return max <= min ? min : min + static_cast<int>(value % static_cast<unsigned>(max - min));
}

int consensus::engine::backend_apply(const struct ::raft_buffer* buffer) {
  auto index = raft_.last_applied + 1; // the library tells neither index nor term
  const auto* entry = find_entry(raft_.log, index);
  TROUPE_ASSERT(entry != nullptr && entry->buf.base == buffer->base);
  auto ours = copy_entry(index, *entry);
  out_->push_back(apply_command{index, ours.term, std::move(ours.payload)});
  return 0;
}

} // namespace troupe
