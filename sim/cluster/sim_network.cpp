#include "sim/cluster/sim_network.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::uint64_t us = 1000;

} // namespace

void sim_network::start(endpoint who, std::function<void(endpoint, bool)> link_changed) {
  processes_[who] = {++processes_started_, std::move(link_changed)};
  held_until_.erase(who);
  for (const auto& [other, p] : processes_) {
    if (other == who || (who >= first_client_endpoint && other >= first_client_endpoint))
      continue;
    auto& c = connections_[between(who, other)];
    c.up = false;
    ++c.epoch;
    try_connect(between(who, other));
  }
}

void sim_network::stop(endpoint who) {
  processes_.erase(who);
  std::erase_if(questions_, [&](const auto& q) { return q.second.from == who; });
  std::vector<pair> gone;
  for (const auto& [which, c] : connections_)
    if (which.first == who || which.second == who)
      gone.push_back(which);
  for (auto which : gone)
    lose_connection(which);
}

bool sim_network::is_up(endpoint a, endpoint b) const {
  if (a == b)
    return true;
  auto it = connections_.find(between(a, b));
  return it != connections_.end() && it->second.up;
}

std::uint64_t sim_network::epoch(endpoint a, endpoint b) const {
  auto it = connections_.find(between(a, b));
  return it == connections_.end() ? 0 : it->second.epoch;
}

std::uint64_t sim_network::delay() {
  // Mostly a fraction of the longest one, now and then all of it.
  auto most = std::uint64_t{world_.run.faults.delay_ms_max} * ms;
  return world_.random.chance(900) ? world_.random.between(50 * us, most / 4)
                                   : world_.random.between(50 * us, most);
}

void sim_network::set_rates(std::uint32_t loss, std::uint32_t duplicate, std::uint32_t late) {
  loss_ = loss;
  duplicate_ = duplicate;
  late_ = late;
}

void sim_network::arrive(endpoint to, std::uint64_t process_number, std::function<void()> what) {
  auto it = processes_.find(to);
  if (it == processes_.end() || it->second.number != process_number)
    return;
  if (auto held = held_until_.find(to);
      held != held_until_.end() && held->second > world_.events.now()) {
    world_.events.at(held->second, [this, to, process_number, what = std::move(what)]() mutable {
      arrive(to, process_number, std::move(what));
    });
    return;
  }
  what();
}

void sim_network::tell(endpoint from, endpoint to, std::function<void()> deliver) {
  auto it = processes_.find(to);
  if (it == processes_.end())
    return;
  auto number = it->second.number;
  if (from == to) {
    world_.events.after(us, [this, to, number, deliver = std::move(deliver)]() mutable {
      arrive(to, number, std::move(deliver));
    });
    return;
  }
  if (!is_up(from, to) || cut(from, to) || world_.random.chance(loss_))
    return;
  auto copies = world_.random.chance(duplicate_) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    auto wait = delay();
    if (world_.random.chance(late_))
      wait += world_.random.below(std::uint64_t{world_.run.faults.late_ms_max} * ms);
    world_.events.after(
      wait, [this, to, number, deliver]() mutable { arrive(to, number, std::move(deliver)); });
  }
}

void sim_network::transmit(endpoint from, endpoint to, sim_channel channel,
                           std::function<void()> what) {
  auto it = processes_.find(to);
  if (it == processes_.end())
    return;
  auto number = it->second.number;
  if (from == to) {
    world_.events.after(us, [this, to, number, what = std::move(what)]() mutable {
      arrive(to, number, std::move(what));
    });
    return;
  }
  auto which = between(from, to);
  auto& c = connections_[which];
  if (!c.up)
    return;
  auto link = c.epoch;
  auto checked = [this, which, link, to, number, what = std::move(what)]() mutable {
    if (connections_[which].epoch == link)
      arrive(to, number, std::move(what));
  };
  if (cut(from, to)) {
    c.held.push_back({to, link, std::move(checked)});
    return;
  }
  auto& last = c.arrival[{to, channel}];
  last = std::max(last + us, world_.events.now() + delay());
  world_.events.at(last, std::move(checked));
}

