#include "actors/host/cluster_maker.hpp"

#include "actors/host/certificate_store.hpp"
#include "actors/metadata/open_volume.hpp"
#include "actors/node/node_config.hpp"
#include "actors/node/node_options.hpp"
#include "cluster/cluster_config_format.hpp"
#include "cluster/initial_config.hpp"
#include "storage/base/clock.hpp"
#include "storage/base/random_uuid.hpp"
#include "storage/block/drive_mount.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace troupe {

namespace {

/// Room for LevelDB and logs beside the preallocated files of a drive that hosts replicas.
constexpr std::uint64_t metadata_reserve_bytes = 256 * mib;
constexpr std::uint64_t drive_bytes_min = 64 * mib;
/// Begins the name of a plan detail that is an option of the nodes.
constexpr std::string_view setting_prefix = "set ";

std::string detail(const plan_step& step, const std::string& name) {
  for (const auto& [key, value] : step.details)
    if (key == name)
      return value;
  return {};
}
std::uint64_t number(const plan_step& step, const std::string& name) {
  return std::strtoull(detail(step, name).c_str(), nullptr, 10);
}

std::string address_of(const cluster_wish& wish, node_id node) {
  return "127.0.0.1:" + std::to_string(wish.port_first + node.value);
}

/// Behind those of the nodes, so that a firewall can tell the two ranges apart.
std::string client_address_of(const cluster_wish& wish, node_id node) {
  return "127.0.0.1:" + std::to_string(wish.port_first + wish.nodes + node.value);
}

/// The directory that exists on the way to `path`: where free space can be asked for.
std::string existing_parent(env& files, std::string path) {
  while (path.size() > 1) {
    auto there = files.exists(path);
    if (there && *there)
      return path;
    auto slash = path.rfind('/');
    path = slash == 0 ? "/" : path.substr(0, slash);
  }
  return "/";
}

initial_cluster to_initial(const cluster_wish& wish, const cluster_uuid& cluster) {
  initial_cluster out;
  out.cluster = cluster;
  out.name = wish.name;
  out.level = wish.level;
  for (std::uint32_t n = 1; n <= wish.nodes; ++n) {
    auto& node = out.nodes.emplace_back();
    node.address = address_of(wish, node_id{n});
    node.client_address = client_address_of(wish, node_id{n});
    node.drives.resize(wish.drives_per_node);
  }
  return out;
}

} // namespace

expected<std::vector<plan_step>> cluster_maker::plan(const cluster_wish& wish) {
  cluster_files paths{wish.directory};
  std::vector<plan_step> steps;
  auto there = files_.exists(paths.description());
  if (!there)
    return there.error();
  if (*there)
    return error{errc::already_exists, wish.directory, trp::cluster_exists};
  if (auto unfinished = files_.exists(paths.creating()); unfinished && *unfinished)
    steps.push_back({"remove_unfinished", wish.directory, {}});
  else if (auto found = files_.list(wish.directory); found && !found->empty())
    return error{errc::already_exists, wish.directory + " is not empty and holds no cluster",
                 trp::directory_not_empty};
  if (wish.drive_bytes < drive_bytes_min)
    return error{errc::invalid_argument, "drives of " + std::to_string(wish.drive_bytes)
                                           + " bytes: at least 64 MiB are needed"};
  node_options options;
  if (auto fine = override_options(wish.options, options); !fine)
    return fine.error();
  cluster_uuid cluster;
  cluster.bytes = random_uuid().bytes;
  auto sample = to_initial(wish, cluster);
  for (auto& node : sample.nodes)
    for (auto& drive : node.drives)
      drive.bytes = random_uuid().bytes;
  auto config = make_initial_config(sample);
  if (!config)
    return config.error();
  std::set<drive_uuid> hosts;
  for (const auto& [id, group] : config->groups)
    for (const auto& r : group.replicas)
      hosts.insert(r.drive);
  std::uint64_t needed = wish.drive_bytes * wish.nodes * wish.drives_per_node
                         + hosts.size() * (journal_file_bytes({}) + metadata_reserve_bytes);
  auto parent = existing_parent(files_, wish.directory);
  auto free_bytes = files_.free_bytes(parent);
  if (!free_bytes)
    return free_bytes.error();
  if (*free_bytes < needed)
    return error{errc::no_space,
                 wish.directory + " needs " + std::to_string(needed / mib) + " MiB, " + parent
                   + " has " + std::to_string(*free_bytes / mib) + " MiB free",
                 trp::not_enough_disk_space};
  steps.push_back({"create_cluster",
                   wish.directory,
                   {{"name", wish.name},
                    {"uuid", to_string(cluster)},
                    {"nodes", std::to_string(wish.nodes)},
                    {"drives_per_node", std::to_string(wish.drives_per_node)},
                    {"drive_bytes", std::to_string(wish.drive_bytes)},
                    {"level", to_string(wish.level)},
                    {"port_first", std::to_string(wish.port_first)}}});
  for (const auto& [name, value] : wish.options)
    steps.back().details.emplace_back(std::string{setting_prefix} + name, value);
  for (std::uint32_t n = 1; n <= wish.nodes; ++n)
    for (std::uint32_t b = 1; b <= wish.drives_per_node; ++b)
      steps.push_back({"format_drive",
                       paths.drive(node_id{n}, drive_bay{b}),
                       {{"uuid", to_string(sample.nodes[n - 1].drives[b - 1])},
                        {"node", std::to_string(n)},
                        {"bay", std::to_string(b)}}});
  steps.push_back({"finish_cluster", wish.directory, {}});
  return steps;
}

