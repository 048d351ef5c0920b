#include "sim/cluster/name_checker.hpp"

#include <algorithm>
#include <deque>

namespace troupe {

namespace {

constexpr std::size_t worlds_max = 4000;
constexpr std::size_t steps_max = 60'000; ///< Of one search.

const char* name_of(name_call what) {
  switch (what) {
  case name_call::make: return "make";
  case name_call::unlink: return "unlink";
  case name_call::remove_directory: return "rmdir";
  case name_call::rename: return "rename";
  case name_call::link: return "link";
  case name_call::lookup: return "lookup";
  case name_call::list: return "list";
  }
  return "?";
}

} // namespace

bool is_refusal(errc code) {
  switch (code) {
  case errc::not_found:
  case errc::already_exists:
  case errc::not_directory:
  case errc::is_directory:
  case errc::not_empty:
  case errc::cross_partition: return true;
  default: return false;
  }
}

name_checker::op_number name_checker::begins(const name_op& op) {
  ops_.push_back(op);
  begun_.push_back(world_.events.now());
  auto number = ops_.size() - 1;
  pending_.insert(number);
  return number;
}

std::optional<lin> name_checker::lin_of(node n, const possible& at) const {
  if (auto it = known_.find(n); it != known_.end())
    return it->second;
  if (auto it = at.lins.find(n); it != at.lins.end())
    return it->second;
  return std::nullopt;
}

bool name_checker::same(node n, lin id, possible& at) const {
  if (n == 0 || !id)
    return n == 0 && !id;
  if (auto known = lin_of(n, at))
    return *known == id;
  for (const auto& [other, taken] : known_)
    if (taken == id)
      return false;
  for (const auto& [other, taken] : at.lins)
    if (taken == id)
      return false;
  at.lins[n] = id;
  return true;
}

/// What the call would do and answer if it took effect now.
name_checker::prediction name_checker::apply(op_number number, possible& at) const {
  const auto& op = ops_[number];
  prediction out;
  out.op = number;
  auto& here = at.names[op.name];
  auto is_dir = [&](node n) { return ops_[n].kind == file_kind::directory; };
  switch (op.what) {
  case name_call::make:
    if (here != 0) {
      out.code = errc::already_exists;
      break;
    }
    here = number;
    out.found = number;
    break;
  case name_call::unlink:
  case name_call::remove_directory: {
    bool wants_dir = op.what == name_call::remove_directory;
    if (here == 0)
      out.code = errc::not_found;
    else if (is_dir(here) != wants_dir)
      out.code = wants_dir ? errc::not_directory : errc::is_directory;
    else
      here = 0;
    break;
  }
  case name_call::rename: {
    auto& there = at.names[op.to_name];
    if (here == 0)
      out.code = errc::not_found;
    else if (there != 0 && op.no_replace)
      out.code = errc::already_exists;
    else if (there == here)
      break; // two names of one inode: nothing happens
    else if (there != 0 && is_dir(there) != is_dir(here))
      out.code = is_dir(there) ? errc::is_directory : errc::not_directory;
    else {
      there = here;
      here = 0;
    }
    break;
  }
  case name_call::link: {
    node target = 0;
    for (auto n : at.names)
      if (n != 0)
        if (auto id = lin_of(n, at); id && *id == op.target)
          target = n;
    if (here != 0)
      out.code = errc::already_exists;
    else if (target == 0)
      out.code = errc::not_found;
    else {
      here = target;
      out.found = target;
    }
    break;
  }
  case name_call::lookup:
    if (here == 0)
      out.code = errc::not_found;
    out.found = here;
    break;
  case name_call::list: out.list = at.names; break;
  }
  return out;
}

bool name_checker::agree(const prediction& said, const name_outcome& outcome, possible& at) const {
  if (outcome.code == errc::cross_partition)
    return false; // those are taken before anything is predicted
  if (said.code != outcome.code) {
    // A link to what is gone or to a name that is taken: either may be seen first.
    return ops_[said.op].what == name_call::link && said.code != errc::none
           && outcome.code != errc::none;
  }
  if (outcome.code != errc::none)
    return true;
  switch (ops_[said.op].what) {
  case name_call::make:
  case name_call::link:
  case name_call::lookup: return same(said.found, outcome.found, at);
  case name_call::list:
    for (std::size_t i = 0; i < name_count; ++i) {
      auto it = outcome.list.find(i);
      if (!same(said.list[i], it == outcome.list.end() ? lin{} : it->second, at))
        return false;
    }
    return true;
  default: return true;
  }
}

void name_checker::unsure(op_number op) {
  auto what = ops_[op].what;
  if (what != name_call::lookup && what != name_call::list) {
    unanswered_.insert(op);
    ++unsure_;
    return;
  }
  // It changed nothing: whatever it would have said does not matter.
  pending_.erase(op);
  std::set<possible> rest;
  for (auto world : worlds_) {
    std::erase_if(world.taken, [&](const prediction& p) { return p.op == op; });
    rest.insert(std::move(world));
  }
  worlds_ = std::move(rest);
}

std::string name_checker::describe(op_number number, const name_outcome& outcome) const {
  const auto& op = ops_[number];
  auto out = std::string{name_of(op.what)} + " of name " + std::to_string(op.name);
  if (op.what == name_call::rename)
    out += " to " + std::to_string(op.to_name);
  out += " begun at " + std::to_string(begun_[number] / 1'000'000) + " ms answered ";
  if (outcome.code != errc::none)
    return out + to_string(outcome.code);
  out += "ok";
  if (outcome.found)
    out += " " + to_string(outcome.found);
  for (const auto& [name, id] : outcome.list)
    out += " " + std::to_string(name) + "=" + to_string(id);
  return out;
}

/// Keeps the worlds in which the call can have taken effect with this outcome by now.
void name_checker::done(op_number op, const name_outcome& outcome) {
  ++world_.verdict.names_checked;
  if (given_up_)
    return;
  if (outcome.code == errc::cross_partition) { // nothing happened, whatever there is
    pending_.erase(op);
    std::erase_if(worlds_, [&](const possible& world) {
      return std::any_of(world.taken.begin(), world.taken.end(),
                         [&](const prediction& p) { return p.op == op; });
    });
    return;
  }
  std::set<possible> next;
  std::set<possible> met = worlds_;
  std::deque<possible> open(worlds_.begin(), worlds_.end());
  std::size_t steps = 0;
  auto settle = [&](possible world, const prediction& said) {
    std::erase_if(world.taken, [&](const prediction& p) { return p.op == op; });
    if (agree(said, outcome, world)) {
      if (ops_[op].what == name_call::make && outcome.code == errc::none)
        world.lins.erase(op); // known to all from now on
      next.insert(std::move(world));
    }
  };
  while (!open.empty()) {
    auto world = std::move(open.front());
    open.pop_front();
    if (auto it = std::find_if(world.taken.begin(), world.taken.end(),
                               [&](const prediction& p) { return p.op == op; });
        it != world.taken.end()) {
      settle(world, prediction{*it});
      continue;
    }
    auto after = world;
    auto said = apply(op, after);
    settle(std::move(after), said);
    for (auto other : pending_) {
      if (other == op
          || std::any_of(world.taken.begin(), world.taken.end(),
                         [&](const prediction& p) { return p.op == other; }))
        continue;
      auto step = world;
      auto predicted = apply(other, step);
      if (unanswered_.contains(other)) {
        if (step.names == world.names)
          continue; // without effect: as if it had not happened
        predicted = prediction{};
        predicted.op = other;
      }
      step.taken.push_back(predicted);
      std::sort(step.taken.begin(), step.taken.end());
      if (++steps > steps_max || next.size() > worlds_max) {
        world_.note("names of " + directory_ + " are not checked any more");
        given_up_ = true;
        return;
      }
      if (met.insert(step).second)
        open.push_back(std::move(step));
    }
  }
  pending_.erase(op);
  if (ops_[op].what == name_call::make && outcome.code == errc::none)
    known_[op] = outcome.found;
  if (next.empty()) {
    std::string state;
    for (auto n : worlds_.begin()->names)
      state += " "
               + (n == 0                        ? "-"
                  : lin_of(n, *worlds_.begin()) ? to_string(*lin_of(n, *worlds_.begin()))
                                                : "made by call " + std::to_string(n));
    given_up_ = true;
    return world_.violate("names of " + directory_ + ": " + describe(op, outcome)
                          + ", which no order explains; one possible state was:" + state);
  }
  worlds_ = std::move(next);
}

} // namespace troupe
