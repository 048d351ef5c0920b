#include "sim/cluster/sim_client.hpp"

#include "messages/overload.hpp"
#include "storage/base/assert.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t us = 1000;

drive_uuid drive_of(const drive_request& x) {
  return std::visit(overload{[](const store_run& r) { return r.drive; },
                             [](const read_run& r) { return r.run.drive; },
                             [](const free_runs& r) {
                               return r.runs.empty() ? drive_uuid{} : r.runs.front().drive;
                             },
                             [](const abandon_write& r) { return r.drive; }},
                    x);
}

std::vector<lin> leases_asked_for(const meta_operation& op) {
  std::vector<lin> out;
  if (const auto* acquire = std::get_if<op_acquire_write_lease>(&op))
    out.push_back(acquire->id);
  if (const auto* renew = std::get_if<op_renew_leases>(&op))
    for (const auto& held : renew->held)
      out.push_back(held.id);
  return out;
}

std::vector<lin> granted(std::vector<lin> asked_for, const meta_result& result) {
  if (const auto* news = std::get_if<leases_renewed>(&result))
    for (auto id : news->lost)
      std::erase(asked_for, id);
  return asked_for;
}

std::string file_of(const meta_operation& op) {
  std::string out = name_of(op);
  std::visit(overload{[&](const op_commit_write& x) {
                        out += " " + to_string(x.id) + (x.release_lease ? ", the last" : "");
                      },
                      [&](const op_get_layout& x) { out += " " + to_string(x.id); },
                      [&](const op_acquire_write_lease& x) { out += " " + to_string(x.id); },
                      [&](const op_release_lease& x) { out += " " + to_string(x.id); },
                      [&](const op_renew_leases& x) {
                        for (const auto& held : x.held)
                          out += " " + to_string(held.id);
                      },
                      [](const auto&) {}},
             op);
  return out;
}

std::string outcome_of(const expected<meta_response>& answer) {
  if (!answer)
    return describe(answer.error());
  if (const auto* why = std::get_if<error>(&answer->outcome))
    return describe(*why);
  std::string out = "ok";
  auto change = [&](std::uint64_t count) { out += ", change " + std::to_string(count); };
  std::visit(overload{[&](const leases_renewed& x) {
                        for (auto id : x.lost)
                          out += ", lost " + to_string(id);
                        for (auto id : x.recalled)
                          out += ", recalled " + to_string(id);
                      },
                      [&](const layout_is& x) { change(x.attributes.change_count); },
                      [&](const write_committed& x) { change(x.attributes.change_count); },
                      [&](const lease_granted& x) { change(x.attributes.change_count); },
                      [](const auto&) {}},
             std::get<meta_result>(answer->outcome));
  return out;
}

} // namespace