bool cluster_maker::knows(const plan_step& step) {
  return step.action == "remove_unfinished" || step.action == "create_cluster"
         || step.action == "format_drive" || step.action == "finish_cluster";
}

expected<void> cluster_maker::execute(const plan_step& step) {
  if (step.action == "remove_unfinished")
    return remove_unfinished(step);
  if (step.action == "create_cluster")
    return begin(step);
  if (step.action == "format_drive")
    return format(step);
  return finish(step);
}

expected<void> cluster_maker::remove_unfinished(const plan_step& step) {
  cluster_files paths{step.object};
  auto finished = files_.exists(paths.description());
  if (!finished || *finished) // somebody finished it meanwhile: never remove a whole cluster
    return error{errc::already_exists, step.object, trp::cluster_exists};
  std::error_code failed;
  std::filesystem::remove_all(step.object, failed);
  if (failed)
    return error{errc::io_error, "cannot remove " + step.object + ": " + failed.message()};
  return {};
}

expected<void> cluster_maker::begin(const plan_step& step) {
  wish_ = {};
  drives_.clear();
  wish_.directory = step.object;
  wish_.name = detail(step, "name");
  wish_.nodes = static_cast<std::uint32_t>(number(step, "nodes"));
  wish_.drives_per_node = static_cast<std::uint32_t>(number(step, "drives_per_node"));
  wish_.drive_bytes = number(step, "drive_bytes");
  wish_.port_first = static_cast<std::uint16_t>(number(step, "port_first"));
  for (const auto& [name, value] : step.details)
    if (name.starts_with(setting_prefix))
      wish_.options[name.substr(setting_prefix.size())] = value;
  auto level = parse_protection_level(detail(step, "level"));
  if (!level)
    return level.error();
  wish_.level = *level;
  if (!parse_uuid(detail(step, "uuid"), cluster_))
    return error{errc::invalid_argument, "plan without a cluster uuid"};
  cluster_files paths{wish_.directory};
  if (auto made = files_.make_directory(paths.root()); !made)
    return made;
  if (auto marked = files_.replace_file(paths.creating(), as_bytes("unfinished\n")); !marked)
    return marked;
  for (const auto& directory :
       {paths.root() + "/ca", paths.root() + "/admin", paths.root() + "/client", paths.mounts()})
    if (auto made = files_.make_directory(directory); !made)
      return made;
  auto ca = certificate_authority::create(cluster_);
  if (!ca)
    return ca.error();
  if (auto saved = ca->save(paths.ca_certificate(), paths.ca_key()); !saved)
    return saved;
  certificate_store store{files_, wish_.directory};
  if (auto issued =
        store.issue(*ca, {peer_role::admin, 1, paths.admin_certificate(), paths.admin_key()});
      !issued)
    return issued.error();
  if (auto issued =
        store.issue(*ca, {peer_role::client, 1, paths.client_certificate(), paths.client_key()});
      !issued)
    return issued.error();
  return {};
}

