#include "actors/node/node_options.hpp"

#include <array>
#include <charconv>
#include <concepts>

namespace troupe {

namespace {

/// Calls `visit(name, value)` for every option that has a name.
template <class Options, class Visit>
void for_each_option(Options& o, Visit visit) {
  visit("transport.connect_timeout_ms", o.transport.connect_timeout_ms);
  visit("transport.heartbeat_ms", o.transport.heartbeat_ms);
  visit("transport.dead_peer_ms", o.transport.dead_peer_ms);
  visit("transport.backend_encryption", o.transport.encryption);
  visit("transport.connections_max", o.transport.connections_max);
  visit("transport.unauthenticated_max", o.transport.unauthenticated_max);
  visit("transport.connections_per_certificate_max", o.transport.connections_per_certificate_max);
  visit("transport.handshake_timeout_ms", o.transport.handshake_timeout_ms);
  visit("io.io_uring", o.io.io_uring);
  visit("io.pool_threads", o.io.pool_threads);
  visit("workers.threads", o.workers.threads);
  visit("consensus.election_timeout_ms", o.replicas.consensus.election_timeout_ms);
  visit("consensus.heartbeat_ms", o.replicas.consensus.heartbeat_ms);
  visit("consensus.tail_bytes_max", o.replicas.consensus.tail_bytes_max);
  visit("replica.checkpoint_bytes", o.replicas.checkpoint_bytes);
  visit("replica.tick_ms", o.replica_tick_ms);
  visit("partition.lease_ms", o.partitions.leases.lease_ms);
  visit("partition.requests_max", o.partitions.requests_max);
  visit("partition.wait_ms_max", o.partitions.wait_ms_max);
  visit("node_lease.lease_ns", o.cluster.lease.lease_ns);
  visit("node_lease.slack_ns", o.cluster.lease.slack_ns);
  visit("node_lease.renewal_ns", o.cluster.lease.renewal_ns);
  visit("tables.cache_bytes", o.metadata.volume.tables.cache_bytes);
  visit("tables.write_buffer_bytes", o.metadata.leveldb.write_buffer_bytes);
  visit("hold_unsynced.enabled", o.hold_unsynced.enabled);
  visit("hold_unsynced.keep_one_in", o.hold_unsynced.keep_one_in);
  visit("hold_unsynced.seed", o.hold_unsynced.seed);
  visit("tables.bytes_max", o.metadata.volume.room.bytes_max);
  visit("drive.cache_pages_max", o.drives.cache_pages_max);
  visit("drive.requests_max", o.drives.requests_max);
}

bool read(const std::string& text, bool& value) {
  if (text != "true" && text != "false")
    return false;
  value = text == "true";
  return true;
}
template <std::unsigned_integral T>
bool read(const std::string& text, T& value) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failed == std::errc{} && end == text.data() + text.size();
}

constexpr std::array encryption_names{"auto", "always", "never"};

bool read(const std::string& text, backend_encryption& value) {
  for (std::size_t i = 0; i < encryption_names.size(); ++i)
    if (text == encryption_names[i]) {
      value = static_cast<backend_encryption>(i);
      return true;
    }
  return false;
}

std::string show(backend_encryption value) {
  return encryption_names[static_cast<std::size_t>(value)];
}
std::string show(bool value) {
  return value ? "true" : "false";
}
std::string show(std::uint64_t value) {
  return std::to_string(value);
}

} // namespace

expected<void> override_options(const std::map<std::string, std::string>& overrides,
                                node_options& options) {
  for (const auto& [wanted, text] : overrides) {
    bool known = false;
    bool fine = false;
    for_each_option(options, [&, w = wanted, t = text](const std::string& name, auto& value) {
      if (name != w)
        return;
      known = true;
      fine = read(t, value);
    });
    if (!known)
      return error{errc::invalid_argument, "unknown option '" + wanted + "'", trp::bad_config_file};
    if (!fine)
      return error{errc::invalid_argument, "option " + wanted + " cannot be '" + text + "'",
                   trp::bad_config_file};
  }
  return {};
}

std::map<std::string, std::string> effective(const node_options& options) {
  std::map<std::string, std::string> out;
  for_each_option(options, [&](const std::string& name, const auto& value) {
    using type = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<type, bool> || std::is_enum_v<type>)
      out[name] = show(value);
    else
      out[name] = show(static_cast<std::uint64_t>(value));
  });
  return out;
}

} // namespace troupe
