#pragma once

#include "cluster/replica/cluster_replica.hpp"
#include "storage/base/memory_env.hpp"
#include "storage/journal/journal.hpp"
#include "storage/meta/ordered_engine.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::test {

/// Journal and tables of a drive in memory; what was asked for is done when `work` is called.
class memory_volume final : public replica_volume {
public:
  memory_volume(opened_journal journal, std::shared_ptr<table_engine> engine);

  void append(replica_id replica, const std::vector<log_record>& records, stored done) override;
  bool admits(std::uint64_t bytes) const override { return journal.state.admits(bytes); }
  std::vector<journal_laggard> laggards() const override { return journal.state.laggards(4); }
  table_store& tables() override { return tables_; }
  void pump() override {}
  const expected<void>& health() const override { return journal.state.health(); }
  /// Writes what waits and runs the jobs of the tables. @returns false if there was nothing to do.
  bool work();

  opened_journal journal;

private:
  struct waiting_append {
    journal_lsn lsn;
    stored done;
  };
  table_store tables_;
  std::deque<waiting_append> waiting_;
};

/// Replicas of the cluster group on nodes 1, 2, …, all in memory under a clock that the test turns.
class cluster_world {
public:
  /// @param initial  what each replica starts from, the first one that of node 1.
  cluster_world(std::vector<durable_state> initial, replica_options options);

  /// Time passes; everything that follows from it happens.
  void turns_for_ms(std::uint64_t ms);
  /// Turns until it holds; fails the test after half a minute of the world's time.
  template <class Predicate>
  void until(const char* what, Predicate holds) {
    for (int turns = 0; !holds(); ++turns) {
      if (turns == 1000)
        give_up(what);
      turns_for_ms(turn_ms);
    }
  }
  /// The drive loses power: what its tables keep of their last changes, the seed says.
  void crash(std::size_t node, std::uint64_t seed);
  void open(std::size_t node);
  void cut_off(std::size_t node, bool cut = true) { nodes_.at(node - 1).cut = cut; }
  /// The node whose replica serves; 0 if there is none.
  std::size_t leader();
  /// Asks the leader for a client id and waits until it is committed.
  void admit_client();

  cluster_replica& at(std::size_t node) { return *nodes_.at(node - 1).replica; }
  /// What the replica told its node since it was opened.
  const std::vector<cluster_config>& announced(std::size_t node) const {
    return nodes_.at(node - 1).announced;
  }
  std::uint64_t events(const std::string& name) const;

private:
  static constexpr std::uint64_t turn_ms = 50;
  struct manual_clock final : clock {
    boot_time boot() const override { return now; }
    wall_time wall() const override { return {}; }
    boot_time now{1'000'000'000};
  };
  struct member {
    memory_env files;
    std::shared_ptr<ordered_engine> engine = std::make_shared<ordered_engine>();
    std::unique_ptr<memory_volume> volume;
    std::unique_ptr<cluster_replica> replica;
    std::vector<cluster_config> announced;
    bool cut = false;
  };
  static replica_id id_of(std::size_t node) { return replica_id{node}; }
  void settle();
  replica_services services_for(std::size_t node);
  [[noreturn]] void give_up(const char* what);

  replica_options options_;
  manual_clock clock_;
  std::deque<member> nodes_;
  std::deque<std::function<void()>> mail_;
  std::map<std::string, std::uint64_t> events_;
};

/// The configuration of a new cluster of so many nodes, version 1.
cluster_config first_config(std::size_t nodes);
group_configuration all_voters(std::size_t nodes);

} // namespace troupe::test
