#pragma once

// One node of bench/consensus_rate: real replicas, a real journal, and clients.

#include "storage/base/assert.hpp"
#include "storage/base/posix_env.hpp"
#include "storage/base/wire.hpp"
#include "storage/consensus/consensus.hpp"
#include "storage/journal/journal.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace troupe {

inline boot_time bench_now() {
  return system_clock().boot();
}

/// What is measured.
struct bench_plan {
  static constexpr std::uint64_t node_count = 3;
  static constexpr std::size_t entry_bytes = 256;
  std::uint64_t groups = 1;
  std::uint64_t depth = 1; ///< Clients per group.
};

/// Since the node was started.
struct bench_counts {
  std::uint64_t entries = 0; ///< Acknowledged to clients.
  std::uint64_t syncs = 0;
  std::uint64_t sync_ns = 0; ///< Spent in write and fdatasync.
  std::uint64_t moved = 0;   ///< Leaders that stopped to lead.
  bench_counts& operator+=(const bench_counts& x) {
    entries += x.entries;
    syncs += x.syncs;
    sync_ns += x.sync_ns;
    moved += x.moved;
    return *this;
  }
};

/// Replica n of every group, and the clients of every third group: the node leads those. One
/// thread thinks, one blocks on the disk.
class bench_node {
public:
  bench_node(const bench_plan& plan, std::uint64_t index, const std::string& directory);
  ~bench_node();

  /// Makes and opens the journal. Blocks until it is written once.
  expected<void> open();
  void start(std::array<bench_node*, bench_plan::node_count> nodes);
  /// Ends both threads and appends the recorded latencies in nanoseconds.
  void stop(std::vector<std::uint64_t>& latencies);
  /// Groups that this node is to lead and leads. Thread-safe, as the next two.
  std::uint64_t leaders_at_home() const { return leaders_at_home_; }
  bench_counts counts() const { return {entries_, syncs_, sync_ns_, moved_}; }
  void record(bool on) { recording_ = on; }

private:
  struct arrived {
    std::uint64_t group;
    std::uint64_t from_node;
    wire_message message;
  };
  struct written {
    std::uint64_t batch;
    bool ok;
  };
  using input = std::variant<arrived, written>;

  struct replica {
    std::unique_ptr<consensus> machine;
    std::uint64_t idle_clients = 0;
    std::uint64_t asked_ns = 0;
    std::uint64_t in_flight = 0;
    bool led = false;
  };
  struct stored {
    std::uint64_t lsn;
    std::uint64_t group;
    store_token token;
  };

  static group_id group_of(std::uint64_t group) {
    return group_id{static_cast<std::uint32_t>(group + 1)};
  }
  static replica_id id_of(std::uint64_t group, std::uint64_t node) {
    return replica_id{group * bench_plan::node_count + node + 1};
  }
  void think();
  void write();
  void post(std::vector<input>& inputs);
  void handle(arrived& x);
  void handle(written& x);
  void tick();
  void propose(std::uint64_t group);
  void execute(std::uint64_t group, consensus_effects& effects);
  void begin_batch();
  void send_out();

  bench_plan plan_;
  std::uint64_t index_;
  std::string directory_;
  posix_env env_;
  std::optional<opened_journal> journal_;
  std::vector<shared_bytes> commands_;
  std::array<bench_node*, bench_plan::node_count> nodes_{};
  std::vector<replica> replicas_; ///< By group.
  std::deque<stored> stored_;
  std::array<std::vector<input>, bench_plan::node_count> outgoing_;
  std::vector<std::uint64_t> latencies_;
  bool writing_ = false;

  std::mutex inbox_mutex_;
  std::condition_variable inbox_filled_;
  std::vector<input> inbox_;
  std::mutex batch_mutex_;
  std::condition_variable batch_given_;
  std::optional<journal_batch> batch_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> recording_ = false;
  std::atomic<std::uint64_t> leaders_at_home_ = 0;
  std::atomic<std::uint64_t> entries_ = 0;
  std::atomic<std::uint64_t> syncs_ = 0;
  std::atomic<std::uint64_t> sync_ns_ = 0;
  std::atomic<std::uint64_t> moved_ = 0;
  std::thread thinker_;
  std::thread writer_;
};

inline bench_node::bench_node(const bench_plan& plan, std::uint64_t index,
                              const std::string& directory)
  : plan_(plan), index_(index), directory_(directory + "/journal-" + std::to_string(index)),
    commands_(plan.depth, shared_bytes{byte_vector(bench_plan::entry_bytes, std::byte{7})}) {}

