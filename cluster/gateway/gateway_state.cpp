#include "cluster/gateway/gateway_state.hpp"

#include "cluster/gateway/drive_exchange.hpp"
#include "cluster/gateway/file_flusher.hpp"
#include "cluster/gateway/file_operations.hpp"
#include "cluster/gateway/file_reader.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/lease_keeper.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/name_operations.hpp"
#include "cluster/gateway/open_files.hpp"
#include "cluster/gateway/removals.hpp"
#include "cluster/gateway/stripe_store.hpp"
#include "cluster/gateway/unit_reader.hpp"
#include "cluster/gateway/unit_repair.hpp"

#include <map>

namespace troupe {

/// All parts of one gateway, in the order in which they know each other.
class gateway_state::parts {
public:
  parts(gateway_options options, cluster_view view)
    : ctx(options, std::move(view)), partitions(ctx), drives(ctx), leases(ctx, partitions),
      stripes(ctx, drives), units(ctx, drives), repairs(ctx, partitions, drives, units),
      flusher(ctx, partitions, leases, stripes), reader(ctx, partitions, leases, units),
      files(options.cached_extents_max), removed(ctx),
      data(ctx, partitions, leases, flusher, reader, files, removed),
      names(ctx, partitions, files, removed, data) {
    partitions.listen({[this](group_id g, slot_id s) { leases.session_ready(g, s); },
                       [this](group_id g) { leases.session_lost(g); },
                       [this](group_id g) { leases.leader_changed(g); }});
    units.listen([this](damaged_unit x) { repairs.report(std::move(x)); });
    repairs.listen([this](lin f) { data.moved(f); });
    leases.listen({[this](lin f) { data.recalled(f); }, [this](lin f) { data.lost(f); }});
  }
  ~parts() { ctx.run.destroy_all(); }

  procedure<void> serve(call_token token, file_call what);
  procedure<expected<call_result>> run(file_call what, give_up_flag give_up);
  procedure<void> close_all(call_token token);

