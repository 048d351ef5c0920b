#include "cluster/cluster_config_format.hpp"

#include "storage/base/coding.hpp"
#include "storage/base/crc32c.hpp"

namespace troupe {

namespace {

constexpr std::uint8_t row_format = 1;
constexpr std::uint8_t node_row_format = 2;

std::string key_of(char table, std::uint32_t number) {
  std::string key(1, table);
  for (int shift = 24; shift >= 0; shift -= 8)
    key += static_cast<char>(number >> shift & 0xff);
  return key;
}

std::string key_of(const drive_uuid& drive) {
  std::string key(1, 'd');
  key.append(reinterpret_cast<const char*>(drive.bytes.data()), drive.bytes.size());
  return key;
}

byte_view view_of(const uuid& x) {
  return std::as_bytes(std::span{x.bytes});
}

void read_uuid(byte_reader& in, uuid& x) {
  auto bytes = in.get_raw(x.bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i)
    x.bytes[i] = static_cast<std::uint8_t>(bytes[i]);
}

/// Runs `fill` on a writer behind the format byte.
template <class Fill>
std::string row(Fill fill, std::uint8_t format = row_format) {
  byte_vector bytes;
  byte_writer out{bytes};
  out.put(format);
  fill(out);
  return std::string{as_text(bytes)};
}

protection_level read_level(byte_reader& in) {
  auto number = in.get<std::uint8_t>();
  if (!is_protection_level(number))
    in.fail();
  return static_cast<protection_level>(number);
}

void read_cluster(byte_reader& in, cluster_config& config) {
  read_uuid(in, config.cluster);
  config.name = in.get_text();
  config.default_level = read_level(in);
  for (auto n = in.get<std::uint32_t>(); n > 0 && in.ok(); --n)
    config.levels_in_use.push_back(read_level(in));
}

void read_drive(byte_reader& in, const std::string& key, cluster_config& config) {
  drive_record d;
  byte_reader key_in{as_bytes(key).subspan(1)};
  read_uuid(key_in, d.id);
  d.node = node_id{in.get<std::uint32_t>()};
  d.bay = drive_bay{in.get<std::uint32_t>()};
  d.state = static_cast<drive_state>(in.get<std::uint8_t>());
  d.mount = incarnation{in.get<std::uint64_t>()};
  d.blocks_total = in.get<std::uint64_t>();
  config.drives[d.id] = d;
}

std::uint32_t number_in(const std::string& key) {
  std::uint32_t number = 0;
  for (std::size_t i = 1; i < key.size(); ++i)
    number = number << 8 | static_cast<std::uint8_t>(key[i]);
  return number;
}

void read_group(byte_reader& in, const std::string& key, cluster_config& config) {
  group_record g;
  g.id = group_id{number_in(key)};
  g.preferred_leader = replica_id{in.get<std::uint64_t>()};
  for (auto n = in.get<std::uint32_t>(); n > 0 && in.ok(); --n) {
    auto& r = g.replicas.emplace_back();
    r.id = replica_id{in.get<std::uint64_t>()};
    read_uuid(in, r.drive);
    r.node = node_id{in.get<std::uint32_t>()};
  }
  config.groups[g.id] = std::move(g);
}

void read_node(byte_reader& in, std::uint8_t format, const std::string& key,
               cluster_config& config) {
  node_record n;
  n.id = node_id{number_in(key)};
  n.state = static_cast<node_state>(in.get<std::uint8_t>());
  n.process = incarnation{in.get<std::uint64_t>()};
  n.address = in.get_text();
  n.client_address = format >= 2 ? in.get_text() : n.address; // one listener for all, then
  config.nodes[n.id] = std::move(n);
}

void read_revoked(byte_reader& in, const std::string& key, cluster_config& config) {
  revoked_certificate r;
  r.serial.hex = key.substr(1);
  r.role = static_cast<peer_role>(in.get<std::uint8_t>());
  r.id = in.get<std::uint64_t>();
  r.revoked_at.ns = static_cast<std::int64_t>(in.get<std::uint64_t>());
  r.not_after.ns = static_cast<std::int64_t>(in.get<std::uint64_t>());
  r.reason = in.get_text();
  config.revoked[r.serial] = std::move(r);
}

void read_slots(byte_reader& in, cluster_config& config) {
  for (auto n = in.get<std::uint32_t>(); n > 0 && in.ok(); --n) {
    auto& r = config.slots.emplace_back();
    r.first = in.get<std::uint16_t>();
    r.end = in.get<std::uint16_t>();
    r.group = group_id{in.get<std::uint32_t>()};
  }
}

void read_version(byte_reader& in, cluster_config& config) {
  config.version = config_version{in.get<std::uint64_t>()};
  config.epoch = snapshot_epoch{in.get<std::uint64_t>()};
  config.clients_given = in.get<std::uint64_t>();
  config.replicas_given = in.get<std::uint64_t>();
}

} // namespace

cluster_rows encode_cluster_config(const cluster_config& config) {
  cluster_rows rows;
  rows["c"] = row([&](byte_writer& out) {
    out.put_raw(view_of(config.cluster)).put_text(config.name);
    out.put(static_cast<std::uint8_t>(config.default_level));
    out.put(static_cast<std::uint32_t>(config.levels_in_use.size()));
    for (const auto& level : config.levels_in_use)
      out.put(static_cast<std::uint8_t>(level));
  });
  for (const auto& [id, d] : config.drives)
    rows[key_of(id)] = row([&](byte_writer& out) {
      out.put(d.node.value).put(d.bay.value).put(static_cast<std::uint8_t>(d.state));
      out.put(d.mount.value).put(d.blocks_total);
    });
  for (const auto& [id, g] : config.groups)
    rows[key_of('g', id.value)] = row([&](byte_writer& out) {
      out.put(g.preferred_leader.value).put(static_cast<std::uint32_t>(g.replicas.size()));
      for (const auto& r : g.replicas)
        out.put(r.id.value).put_raw(view_of(r.drive)).put(r.node.value);
    });
  for (const auto& [id, n] : config.nodes)
    rows[key_of('n', id.value)] = row(
      [&](byte_writer& out) {
        out.put(static_cast<std::uint8_t>(n.state)).put(n.process.value).put_text(n.address);
        out.put_text(n.client_address);
      },
      node_row_format);
  for (const auto& [serial, r] : config.revoked)
    rows["r" + serial.hex] = row([&](byte_writer& out) {
      out.put(static_cast<std::uint8_t>(r.role)).put(r.id);
      out.put(static_cast<std::uint64_t>(r.revoked_at.ns));
      out.put(static_cast<std::uint64_t>(r.not_after.ns)).put_text(r.reason);
    });
  rows["s"] = row([&](byte_writer& out) {
    out.put(static_cast<std::uint32_t>(config.slots.size()));
    for (const auto& r : config.slots)
      out.put(r.first).put(r.end).put(r.group.value);
  });
  rows["v"] = row([&](byte_writer& out) {
    out.put(config.version.value).put(config.epoch.value);
    out.put(config.clients_given).put(config.replicas_given);
  });
  return rows;
}

expected<cluster_config> decode_cluster_config(const cluster_rows& rows) {
  cluster_config config;
  for (const auto& [key, value] : rows) {
    byte_reader in{as_bytes(value)};
    auto format = in.get<std::uint8_t>();
    auto table = key.empty() ? '\0' : key[0];
    if (in.ok() && format > (table == 'n' ? node_row_format : row_format))
      return error{errc::wrong_version,
                   "cluster row '" + key.substr(0, 1) + "' of format " + std::to_string(format),
                   trp::newer_format};
    if (table == 'c')
      read_cluster(in, config);
    else if (table == 'd' && key.size() == 17)
      read_drive(in, key, config);
    else if (table == 'g' && key.size() == 5)
      read_group(in, key, config);
    else if (table == 'n' && key.size() == 5)
      read_node(in, format, key, config);
    else if (table == 'r' && key.size() > 1)
      read_revoked(in, key, config);
    else if (table == 's')
      read_slots(in, config);
    else if (table == 'v')
      read_version(in, config);
    else
      in.fail();
    if (!in.done())
      return error{errc::corrupt, "cluster row '" + key.substr(0, 1) + "'"};
  }
  return config;
}

cluster_row_changes difference(const cluster_rows& from, const cluster_rows& to) {
  cluster_row_changes changes;
  for (const auto& [key, value] : to) {
    auto it = from.find(key);
    if (it == from.end() || it->second != value)
      changes[key] = value;
  }
  for (const auto& [key, value] : from)
    if (!to.contains(key))
      changes[key] = std::nullopt;
  return changes;
}

namespace {

constexpr std::string_view file_magic = "TRPCONF1";

} // namespace

byte_vector encode_config_file(const cluster_config& config) {
  byte_vector bytes;
  byte_writer out{bytes};
  auto rows = encode_cluster_config(config);
  out.put_raw(as_bytes(file_magic)).put(static_cast<std::uint32_t>(rows.size()));
  for (const auto& [key, value] : rows)
    out.put_text(key).put_text(value);
  out.put(crc32c(bytes));
  return bytes;
}

expected<cluster_config> decode_config_file(byte_view bytes) {
  error damaged{errc::corrupt, "cluster configuration file"};
  if (bytes.size() < file_magic.size() + 4)
    return damaged;
  byte_reader in{bytes.first(bytes.size() - 4)};
  auto magic = as_text(in.get_raw(file_magic.size()));
  if (magic != file_magic && magic.starts_with(file_magic.substr(0, 7)))
    return error{errc::wrong_version, "cluster configuration file", trp::newer_format};
  if (magic != file_magic
      || load_le<std::uint32_t>(bytes.data() + bytes.size() - 4)
           != crc32c(bytes.first(bytes.size() - 4)))
    return damaged;
  cluster_rows rows;
  for (auto n = in.get<std::uint32_t>(); n > 0 && in.ok(); --n) {
    auto key = in.get_text();
    rows[key] = in.get_text();
  }
  if (!in.done())
    return damaged;
  return decode_cluster_config(rows);
}

} // namespace troupe