expected<void> cluster_maker::format(const plan_step& step) {
  new_drive drive;
  drive.node = node_id{static_cast<std::uint32_t>(number(step, "node"))};
  drive.bay = drive_bay{static_cast<std::uint32_t>(number(step, "bay"))};
  if (!parse_uuid(detail(step, "uuid"), drive.id))
    return error{errc::invalid_argument, "plan without a drive uuid"};
  drive_format_request what;
  what.cluster = cluster_;
  what.drive = drive.id;
  what.node = drive.node;
  what.file_bytes = wish_.drive_bytes;
  what.now = system_clock().wall();
  if (auto made = files_.make_directory(step.object); !made)
    return made;
  if (auto formatted = format_drive(files_, step.object, what); !formatted)
    return formatted;
  drives_.push_back(drive);
  return {};
}

expected<void> cluster_maker::finish(const plan_step& step) {
  cluster_files paths{step.object};
  auto initial = to_initial(wish_, cluster_);
  for (const auto& drive : drives_) {
    auto& node = initial.nodes.at(drive.node.value - 1);
    node.drives.at(drive.bay.value - 1) = drive.id;
    auto superblock = inspect_drive(files_, paths.drive(drive.node, drive.bay));
    if (!superblock)
      return superblock.error();
    node.drive_blocks = superblock->geometry.block_count;
  }
  auto config = make_initial_config(initial);
  if (!config)
    return config.error();
  if (auto made = make_replicas(*config); !made)
    return made;
  cluster_description description{cluster_, wish_.name, {}, {}};
  for (const auto& [id, node] : config->nodes) {
    if (auto made = make_node_files(*config, id); !made)
      return made;
    description.node_addresses.push_back(node.address);
    description.client_addresses.push_back(node.client_address);
  }
  if (auto saved = save_description(files_, paths, description); !saved)
    return saved;
  if (auto removed = files_.remove_file(paths.creating()); !removed)
    return removed;
  return files_.sync_directory(paths.root());
}

expected<void> cluster_maker::make_replicas(const cluster_config& config) {
  cluster_files paths{wish_.directory};
  std::map<drive_uuid, std::vector<std::pair<replica_id, const group_record*>>> by_drive;
  for (const auto& [id, group] : config.groups)
    for (const auto& replica : group.replicas)
      by_drive[replica.drive].push_back({replica.id, &group});
  for (const auto& [drive, replicas] : by_drive) {
    const auto& record = config.drives.at(drive);
    auto directory = paths.drive(record.node, record.bay);
    auto journal_directory = directory + "/" + metadata_paths::journal;
    if (auto made = files_.make_directory(journal_directory); !made)
      return made;
    if (auto made = create_journal(files_, journal_directory, drive, {}); !made)
      return made;
    auto journal = open_journal(files_, journal_directory, drive, {});
    if (!journal)
      return journal.error();
    for (const auto& [replica, group] : replicas) {
      group_configuration voters;
      for (const auto& r : group->replicas)
        voters.members.push_back({r.id, member_role::voter});
      auto created = journal->state.create_replica(replica, group->id, bootstrap_state(voters));
      if (!created)
        return created.error();
    }
    if (auto flushed = flush_journal(*journal); !flushed)
      return flushed.error();
    auto tables = leveldb_engine::open(directory + "/" + metadata_paths::tables, true);
    if (!tables)
      return tables.error();
  }
  return {};
}

expected<void> cluster_maker::make_node_files(const cluster_config& config, node_id node) {
  cluster_files paths{wish_.directory};
  auto ca = certificate_authority::load(paths.ca_certificate(), paths.ca_key());
  if (!ca)
    return ca.error();
  certificate_store store{files_, wish_.directory};
  if (auto issued = store.issue(
        *ca, {peer_role::node, node.value, paths.node_certificate(node), paths.node_key(node)});
      !issued)
    return issued.error();
  auto bytes = encode_config_file(config);
  if (auto saved = files_.replace_file(paths.node(node) + "/" + cached_config_name, bytes); !saved)
    return saved;
  node_config own;
  own.cluster = config.cluster;
  own.node = node;
  own.listen = config.nodes.at(node).address;
  own.listen_clients = config.nodes.at(node).client_address;
  own.directory = paths.node(node);
  own.certificate = paths.node_certificate(node);
  own.key = paths.node_key(node);
  own.ca = paths.ca_certificate();
  own.options = wish_.options;
  for (const auto& [id, drive] : config.drives)
    if (drive.node == node)
      own.drives.push_back({id, drive.bay, paths.drive(node, drive.bay)});
  std::sort(own.drives.begin(), own.drives.end(),
            [](const auto& a, const auto& b) { return a.bay < b.bay; });
  return save_node_config(files_, paths.node_config(node), own);
}

} // namespace troupe
