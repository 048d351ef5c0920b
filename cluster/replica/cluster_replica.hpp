#pragma once

#include "cluster/cluster_group_state.hpp"
#include "cluster/replica/replica_base.hpp"

#include <functional>
#include <map>

namespace troupe {

/// A replica of the cluster group. Tells the node of every committed configuration.
class cluster_replica final : public replica_base {
public:
  /// @param first  the configuration to go by while the group's tables are empty (a new cluster):
  ///               the same on every replica.
  /// @param announce  called with every configuration that is committed here.
  cluster_replica(replica_identity self, replica_services services, const replica_options& options,
                  cluster_config first, cluster_group_options group_options,
                  std::function<void(const cluster_config&)> announce);

  void request(const cluster_request& body, std::function<void(cluster_response)> done);
  void tick() override;
  replica_report report() const override;

private:
  void on_opened() override;
  void on_role(const role_changed& role) override;
  void on_command(const apply_command& command) override;
  void on_proposal(const proposal_finished& result) override;
  void on_state_replaced() override;
  void load_rows();
  void announce_if_sure();
  void rows_loaded();
  void run(cluster_group_effects& effects);

  cluster_config first_;
  cluster_group_options group_options_;
  std::function<void(const cluster_config&)> announce_;
  std::optional<cluster_group_state> state_; ///< Absent until the rows are loaded.
  std::vector<cluster_row_changes> early_;   ///< Committed while rows are being loaded.
  std::uint64_t loads_ = 0;                  ///< Begun; only the last one counts.
  bool loading_ = false;
  bool announced_ = false; ///< The present configuration.
  std::map<cluster_token, std::function<void(cluster_response)>> waiting_;
  cluster_token tokens_ = 0;
  std::uint64_t answered_ = 0;
  bool proposed_ = false;
};

} // namespace troupe
