#include "storage/consensus/consensus.hpp"

#include "storage/consensus/engine.hpp"

namespace troupe {

consensus::consensus(replica_id self, durable_state state, const consensus_options& options,
                     boot_time now, consensus_effects& out)
  : engine_(std::make_unique<engine>(self, std::move(state), options, now, out)) {}
consensus::~consensus() = default;
consensus::consensus(consensus&&) noexcept = default;
consensus& consensus::operator=(consensus&&) noexcept = default;

void consensus::receive(boot_time now, replica_id from, consensus_message message,
                        consensus_effects& out) {
  engine_->receive(now, from, std::move(message), out);
}
void consensus::tick(boot_time now, consensus_effects& out) {
  engine_->tick(now, out);
}
void consensus::durable(boot_time now, store_token token, consensus_effects& out) {
  engine_->durable(now, token, out);
}
void consensus::failed(store_token, consensus_effects& out) {
  engine_->failed(out);
}
expected<proposal_token> consensus::propose(boot_time now, std::span<const shared_bytes> commands,
                                            consensus_effects& out) {
  return engine_->propose(now, commands, out);
}
expected<void> consensus::transfer_leadership(boot_time now, replica_id to,
                                              consensus_effects& out) {
  return engine_->transfer_leadership(now, to, out);
}
expected<void> consensus::add_learner(boot_time now, replica_id replica, consensus_effects& out) {
  return engine_->add_learner(now, replica, out);
}
expected<void> consensus::promote(boot_time now, replica_id replica, consensus_effects& out) {
  return engine_->promote(now, replica, out);
}
expected<void> consensus::remove(boot_time now, replica_id replica, consensus_effects& out) {
  return engine_->remove(now, replica, out);
}
void consensus::checkpointed(std::uint64_t index, consensus_effects& out) {
  engine_->checkpointed(index, out);
}
bool consensus::rewrite_log(consensus_effects& out) {
  return engine_->rewrite_log(out);
}
void consensus::install_done(boot_time now, install_token token, std::uint64_t state_id,
                             consensus_effects& out) {
  engine_->install_done(now, token, state_id, out);
}
void consensus::install_failed(install_token token) {
  engine_->install_failed(token);
}

replica_id consensus::self() const {
  return engine_->self();
}
consensus_role consensus::role() const {
  return engine_->role();
}
std::uint64_t consensus::term() const {
  return engine_->term();
}
replica_id consensus::leader() const {
  return engine_->leader();
}
std::uint64_t consensus::last_index() const {
  return engine_->last_index();
}
std::uint64_t consensus::commit_index() const {
  return engine_->commit_index();
}
std::uint64_t consensus::last_applied() const {
  return engine_->last_applied();
}
bool consensus::leader_ready() const {
  return engine_->leader_ready();
}
boot_time consensus::read_lease_until() const {
  return engine_->read_lease_until();
}
bool consensus::proposal_in_flight() const {
  return engine_->proposal_in_flight();
}
const group_configuration& consensus::members() const {
  return engine_->members();
}
bool consensus::membership_changing() const {
  return engine_->membership_changing();
}
std::vector<follower_progress> consensus::followers(boot_time now) const {
  return engine_->followers(now);
}
std::uint64_t consensus::checkpoint_index() const {
  return engine_->checkpoint_index();
}
std::uint64_t consensus::bytes_since_checkpoint() const {
  return engine_->bytes_since_checkpoint();
}
std::uint64_t consensus::tail_bytes() const {
  return engine_->tail_bytes();
}

} // namespace troupe