std::uint64_t sim_network::begin(endpoint from, endpoint to, std::uint64_t timeout_ms,
                                 std::function<void(error)> failed) {
  auto id = ++questions_asked_;
  questions_[id] = {from, to, std::move(failed)};
  world_.mix(id + (std::uint64_t{from} << 32) + to);
  world_.events.after(timeout_ms * ms, [this, id] { fail(id, {errc::timeout, "no answer"}); });
  return id;
}

bool sim_network::finish(std::uint64_t id) {
  return questions_.erase(id) > 0;
}

void sim_network::fail(std::uint64_t id, error why) {
  auto it = questions_.find(id);
  if (it == questions_.end())
    return;
  auto p = processes_.find(it->second.from);
  if (p == processes_.end())
    return;
  arrive(it->second.from, p->second.number, [this, id, why] {
    auto at = questions_.find(id);
    if (at == questions_.end())
      return;
    auto failed = std::move(at->second.failed);
    world_.note("question of " + std::to_string(at->second.from) + " to "
                + std::to_string(at->second.to) + " fails: " + why.context);
    questions_.erase(at);
    failed(why);
  });
}

void sim_network::fail_soon(std::uint64_t id, error why) {
  world_.events.after(us, [this, id, why = std::move(why)] { fail(id, why); });
}

void sim_network::tell_link(endpoint who, endpoint peer, bool up) {
  auto it = processes_.find(who);
  if (it == processes_.end())
    return;
  arrive(who, it->second.number, [this, who, peer, up] {
    auto at = processes_.find(who);
    if (at != processes_.end() && at->second.link_changed)
      at->second.link_changed(peer, up);
  });
}

/// Everything that was under way is lost; who waits for an answer is told.
void sim_network::lose_connection(pair which) {
  auto& c = connections_[which];
  ++c.epoch;
  c.held.clear();
  if (!std::exchange(c.up, false))
    return try_connect(which);
  world_.note("connection lost " + std::to_string(which.first) + " "
              + std::to_string(which.second));
  for (const auto& [id, q] : questions_)
    if (q.from != q.to && between(q.from, q.to) == which)
      fail_soon(id, {errc::may_have_happened, "connection lost"});
  auto [a, b] = which;
  world_.events.after(us, [this, a, b] {
    tell_link(a, b, false);
    tell_link(b, a, false);
  });
  try_connect(which);
}

void sim_network::try_connect(pair which) {
  auto link = connections_[which].epoch;
  world_.events.after(world_.random.between(20 * ms, 200 * ms), [this, which, link] {
    auto& c = connections_[which];
    if (c.up || c.epoch != link || !runs(which.first) || !runs(which.second))
      return;
    if (cut(which.first, which.second))
      return try_connect(which);
    c.up = true;
    ++c.epoch;
    c.arrival.clear();
    auto [a, b] = which;
    tell_link(a, b, true);
    tell_link(b, a, true);
  });
}

void sim_network::break_connection(endpoint a, endpoint b) {
  if (connections_.contains(between(a, b)))
    lose_connection(between(a, b));
}

void sim_network::split(const std::set<endpoint>& side) {
  for (const auto& [a, p] : processes_)
    for (const auto& [b, q] : processes_) {
      if (a >= b || side.contains(a) == side.contains(b))
        continue;
      pair which{a, b};
      cut_.insert(which);
      // Silence is noticed after a while, by each connection for itself.
      auto link = epoch(a, b);
      world_.events.after(world_.random.between(700 * ms, 1500 * ms), [this, which, link] {
        if (cut_.contains(which) && connections_[which].epoch == link)
          lose_connection(which);
      });
    }
}

void sim_network::heal_split() {
  auto healed = std::exchange(cut_, {});
  for (auto which : healed) {
    auto& c = connections_[which];
    for (auto& held : std::exchange(c.held, {})) {
      auto& last = c.arrival[{held.to, sim_channel::control}];
      last = std::max(last + us, world_.events.now() + delay());
      world_.events.at(last, std::move(held.what));
    }
  }
}

} // namespace troupe
