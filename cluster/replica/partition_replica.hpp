#pragma once

#include "cluster/partition/partition_state.hpp"
#include "cluster/replica/replica_base.hpp"

#include <functional>
#include <map>

namespace troupe {

/// What a partition needs besides the services of any replica.
struct partition_services {
  /// Sends frees to a drive, wherever it is; says whether it took them.
  std::function<void(const drive_uuid&, std::vector<run_ref>, std::function<void(bool)>)> free_runs;
  /// Somebody knows a newer configuration than this node: get it.
  std::function<void(config_version)> fetch_config;
};

/// A replica of a metadata partition.
class partition_replica final : public replica_base {
public:
  partition_replica(replica_identity self, replica_services services,
                    const replica_options& options, partition_services partition,
                    const partition_options& partition_options, cluster_config config);

  void request(meta_request body, std::function<void(meta_response)> done);
  void adopt(const cluster_config& config);
  void tick() override;
  replica_report report() const override;
  /// Rows for `fsck --check`; only a serving leader has the right ones.
  void read_rows(const std::string& after_key, std::function<void(expected<partition_rows>)> done);

private:
  void on_opened() override;
  void on_role(const role_changed& role) override;
  void on_command(const apply_command& command) override;
  void on_proposal(const proposal_finished& result) override;
  void on_state_replaced() override;
  void make_state();
  partition_now present() const;
  template <class Step>
  void step(Step step);
  void run(partition_effects& effects);
  void run(propose_entries& x);
  void run(load_rows& x);
  void run(send_frees& x);

  partition_services partition_;
  partition_options partition_options_;
  cluster_config config_;
  std::unique_ptr<table_view> view_;
  std::unique_ptr<partition_state> state_;
  partition_role role_;      ///< What consensus said last.
  std::uint64_t states_ = 0; ///< Answers to orders of an earlier state are dropped.
  std::optional<batch_number> in_flight_;
  std::map<std::uint64_t, std::function<void(meta_response)>> waiting_;
  std::uint64_t tokens_ = 0;
  std::uint64_t answered_ = 0;
};

} // namespace troupe