  gateway_context ctx;
  metadata_exchange partitions;
  drive_exchange drives;
  lease_keeper leases;
  stripe_store stripes;
  unit_reader units;
  unit_repair repairs;
  file_flusher flusher;
  file_reader reader;
  open_files files;
  removals removed;
  file_operations data;
  name_operations names;
  std::map<call_token, give_up_flag> calls; ///< Not answered yet.
};

namespace {

/// Brackets one input: time, then the input itself, then everything that it made ready.
class input {
public:
  input(gateway_context& ctx, instant now, gateway_effects& out) : ctx_(ctx) {
    ctx_.out = &out;
    ctx_.wall = now.wall;
    ctx_.run.advance(now.boot);
  }
  ~input() {
    ctx_.run.run();
    ctx_.out = nullptr;
  }
  input(const input&) = delete;
  input& operator=(const input&) = delete;

private:
  gateway_context& ctx_;
};

} // namespace

gateway_state::gateway_state(gateway_options options, cluster_view view)
  : parts_(std::make_unique<parts>(options, std::move(view))) {}
gateway_state::gateway_state(gateway_state&&) noexcept = default;
gateway_state::~gateway_state() = default;

procedure<expected<call_result>> gateway_state::parts::run(file_call what, give_up_flag give_up) {
  auto call = [&](auto& x) -> procedure<expected<call_result>> {
    using type = std::decay_t<decltype(x)>;
    if constexpr (std::is_same_v<type, call_lookup>)
      return names.lookup(std::move(x));
    else if constexpr (std::is_same_v<type, call_resolve>)
      return names.resolve(std::move(x));
    else if constexpr (std::is_same_v<type, call_make>)
      return names.make(std::move(x));
    else if constexpr (std::is_same_v<type, call_create>)
      return names.create(std::move(x), give_up);
    else if constexpr (std::is_same_v<type, call_unlink>)
      return names.unlink(std::move(x));
    else if constexpr (std::is_same_v<type, call_remove_directory>)
      return names.remove_directory(std::move(x));
    else if constexpr (std::is_same_v<type, call_rename>)
      return names.rename(std::move(x));
    else if constexpr (std::is_same_v<type, call_link>)
      return names.link(std::move(x));
    else if constexpr (std::is_same_v<type, call_read_symlink>)
      return names.read_symlink(std::move(x));
    else if constexpr (std::is_same_v<type, call_read_directory>)
      return names.read_directory(std::move(x));
    else if constexpr (std::is_same_v<type, call_get_attributes>)
      return data.get_attributes(std::move(x));
    else if constexpr (std::is_same_v<type, call_set_attributes>)
      return data.set_attributes(std::move(x), give_up);
    else if constexpr (std::is_same_v<type, call_get_layout>)
      return data.get_layout(std::move(x));
    else if constexpr (std::is_same_v<type, call_space>)
      return data.space();
    else if constexpr (std::is_same_v<type, call_open>)
      return data.open(std::move(x), give_up);
    else if constexpr (std::is_same_v<type, call_read>)
      return data.read(std::move(x));
    else if constexpr (std::is_same_v<type, call_write>)
      return data.write(std::move(x), give_up);
    else if constexpr (std::is_same_v<type, call_flush>)
      return data.flush(std::move(x));
    else if constexpr (std::is_same_v<type, call_fsync>)
      return data.fsync(std::move(x));
    else
      return data.release(std::move(x));
  };
  return std::visit(call, what);
}

procedure<void> gateway_state::parts::serve(call_token token, file_call what) {
  auto give_up = std::make_shared<bool>(false);
  auto [it, is_new] = calls.emplace(token, give_up);
  TROUPE_ASSERT(is_new);
  ++ctx.report.calls;
  auto outcome = co_await run(std::move(what), give_up);
  calls.erase(token);
  ctx.emit(call_reply{token, std::move(outcome)});
}

procedure<void> gateway_state::parts::close_all(call_token token) {
  auto closed = co_await data.close_everything();
  expected<call_result> outcome = call_result{done{}};
  if (!closed)
    outcome = closed.error();
  ctx.emit(call_reply{token, std::move(outcome)});
}

void gateway_state::call(call_token token, file_call what, instant now, gateway_effects& out) {
  input in{parts_->ctx, now, out};
  parts_->ctx.run.start(parts_->serve(token, std::move(what)));
}

void gateway_state::interrupt(call_token token, instant now, gateway_effects& out) {
  input in{parts_->ctx, now, out};
  auto it = parts_->calls.find(token);
  if (it != parts_->calls.end())
    *it->second = true;
}

void gateway_state::meta_answered(meta_token token, meta_response response, instant now,
                                  gateway_effects& out) {
  input in{parts_->ctx, now, out};
  parts_->partitions.answered(token, std::move(response));
}

void gateway_state::meta_failed(meta_token token, error cause, instant now, gateway_effects& out) {
  input in{parts_->ctx, now, out};
  parts_->partitions.failed(token, std::move(cause));
}

void gateway_state::drive_answered(drive_token token, expected<drive_answer> answer, instant now,
                                   gateway_effects& out) {
  input in{parts_->ctx, now, out};
  parts_->drives.answered(token, std::move(answer));
}

void gateway_state::update_view(cluster_view view, instant now, gateway_effects& out) {
  auto& ctx = parts_->ctx;
  input in{ctx, now, out};
  std::map<group_id, replica_id> leaders;
  for (const auto& group : ctx.map.view().groups)
    leaders[group.id] = group.leader;
  if (!ctx.map.update(std::move(view)))
    return;
  for (const auto& group : ctx.map.view().groups)
    if (group.leader && group.leader != leaders[group.id])
      parts_->leases.leader_changed(group.id);
  ctx.map_changed.wake_all();
}

void gateway_state::link_changed(node_id node, bool up, instant now, gateway_effects& out) {
  auto& ctx = parts_->ctx;
  input in{ctx, now, out};
  ctx.map.set_link(node, up);
  if (!up) {
    parts_->partitions.link_broke(node);
    parts_->drives.link_broke(node);
  }
  ctx.map_changed.wake_all();
}

void gateway_state::tick(instant now, gateway_effects& out) {
  input in{parts_->ctx, now, out};
}

std::optional<boot_time> gateway_state::next_tick() const {
  return parts_->ctx.run.next_due();
}

void gateway_state::shut_down(call_token token, instant now, gateway_effects& out) {
  input in{parts_->ctx, now, out};
  parts_->ctx.run.start(parts_->close_all(token));
}

gateway_report gateway_state::report() const {
  auto report = parts_->ctx.report;
  report.open_handles = parts_->files.count();
  report.leases_held = parts_->leases.count();
  for (const auto& [id, file] : parts_->files.records())
    report.dirty_bytes += file->buffer.unsettled_blocks() * block_bytes;
  report.read_cache_bytes = parts_->units.cached_bytes();
  return report;
}

} // namespace troupe
