#pragma once

#include "actors/kit/reactor.hpp"
#include "actors/metadata/open_volume.hpp"
#include "cluster/replica/replica_base.hpp"
#include "storage/base/posix_env.hpp"

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace troupe::test {

/// Rows of a table, or what a group committed, as a test compares them.
using row_map = std::map<std::string, std::string>;

shared_bytes encode_rows(const table_batch& rows);
table_batch decode_rows(byte_view command);

/// A replica whose commands are rows.
class row_replica final : public replica_base {
public:
  using replica_base::raft;
  using replica_base::replica_base;
  using replica_base::table;
  using replica_base::waiting_bytes;

  /// @returns as `replica_base::propose`; the outcome shows in `outcomes`.
  expected<proposal_token> put(const table_batch& rows);
  bool ready() const { return is_open() && raft().leader_ready(); }

  std::map<proposal_token, proposal_outcome> outcomes;
  std::uint64_t applied = 0;         ///< Commands.
  std::uint64_t replaced = 0;        ///< States installed.
  std::uint64_t leaders_heard = 0;   ///< Changes of leader or term.
  std::uint64_t lost_its_leader = 0; ///< Times that it did not know any.

private:
  void on_opened() override {}
  void on_role(const role_changed& role) override;
  void on_command(const apply_command& command) override;
  void on_proposal(const proposal_finished& result) override;
  void on_state_replaced() override { ++replaced; }
};

/// The real file I/O of a drive with a valve: writes can be made to fail or to wait.
class valve_io final : public file_io {
public:
  explicit valve_io(reactor& loop);
  ~valve_io() override;
  void read(int fd, std::uint64_t offset, std::span<std::byte> into, read_done done) override;
  void write(int fd, std::vector<io_write> writes, bool sync, write_done done) override;
  const char* kind() const override { return io_->kind(); }
  std::size_t in_flight() const override { return io_->in_flight() + held_.size(); }

  /// From now on the kernel refuses every write.
  void fail() { failing_ = true; }
  /// Writes wait until `release`.
  void hold() { holding_ = true; }
  void release();
  std::size_t held() const { return held_.size(); }

private:
  struct held_write {
    int fd;
    std::vector<io_write> writes;
    bool sync;
    write_done done;
  };
  std::unique_ptr<file_io> io_;
  int read_only_ = -1;
  bool failing_ = false;
  bool holding_ = false;
  std::deque<held_write> held_;
};

/// What a test may turn. Everything is small, so that journals cycle quickly.
struct replica_world_options {
  std::size_t nodes = 3;
  std::vector<std::uint32_t> groups = {1, 2}; ///< Each with a replica on every node.
  metadata_options metadata;
  replica_options replicas;
  replica_world_options();
};

/// Some nodes with one drive each, real below `env` and `file_io`, and groups with a replica on
/// every drive; messages travel in memory. Time is the machine's.
class replica_world {
public:
  explicit replica_world(replica_world_options options = {});
  ~replica_world();

  static replica_id id_of(std::uint32_t group, std::size_t node) {
    return replica_id{group * 10 + node + 1};
  }
  std::size_t nodes() const { return options_.nodes; }
  metadata_volume& volume(std::size_t node) { return *drives_[node]->volume; }
  valve_io& io(std::size_t node) { return drives_[node]->io; }
  /// Null while it is destroyed or being recovered.
  row_replica* at(std::uint32_t group, std::size_t node);
  /// The ready leader, if there is one.
  row_replica* leader(std::uint32_t group);
  std::optional<std::size_t> leader_node(std::uint32_t group);

  void turn();
  void turns_for_ms(std::uint64_t ms);
  /// Turns until it holds; fails the test after `ms`.
  template <class Predicate>
  void until(const char* what, Predicate holds, std::uint64_t ms = 8000) {
    auto end = loop.time().boot().ns + ms * 1'000'000;
    while (!holds()) { // asked once per turn: it may do something
      if (loop.time().boot().ns >= end)
        give_up(what);
      turn();
    }
  }

  void destroy(std::uint32_t group, std::size_t node);
  /// Opens a destroyed replica anew from its journal.
  void recover(std::uint32_t group, std::size_t node);
  /// The node hears and says nothing any more, or does again.
  void cut_off(std::size_t node, bool cut = true);

  /// Writes one batch and waits until it is committed; tries again while that is refused.
  /// What was written is expected of every replica from then on.
  void write(std::uint32_t group, const table_batch& rows);
  /// The same; @returns false, nothing written, if the leader's journal is full.
  bool try_write(std::uint32_t group, const table_batch& rows);
  /// Some 64 KiB of rows under a few hundred keys, some removed again.
  table_batch next_rows();
  void write_much(std::uint32_t group, std::uint64_t bytes);
  const row_map& committed(std::uint32_t group) { return committed_[group]; }
  /// Every table with rows on the node's drive.
  std::vector<table_id> tables(std::size_t node);
  /// All rows of the replica's table.
  row_map rows(std::uint32_t group, std::size_t node);
  /// Waits until the replica has applied what the leader has.
  void catch_up(std::uint32_t group, std::size_t node, std::uint64_t ms = 8000);
  /// Every replica of the group has exactly what was committed.
  void check_all(std::uint32_t group);
  std::uint64_t events(const std::string& name, const std::string& part_of_why = {}) const;
  /// Orders of replicas that did not find room in the journal, on all drives.
  std::uint64_t refused() const;
  /// No replica asked to be opened anew.
  bool nobody_finished() const;

  reactor loop;
  std::set<replica_id> not_ticked;
  /// Sees every message on its way; false loses it.
  std::function<bool(const consensus_parcel&)> on_parcel;
  /// Sees every answer to a pull on its way; false holds nothing back, it loses it.
  std::function<bool(replica_id to, const pull_state&, expected<state_piece>&)> on_piece;

private:
  struct drive {
    explicit drive(reactor& l) : io(l) {}
    drive_uuid id;
    std::string directory;
    valve_io io;
    std::unique_ptr<metadata_volume> volume;
  };
  struct resident {
    replica_identity self;
    std::size_t node = 0;
    std::unique_ptr<row_replica> replica;
  };
  struct event {
    std::string replica;
    std::string name;
    std::string why;
  };
  void make_drive(std::size_t node);
  void start(resident& r, durable_state state);
  void deliver(consensus_parcel parcel);
  void pull(replica_id to, const pull_state& request,
            std::function<void(expected<state_piece>)> done);
  [[noreturn]] void give_up(const char* what);

  replica_world_options options_;
  posix_env files_;
  std::string directory_;
  worker_pool pool_{loop, {2, 4096}};
  std::vector<std::unique_ptr<drive>> drives_;
  std::map<replica_id, resident> residents_;
  std::set<std::size_t> cut_off_;
  std::vector<event> events_;
  std::map<std::uint32_t, row_map> committed_;
  std::uint64_t written_ = 0; ///< Batches, for their contents.
  boot_time ticked_at_;
};

} // namespace troupe::test
