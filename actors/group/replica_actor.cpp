#include "actors/group/replica_actor.hpp"

namespace troupe {

namespace {

/// Whether the preferred leader's node may lead, as the configuration says.
void prefer(replica_shell& shell, group_id group, const cluster_config& config) {
  auto it = config.groups.find(group);
  if (it == config.groups.end())
    return;
  const auto* preferred = replica_of(it->second, it->second.preferred_leader);
  if (!preferred)
    return;
  auto node = config.nodes.find(preferred->node);
  bool up = node != config.nodes.end() && node->second.state == node_state::up;
  shell.base().set_preferred_leader(preferred->id, up);
}

} // namespace

caf::behavior replica_actor(caf::stateful_actor<replica_shell>* self,
                            std::shared_ptr<replica_shell> shell,
                            std::shared_ptr<durable_state> state) {
  self->state = std::move(*shell);
  self->state.base().open(std::move(*state));
  auto end_if_finished = [self] {
    if (self->state.base().finished())
      self->quit(replica_must_reopen);
  };
  return {
    [self, end_if_finished](consensus_parcel& x) {
      self->state.base().receive(x.from, std::move(x.message));
      end_if_finished();
    },
    [self, end_if_finished](replica_tick) {
      self->state.base().tick();
      end_if_finished();
    },
    [self](meta_call& x) {
      if (self->state.partition)
        self->state.partition->request(std::move(x.request), std::move(x.done));
    },
    [self](cluster_call& x) {
      if (self->state.cluster)
        self->state.cluster->request(x.request, std::move(x.done));
    },
    [self](pull_call& x) { self->state.base().serve_pull(x.request, std::move(x.done)); },
    [self](rows_call& x) {
      if (self->state.partition)
        self->state.partition->read_rows(x.request.after_key, std::move(x.done));
    },
    [self](report_call& x) { x.done(self->state.base().report()); },
    [self](config_arrived& x) {
      prefer(self->state, self->state.base().report().group, *x.config);
      if (self->state.partition)
        self->state.partition->adopt(*x.config);
    },
  };
}

} // namespace troupe