sim_client::sim_client(surroundings& world, sim_network& net, node_directory& nodes,
                       const sim_options& options, endpoint self, cluster_view view)
  : world_(world), net_(net), nodes_(nodes), options_(options), self_(self), clock_(world.events),
    view_(std::move(view)) {
  auto rate = static_cast<std::int64_t>(world.run.faults.clock_rate_ppm_max);
  clock_.start(
    world.random.below(100'000'000'000),
    static_cast<std::int64_t>(world.random.below(static_cast<std::uint64_t>(2 * rate + 1))) - rate);
  net_.start(self_, [this, alive = alive_](endpoint peer, bool up) {
    if (*alive && gateway_)
      step(
        [&](gateway_effects& out) { gateway_->link_changed(node_id{peer}, up, present(), out); });
  });
  later(us, [this] { admit(); });
}

sim_client::~sim_client() {
  *alive_ = false;
}

void sim_client::later(std::uint64_t delay, std::function<void()> what) {
  world_.events.after(delay, [alive = alive_, what = std::move(what)] {
    if (*alive)
      what();
  });
}

/// Asks one node after the other until one gives an id.
void sim_client::admit() {
  auto to = view_.nodes[turn_++ % view_.nodes.size()].id;
  net_.ask<cluster_response>(
    self_, to.value, sim_channel::control, options_.ask_cluster_ms,
    [&nodes = nodes_, to](auto answer) {
      if (auto* node = nodes.find(to.value))
        node->serve(cluster_request{admit_client{"sim"}}, std::move(answer));
    },
    [this, alive = alive_](expected<cluster_response> response) {
      if (!*alive)
        return;
      const auto* result = response ? std::get_if<cluster_result>(&response->outcome) : nullptr;
      if (result == nullptr)
        return later(50 * ms, [this] { admit(); });
      auto options = options_.gateway;
      options.client = std::get<client_admitted>(*result).client;
      world_.note("client " + std::to_string(self_) + " is "
                  + std::to_string(options.client.value));
      gateway_ = std::make_unique<gateway_state>(options, view_);
      for (const auto& node : view_.nodes)
        if (!net_.is_up(self_, node.id.value))
          step(
            [&](gateway_effects& out) { gateway_->link_changed(node.id, false, present(), out); });
      refresh_view();
    });
}

void sim_client::refresh_view() {
  if (refreshing_)
    return;
  for (std::size_t i = 0; i < view_.nodes.size(); ++i) {
    auto to = view_.nodes[turn_++ % view_.nodes.size()].id;
    if (!net_.is_up(self_, to.value))
      continue;
    refreshing_ = true;
    net_.ask<cluster_view>(
      self_, to.value, sim_channel::control, options_.view_ms,
      [&nodes = nodes_, to](auto answer) {
        if (auto* node = nodes.find(to.value))
          answer(node->view());
      },
      [this, alive = alive_](expected<cluster_view> view) {
        if (!*alive)
          return;
        refreshing_ = false;
        later(options_.view_ms * ms, [this] { refresh_view(); });
        if (!view || view->version < view_.version)
          return;
        view_ = *view;
        step(
          [&](gateway_effects& out) { gateway_->update_view(std::move(*view), present(), out); });
      });
    return;
  }
  later(options_.view_ms * ms, [this] { refresh_view(); });
}

template <class Step>
void sim_client::step(Step step) {
  gateway_effects out;
  step(out);
  for (auto& effect : out)
    std::visit([this](auto& x) { run(x); }, effect);
  arm();
}

void sim_client::call(file_call what, callback done) {
  if (!gateway_)
    return later(20 * ms, [this, what = std::move(what), done = std::move(done)]() mutable {
      call(std::move(what), std::move(done));
    });
  call_token token{++tokens_};
  waiting_[token] = std::move(done);
  step([&](gateway_effects& out) { gateway_->call(token, std::move(what), present(), out); });
}

void sim_client::shut_down(callback done) {
  TROUPE_ASSERT(gateway_ != nullptr);
  call_token token{++tokens_};
  waiting_[token] = std::move(done);
  step([&](gateway_effects& out) { gateway_->shut_down(token, present(), out); });
}

/// What this client said to a partition, or heard of it.
void sim_client::trace(const char* verb, std::uint64_t token, std::string_view what) {
  world_.trace("client " + std::to_string(self_) + " #" + std::to_string(token) + " " + verb + " "
               + std::string{what});
}

void sim_client::run(send_meta& x) {
  const auto& op = x.request.operation;
  if (world_.run.trace != nullptr)
    trace("sends", x.token.value, file_of(op) + " to node " + std::to_string(x.node.value));
  auto leases = leases_asked_for(op);
  lin committing;
  if (const auto* commit = std::get_if<op_commit_write>(&op)) {
    committing = commit->id;
    unsure_commits_.insert(commit->id);
  } else if (const auto* release = std::get_if<op_release_lease>(&op)) {
    if (!unsure_commits_.contains(release->id) && on_lease_back)
      on_lease_back(release->id);
  }
  bool releases = committing && std::get<op_commit_write>(op).release_lease;
  if (world_.planted(planted_bug::forgotten_retry) && x.request.sequence != 0) {
    // Every attempt is another change to the partition.
    x.request.low_water = x.request.low_water == 0 ? 0 : x.request.low_water * 16 + 15;
    x.request.sequence = x.request.sequence * 16 + ++renumbered_ % 16;
  }
  net_.ask<meta_response>(
    self_, x.node.value, sim_channel::control, options_.meta_ms,
    [&nodes = nodes_, to = x.node, request = std::move(x.request)](auto answer) {
      if (auto* node = nodes.find(to.value))
        node->serve(request, std::move(answer));
    },
    [this, alive = alive_, token = x.token, leases, committing, releases,
     sent = world_.events.now()](expected<meta_response> answer) {
      if (!*alive)
        return;
      if (world_.run.trace != nullptr)
        trace("hears", token.value, outcome_of(answer));
      bool fine = answer && std::holds_alternative<meta_result>(answer->outcome);
      if (fine && on_lease)
        for (auto file : granted(leases, std::get<meta_result>(answer->outcome)))
          on_lease(file, sent);
      if (fine && committing) {
        unsure_commits_.erase(committing);
        if (releases && on_lease_back)
          on_lease_back(committing);
      }
      step([&](gateway_effects& out) {
        if (answer)
          gateway_->meta_answered(token, std::move(*answer), present(), out);
        else
          gateway_->meta_failed(token, answer.error(), present(), out);
      });
    });
}

void sim_client::run(send_drive& x) {
  auto drive = drive_of(x.request);
  any_drive_request request =
    std::visit([](auto& r) { return any_drive_request{std::move(r)}; }, x.request);
  net_.ask<any_drive_answer>(
    self_, x.node.value, sim_channel::data, options_.drive_ms,
    [&nodes = nodes_, to = x.node, drive, request = std::move(request)](auto answer) {
      if (auto* node = nodes.find(to.value))
        node->serve(request, drive, std::move(answer));
    },
    [this, alive = alive_, token = x.token](expected<any_drive_answer> answer) {
      if (!*alive)
        return;
      expected<drive_answer> out_of_drive = error{errc::io_error, "another answer"};
      if (!answer)
        out_of_drive = answer.error();
      else
        std::visit(overload{[&](error& why) { out_of_drive = why; },
                            [&](run_stored& r) { out_of_drive = drive_answer{std::move(r)}; },
                            [&](run_data& r) { out_of_drive = drive_answer{std::move(r)}; },
                            [&](runs_freed& r) { out_of_drive = drive_answer{r}; },
                            [](run_list&) {}},
                   *answer);
      step([&](gateway_effects& out) {
        gateway_->drive_answered(token, std::move(out_of_drive), present(), out);
      });
    });
}

void sim_client::run(call_reply& x) {
  auto it = waiting_.find(x.token);
  TROUPE_ASSERT(it != waiting_.end());
  auto done = std::move(it->second);
  waiting_.erase(it);
  // Not inside the state's call: the door may call again at once.
  later(us, [done = std::move(done), outcome = std::move(x.outcome)] { done(outcome); });
}

void sim_client::run(damage_seen& x) {
  world_.note("client " + std::to_string(self_) + " saw damage in " + to_string(x.file) + ": "
              + x.cause.context);
}

void sim_client::run(unit_repaired& x) {
  world_.note("client " + std::to_string(self_) + " repaired a unit of " + to_string(x.file));
}

void sim_client::run(writes_lost& x) {
  world_.note("client " + std::to_string(self_) + " lost writes of " + to_string(x.file) + ": "
              + x.cause.context);
  if (on_lost)
    on_lost(x.file);
}

void sim_client::run(fetch_config&) {
  refresh_view();
}

void sim_client::arm() {
  auto next = gateway_->next_tick();
  if (next == armed_for_)
    return;
  armed_for_ = next;
  if (!next)
    return;
  later(clock_.until(*next), [this, mine = ++armings_] {
    if (mine != armings_)
      return;
    armed_for_.reset();
    step([&](gateway_effects& out) { gateway_->tick(present(), out); });
  });
}

} // namespace troupe