inline bench_node::~bench_node() {
  std::vector<std::uint64_t> unused;
  stop(unused);
  journal_.reset();
  static_cast<void>(env_.remove_file(directory_ + "/journal"));
  static_cast<void>(env_.remove_directory(directory_));
}

inline expected<void> bench_node::open() {
  journal_options options;
  options.segment_count = 8;
  drive_uuid owner;
  if (auto made = env_.make_directory(directory_); !made)
    return made;
  if (auto made = create_journal(env_, directory_, owner, options); !made)
    return made;
  auto opened = open_journal(env_, directory_, owner, options);
  if (!opened)
    return opened.error();
  journal_.emplace(std::move(*opened));
  for (std::uint64_t group = 0; group < plan_.groups; ++group) {
    group_configuration voters;
    for (std::uint64_t node = 0; node < bench_plan::node_count; ++node)
      voters.members.push_back({id_of(group, node), member_role::voter});
    auto state = bootstrap_state(voters);
    if (auto made = journal_->state.create_replica(id_of(group, index_), group_of(group), state);
        !made)
      return made.error();
  }
  if (auto durable = flush_journal(*journal_); !durable)
    return durable.error();
  return {};
}

inline void bench_node::start(std::array<bench_node*, bench_plan::node_count> nodes) {
  nodes_ = nodes;
  thinker_ = std::thread{[this] { think(); }};
  writer_ = std::thread{[this] { write(); }};
}

inline void bench_node::stop(std::vector<std::uint64_t>& latencies) {
  stopping_ = true;
  if (thinker_.joinable())
    thinker_.join();
  {
    std::lock_guard lock{batch_mutex_};
    batch_given_.notify_one();
  }
  if (writer_.joinable())
    writer_.join();
  latencies.insert(latencies.end(), latencies_.begin(), latencies_.end());
  latencies_.clear();
}

/// Takes what came, lets the replicas work on it, gives the journal what they want stored and the
/// other nodes what they want sent.
inline void bench_node::think() {
  for (std::uint64_t group = 0; group < plan_.groups; ++group) {
    consensus_options options;
    options.seed = id_of(group, index_).value;
    group_configuration voters;
    for (std::uint64_t node = 0; node < bench_plan::node_count; ++node)
      voters.members.push_back({id_of(group, node), member_role::voter});
    auto& r = replicas_.emplace_back();
    r.idle_clients = group % bench_plan::node_count == index_ ? plan_.depth : 0;
    consensus_effects out;
    r.machine = std::make_unique<consensus>(id_of(group, index_), bootstrap_state(voters), options,
                                            bench_now(), out);
    execute(group, out);
  }
  constexpr std::uint64_t tick_ns = 100'000'000;
  auto next_tick = bench_now().ns + tick_ns;
  std::vector<input> inputs;
  while (!stopping_) {
    begin_batch();
    send_out();
    {
      std::unique_lock lock{inbox_mutex_};
      auto now = bench_now().ns;
      if (inbox_.empty() && now < next_tick)
        inbox_filled_.wait_for(lock, std::chrono::nanoseconds{next_tick - now});
      inputs.swap(inbox_);
    }
    for (auto& x : inputs)
      std::visit([&](auto& y) { handle(y); }, x);
    inputs.clear();
    if (bench_now().ns >= next_tick) {
      tick();
      next_tick = bench_now().ns + tick_ns;
    }
  }
}

inline void bench_node::post(std::vector<input>& inputs) {
  std::lock_guard lock{inbox_mutex_};
  bool wake = inbox_.empty();
  for (auto& x : inputs)
    inbox_.push_back(std::move(x));
  inputs.clear();
  if (wake)
    inbox_filled_.notify_one();
}

inline void bench_node::handle(arrived& x) {
  byte_vector bulk;
  bulk.reserve(x.message.bulk_bytes());
  for (const auto& part : x.message.bulk)
    bulk.insert(bulk.end(), part.view().begin(), part.view().end());
  auto message = wire_decode<consensus_message>(x.message.body, shared_bytes{std::move(bulk)});
  TROUPE_ASSERT(message);
  consensus_effects out;
  replicas_[x.group].machine->receive(bench_now(), id_of(x.group, x.from_node), std::move(*message),
                                      out);
  execute(x.group, out);
}

