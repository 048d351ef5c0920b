#include "actors/group/replica_actor.hpp"

#include "actors/kit/asking.hpp"

namespace troupe {

namespace {

/// Whether the preferred leader's node may lead, as the configuration says.
void prefer(replica_base& replica, const cluster_config& config) {
  auto it = config.groups.find(replica.identity().group);
  if (it == config.groups.end())
    return;
  const auto* preferred = replica_of(it->second, it->second.preferred_leader);
  if (!preferred)
    return;
  auto node = config.nodes.find(preferred->node);
  bool up = node != config.nodes.end() && node->second.state == node_state::up;
  replica.set_preferred_leader(preferred->id, up);
}

// What every replica does with a message.

template <class Self>
void end_if_finished(Self* self) {
  if (self->state.replica->finished())
    self->quit(replica_must_reopen);
}

template <class Self>
auto take_parcel(Self* self) {
  return [self](consensus_parcel& x) {
    self->state.replica->receive(x.from, std::move(x.message));
    end_if_finished(self);
  };
}

template <class Self>
auto take_tick(Self* self) {
  return [self](replica_tick) {
    self->state.replica->tick();
    end_if_finished(self);
  };
}

template <class Self>
auto give_piece(Self* self) {
  return [self](const pull_state& x) {
    auto [promise, keep] = answer_later<state_piece>(self);
    self->state.replica->serve_pull(x, std::move(keep));
    return promise;
  };
}

template <class Self>
auto give_report(Self* self) {
  return [self](get_replica_report) { return self->state.replica->report(); };
}

} // namespace

cluster_group_interface::behavior_type
cluster_group_actor(cluster_group_self* self, std::string path,
                    std::shared_ptr<cluster_group_shell> shell,
                    std::shared_ptr<durable_state> state) {
  self->set_path(path);
  self->state = std::move(*shell);
  self->state.replica->open(std::move(*state));
  return {
    take_parcel(self),
    take_tick(self),
    [self](const config_arrived& x) { prefer(*self->state.replica, *x.config); },
    give_piece(self),
    give_report(self),
    [self](const cluster_request& x) {
      auto [promise, keep] = answer_later<cluster_response>(self);
      self->state.replica->request(x, std::move(keep));
      return promise;
    },
  };
}

partition_interface::behavior_type partition_actor(partition_self* self, std::string path,
                                                   std::shared_ptr<partition_shell> shell,
                                                   std::shared_ptr<durable_state> state) {
  self->set_path(path);
  self->state = std::move(*shell);
  self->state.replica->open(std::move(*state));
  return {
    take_parcel(self),
    take_tick(self),
    [self](const config_arrived& x) {
      prefer(*self->state.replica, *x.config);
      self->state.replica->adopt(*x.config);
    },
    give_piece(self),
    give_report(self),
    [self](meta_request& x) {
      auto [promise, keep] = answer_later<meta_response>(self);
      self->state.replica->request(std::move(x), std::move(keep));
      return promise;
    },
    [self](const read_partition_rows& x) {
      auto [promise, keep] = answer_later<partition_rows>(self);
      self->state.replica->read_rows(x.after_key, std::move(keep));
      return promise;
    },
  };
}

} // namespace troupe
