#include "sim/cluster/workload.hpp"

namespace troupe {

namespace {

constexpr std::uint64_t ms = 1'000'000;
constexpr std::size_t space_count = 5;

new_inode inode_of(file_kind kind) {
  new_inode out;
  out.kind = kind;
  out.mode = 0755;
  return out;
}

byte_vector joined(const bytes_read& x) {
  byte_vector out;
  for (const auto& part : x.parts)
    out.insert(out.end(), part.view().begin(), part.view().end());
  return out;
}

std::string name_of(std::size_t number) {
  return "n" + std::to_string(number);
}

/// Errors that a healthy gateway may give while the cluster is harmed, and that leave open what
/// happened.
bool leaves_open(errc code) {
  switch (code) {
  case errc::io_error:
  case errc::unavailable:
  case errc::may_have_happened:
  case errc::timeout:
  case errc::busy:
  case errc::interrupted:
  case errc::stale:
  case errc::stale_handle:
  case errc::unknown_client:
  case errc::corrupt:
  case errc::no_space: return true;
  default: return false;
  }
}

} // namespace

workload::workload(surroundings& world, const sim_options& options)
  : world_(world), options_(options), random_(world.random),
    data_(world, std::uint64_t{options.partitions_options.leases.lease_ms} * 970'000) {
  struct shape {
    std::uint64_t cell_bytes;
    std::uint64_t cells;
  };
  for (auto s : {shape{700, 5}, shape{5000, 8}, shape{block_bytes, 16}, shape{block_bytes, 44}}) {
    data_.add_file(s.cell_bytes, s.cells);
    files_.push_back({"f" + std::to_string(files_.size()), {}, {}});
  }
  for (std::size_t i = 0; i < space_count; ++i) {
    auto name = "d" + std::to_string(i);
    spaces_.push_back({name, {}, std::make_unique<name_checker>(world, name), {}});
  }
}

void workload::ask(sim_client& client, file_call what, callback done) {
  ++world_.verdict.calls;
  ++under_way_;
  ++under_way_of_[client.self()];
  auto& alive = alive_[client.self()];
  if (!alive)
    alive = std::make_shared<bool>(true);
  world_.note("client " + std::to_string(client.self()) + " asks " + troupe::name_of(what));
  client.call(std::move(what), [this, who = client.self(),
                                done = std::move(done)](expected<call_result> answer) {
    --under_way_;
    --under_way_of_[who];
    if (answer)
      ++world_.verdict.succeeded;
    else if (leaves_open(answer.error().code))
      ++world_.verdict.unsure;
    else
      ++world_.verdict.refused;
    world_.note("client " + std::to_string(who) + " hears "
                + (answer ? std::string{"ok"} : describe(answer.error())));
    if (!answer && !leaves_open(answer.error().code) && !is_refusal(answer.error().code))
      world_.violate("an answer that cannot be: " + describe(answer.error()));
    done(std::move(answer));
  });
}

void workload::client_died(endpoint client) {
  under_way_ -= under_way_of_[client];
  under_way_of_.erase(client);
  *alive_[client] = false;
  for (std::size_t f = 0; f < files_.size(); ++f) {
    files_[f].handles.erase(client);
    data_.lost(client, f);
  }
}

void workload::insist(sim_client& client, std::function<file_call()> make, callback done) {
  ask(client, make(), [this, &client, make, done](expected<call_result> answer) {
    if (answer || !leaves_open(answer.error().code))
      return done(std::move(answer));
    world_.events.after(100 * ms, [this, &client, make, done, alive = alive_[client.self()]] {
      if (*alive)
        insist(client, make, done);
    });
  });
}

/// One directory or file after the other: asked for until it is there.
void workload::prepare_next(sim_client& client, std::function<void()> ready) {
  auto made = [this, &client, ready](lin& id) {
    return [this, &client, ready, &id](expected<call_result> answer) {
      if (answer)
        id = std::get<attributes_are>(*answer).attributes.id;
      prepare_next(client, ready);
    };
  };
  auto make = [&](lin& id, const std::string& name, file_kind kind) {
    insist(
      client,
      [name, kind] {
        return call_make{root_lin, name, inode_of(kind)};
      },
      [this, &client, ready, &id, name, made](expected<call_result> answer) {
        if (answer || answer.error().code != errc::already_exists)
          return made(id)(std::move(answer));
        insist(
          client,
          [name] {
            return call_lookup{root_lin, name};
          },
          made(id));
      });
  };
  for (auto& s : spaces_)
    if (!s.directory)
      return make(s.directory, s.name, file_kind::directory);
  for (auto& f : files_)
    if (!f.id)
      return make(f.id, f.name, file_kind::regular);
  ready();
}

void workload::prepare(sim_client& client, std::function<void()> ready) {
  prepare_next(client, std::move(ready));
}

void workload::work(sim_client& client) {
  alive_[client.self()] = std::make_shared<bool>(true);
  client.on_lost = [this, who = client.self()](lin id) {
    for (std::size_t f = 0; f < files_.size(); ++f)
      if (files_[f].id == id)
        data_.lost(who, f);
  };
  client.on_lease = [this, who = client.self()](lin id, std::uint64_t sent) {
    for (std::size_t f = 0; f < files_.size(); ++f)
      if (files_[f].id == id)
        data_.lease_granted(who, f, sent);
  };
  client.on_lease_back = [this, who = client.self()](lin id) {
    for (std::size_t f = 0; f < files_.size(); ++f)
      if (files_[f].id == id)
        data_.lease_given_back(who, f);
  };
  pause(client, false);
  pause(client, true);
}

void workload::pause(sim_client& client, bool names) {
  auto wait = random_.below(options_.pause_between_calls_ms * ms);
  world_.events.after(wait, [this, &client, names, alive = alive_[client.self()]] {
    if (!*alive || stopped_)
      return;
    if (names)
      next_name_call(client);
    else
      next_data_call(client);
  });
}

// -- data -----------------------------------------------------------------------------------------

void workload::with_handle(sim_client& client, std::size_t file,
                           std::function<void(file_handle)> then) {
  auto& handles = files_[file].handles;
  if (auto it = handles.find(client.self()); it != handles.end())
    return then(it->second);
  handle_mode mode;
  mode.write = true;
  ask(client, call_open{files_[file].id, mode},
      [this, &client, file, then](expected<call_result> answer) {
        if (!answer)
          return pause(client, false);
        auto handle = std::get<file_opened>(*answer).handle;
        files_[file].handles[client.self()] = handle;
        then(handle);
      });
}

void workload::next_data_call(sim_client& client) {
  auto file = random_.below(files_.size());
  auto draw = random_.below(100);
  if (draw < 6)
    return truncate(client, file);
  with_handle(client, file, [this, &client, file, draw](file_handle handle) {
    if (draw < 45)
      write(client, file, handle);
    else if (draw < 75)
      read(client, file, handle);
    else if (draw < 93)
      fsync(client, file, handle);
    else
      close(client, file, handle);
  });
}

void workload::write(sim_client& client, std::size_t file, file_handle handle) {
  auto cells = data_.cell_count(file);
  auto first = random_.below(cells);
  auto end = random_.chance(150) ? cells : std::min(cells, first + 1 + random_.below(6));
  if (random_.chance(100))
    first = 0;
  auto op = data_.write_begins(file, client.self(), first, end);
  call_write what{handle, first * data_.cell_bytes(file), shared_bytes{data_.bytes_of(op)}};
  what.durable = random_.chance(100);
  world_.note("write " + std::to_string(op) + " of file " + std::to_string(file) + " cells "
              + std::to_string(first) + "-" + std::to_string(end));
  ask(client, std::move(what), [this, &client, op](expected<call_result> answer) {
    if (answer)
      data_.done(op);
    else
      data_.unsure(op);
    pause(client, false);
  });
}

void workload::read(sim_client& client, std::size_t file, file_handle handle) {
  auto cells = data_.cell_count(file);
  auto first = random_.below(cells);
  auto end = random_.chance(300) ? cells : std::min(cells, first + 1 + random_.below(10));
  auto op = data_.read_begins(file, client.self(), first, end);
  auto cell = data_.cell_bytes(file);
  ask(client, call_read{handle, first * cell, static_cast<std::uint32_t>((end - first) * cell)},
      [this, &client, op](expected<call_result> answer) {
        if (answer)
          data_.done(op, joined(std::get<bytes_read>(*answer)));
        pause(client, false);
      });
}

void workload::fsync(sim_client& client, std::size_t file, file_handle handle) {
  auto op = data_.fsync_begins(file, client.self());
  bool flush = random_.chance(300);
  ask(client, flush ? file_call{call_flush{handle}} : file_call{call_fsync{handle}},
      [this, &client, op](expected<call_result> answer) {
        if (answer)
          data_.done(op);
        else
          data_.unsure(op);
        pause(client, false);
      });
}

void workload::close(sim_client& client, std::size_t file, file_handle handle) {
  files_[file].handles.erase(client.self());
  auto op = data_.fsync_begins(file, client.self());
  ask(client, call_flush{handle}, [this, &client, op, handle](expected<call_result> answer) {
    if (answer)
      data_.done(op);
    else
      data_.unsure(op);
    ask(client, call_release{handle},
        [this, &client](expected<call_result>) { pause(client, false); });
  });
}

void workload::truncate(sim_client& client, std::size_t file) {
  auto cell = random_.below(data_.cell_count(file) + 1);
  auto op = data_.truncate_begins(file, client.self(), cell);
  call_set_attributes what;
  what.id = files_[file].id;
  what.size = cell * data_.cell_bytes(file);
  world_.note("truncate " + std::to_string(op) + " of file " + std::to_string(file) + " at cell "
              + std::to_string(cell));
  ask(client, std::move(what), [this, &client, op](expected<call_result> answer) {
    if (answer)
      data_.done(op);
    else
      data_.unsure(op);
    pause(client, false);
  });
}

// -- names ----------------------------------------------------------------------------------------

file_call workload::to_call(const space& at, const name_op& op) const {
  auto name = name_of(op.name);
  switch (op.what) {
  case name_call::make: return call_make{at.directory, name, inode_of(op.kind)};
  case name_call::unlink: return call_unlink{at.directory, name};
  case name_call::remove_directory: return call_remove_directory{at.directory, name};
  case name_call::rename:
    return call_rename{at.directory, name, at.directory, name_of(op.to_name), op.no_replace, false};
  case name_call::link: return call_link{op.target, at.directory, name};
  case name_call::lookup: return call_lookup{at.directory, name};
  case name_call::list: return call_read_directory{at.directory, 0, 64, false};
  }
  return call_lookup{at.directory, name};
}

void workload::next_name_call(sim_client& client) {
  auto which = random_.below(spaces_.size());
  auto& s = spaces_[which];
  name_op op;
  op.name = random_.below(name_checker::name_count);
  op.to_name = random_.below(name_checker::name_count);
  op.no_replace = random_.chance(300);
  auto draw = s.checker->tired() ? 75 + random_.below(25) : random_.below(100);
  if (draw < 30) {
    op.what = name_call::make;
    op.kind = random_.chance(250) ? file_kind::directory : file_kind::regular;
  } else if (draw < 45) {
    op.what = name_call::unlink;
  } else if (draw < 52) {
    op.what = name_call::remove_directory;
  } else if (draw < 67) {
    op.what = name_call::rename;
  } else if (draw < 75 && !s.seen.empty()) {
    op.what = name_call::link;
    op.target = s.seen[s.seen.size() - 1 - random_.below(std::min<std::size_t>(2, s.seen.size()))];
  } else if (draw < 90) {
    op.what = name_call::lookup;
  } else {
    op.what = name_call::list;
  }
  ask_names(client, which, op, [this, &client](bool) { pause(client, true); });
}

void workload::ask_names(sim_client& client, std::size_t which, const name_op& op,
                         std::function<void(bool)> then) {
  auto& s = spaces_[which];
  auto number = s.checker->begins(op);
  world_.note("names of " + s.name + " call " + std::to_string(number) + " kind "
              + std::to_string(static_cast<int>(op.what)) + " name " + std::to_string(op.name));
  ask(client, to_call(s, op),
      [this, which, number, op, then = std::move(then)](expected<call_result> answer) {
        auto& at = spaces_[which];
        if (!answer && !is_refusal(answer.error().code)) {
          at.checker->unsure(number);
          return then(false);
        }
        name_outcome outcome;
        if (!answer) {
          outcome.code = answer.error().code;
        } else if (const auto* attributes = std::get_if<attributes_are>(&*answer)) {
          outcome.found = attributes->attributes.id;
          if (attributes->attributes.kind == file_kind::regular)
            at.seen.push_back(outcome.found);
        } else if (const auto* page = std::get_if<directory_page>(&*answer)) {
          for (const auto& entry : page->entries)
            for (std::size_t n = 0; n < name_checker::name_count; ++n)
              if (entry.name == name_of(n))
                outcome.list[n] = entry.child;
        }
        at.checker->done(number, outcome);
        then(true);
      });
}

// -- the end --------------------------------------------------------------------------------------

void workload::read_file(sim_client& client, std::size_t file, std::function<void()> done) {
  if (file == files_.size())
    return done();
  ask(client, call_open{files_[file].id, {}},
      [this, &client, file, done](expected<call_result> opened) {
        auto again = [this, &client, file, done] {
          world_.events.after(200 * ms, [this, &client, file, done, alive = alive_[client.self()]] {
            if (*alive)
              read_file(client, file, done);
          });
        };
        if (!opened)
          return again();
        auto cells = data_.cell_count(file);
        auto op = data_.read_begins(file, client.self(), 0, cells);
        auto bytes = static_cast<std::uint32_t>(cells * data_.cell_bytes(file));
        ask(client, call_read{std::get<file_opened>(*opened).handle, 0, bytes},
            [this, &client, op, file, done, again](expected<call_result> answer) {
              if (!answer)
                return again();
              data_.done(op, joined(std::get<bytes_read>(*answer)));
              read_file(client, file + 1, done);
            });
      });
}

void workload::read_space(sim_client& client, std::size_t which, std::function<void()> done) {
  if (which == spaces_.size())
    return read_file(client, 0, done);
  name_op op;
  op.what = name_call::list;
  ask_names(client, which, op, [this, &client, which, done](bool sure) {
    if (sure)
      return read_space(client, which + 1, done);
    world_.events.after(200 * ms, [this, &client, which, done, alive = alive_[client.self()]] {
      if (*alive)
        read_space(client, which, done);
    });
  });
}

void workload::read_all(sim_client& client, std::function<void()> done) {
  alive_[client.self()] = std::make_shared<bool>(true);
  read_space(client, 0, std::move(done));
}

} // namespace troupe