inline void bench_node::handle(written& x) {
  TROUPE_ASSERT(x.ok);
  writing_ = false;
  auto lsn = journal_->state.batch_done(x.batch).value;
  ++syncs_;
  begin_batch(); // what came meanwhile is written while the replicas think
  std::map<std::uint64_t, store_token> done; // the newest order of a group covers the others
  while (!stored_.empty() && stored_.front().lsn <= lsn) {
    done[stored_.front().group] = stored_.front().token;
    stored_.pop_front();
  }
  for (const auto& [group, token] : done) {
    consensus_effects out;
    replicas_[group].machine->durable(bench_now(), token, out);
    execute(group, out);
  }
}

inline void bench_node::tick() {
  std::uint64_t home = 0;
  for (std::uint64_t group = 0; group < plan_.groups; ++group) {
    auto& r = replicas_[group];
    consensus_effects out;
    r.machine->tick(bench_now(), out);
    auto wanted = group % bench_plan::node_count;
    if (r.machine->leader_ready() && wanted == index_)
      ++home;
    else if (r.machine->leader_ready()) // busy: next time
      static_cast<void>(r.machine->transfer_leadership(bench_now(), id_of(group, wanted), out));
    execute(group, out);
  }
  leaders_at_home_ = home;
}

/// All clients of the group that have no answer to wait for ask at once.
inline void bench_node::propose(std::uint64_t group) {
  auto& r = replicas_[group];
  if (r.idle_clients == 0 || !r.machine->leader_ready() || r.machine->proposal_in_flight())
    return;
  consensus_effects out;
  auto now = bench_now();
  auto token = r.machine->propose(now, std::span{commands_}.first(r.idle_clients), out);
  if (token) {
    r.in_flight = std::exchange(r.idle_clients, 0);
    r.asked_ns = now.ns;
  }
  execute(group, out);
}

inline void bench_node::execute(std::uint64_t group, consensus_effects& effects) {
  auto& r = replicas_[group];
  for (auto& effect : effects) {
    if (auto* send = std::get_if<send_message>(&effect)) {
      auto to = (send->to.value - 1) % bench_plan::node_count;
      outgoing_[to].push_back(arrived{group, index_, wire_encode(send->body)});
    } else if (auto* store = std::get_if<store_records>(&effect)) {
      auto lsn = journal_->state.append(id_of(group, index_), store->records);
      TROUPE_ASSERT(lsn);
      stored_.push_back({lsn->value, group, store->token});
    } else if (auto* finished = std::get_if<proposal_finished>(&effect)) {
      auto clients = std::exchange(r.in_flight, 0);
      r.idle_clients += clients;
      if (finished->outcome == proposal_outcome::committed)
        entries_ += clients;
      if (recording_)
        latencies_.push_back(bench_now().ns - r.asked_ns);
    } else if (auto* role = std::get_if<role_changed>(&effect)) {
      moved_ += r.led && !role->leader_ready ? 1 : 0;
      r.led = role->leader_ready;
    }
  }
  if (r.machine == nullptr || effects.empty())
    return;
  effects.clear();
  constexpr std::uint64_t unneeded_bytes = 256 * kib; // then the journal may drop entries
  if (r.machine->bytes_since_checkpoint() > unneeded_bytes) {
    r.machine->checkpointed(r.machine->last_applied(), effects);
    execute(group, effects);
  }
  propose(group);
}

inline void bench_node::begin_batch() {
  if (writing_)
    return;
  auto batch = journal_->state.next_batch();
  if (!batch)
    return;
  writing_ = true;
  std::lock_guard lock{batch_mutex_};
  batch_ = batch;
  batch_given_.notify_one();
}

inline void bench_node::send_out() {
  for (std::uint64_t node = 0; node < outgoing_.size(); ++node)
    if (!outgoing_[node].empty())
      nodes_[node]->post(outgoing_[node]);
}

/// The thread that blocks on the disk.
inline void bench_node::write() {
  std::vector<input> report;
  while (true) {
    std::optional<journal_batch> batch;
    {
      std::unique_lock lock{batch_mutex_};
      batch_given_.wait(lock, [&] { return batch_ || stopping_; });
      batch.swap(batch_);
    }
    if (!batch)
      return;
    auto begin = bench_now().ns;
    bool ok = journal_->log->write_at(batch->offset, batch->bytes) && journal_->log->sync();
    sync_ns_ += bench_now().ns - begin;
    report.push_back(written{batch->number, ok});
    post(report);
  }
}

} // namespace troupe
