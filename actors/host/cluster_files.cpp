#include "actors/host/cluster_files.hpp"

#include <nlohmann/json.hpp>

namespace troupe {

namespace {

using nlohmann::json;

constexpr int file_format = 2; ///< 1 had no list of addresses for clients.
constexpr std::uint64_t file_bytes_max = 1 << 20;

} // namespace

expected<cluster_description> load_description(env& files, const cluster_files& paths) {
  auto bytes = files.read_file(paths.description(), file_bytes_max);
  if (!bytes && bytes.error().code == errc::not_found)
    return error{errc::not_found, paths.root(), trp::cluster_not_found};
  if (!bytes)
    return bytes.error();
  auto text = as_text(*bytes);
  auto object = json::parse(text.begin(), text.end(), nullptr, false);
  error damaged{errc::corrupt, paths.description(), trp::bad_config_file};
  if (!object.is_object() || !object.contains("format") || !object["format"].is_number_integer())
    return damaged;
  if (object["format"] > file_format)
    return error{errc::wrong_version,
                 paths.description() + " has format " + object["format"].dump()
                   + ", this program reads up to " + std::to_string(file_format),
                 trp::newer_format};
  cluster_description out;
  auto uuid_text = object.value("cluster", json{});
  auto name = object.value("name", json{});
  auto nodes = object.value("nodes", json{});
  if (!uuid_text.is_string() || !parse_uuid(uuid_text.get<std::string>(), out.cluster)
      || !name.is_string() || !nodes.is_array() || nodes.empty())
    return damaged;
  out.name = name.get<std::string>();
  auto clients = object.value("clients", nodes);
  if (!clients.is_array() || clients.size() != nodes.size())
    return damaged;
  for (const auto& [from, to] :
       {std::pair{&nodes, &out.node_addresses}, std::pair{&clients, &out.client_addresses}})
    for (const auto& address : *from) {
      if (!address.is_string())
        return damaged;
      to->push_back(address.get<std::string>());
    }
  return out;
}

expected<void> save_description(env& files, const cluster_files& paths,
                                const cluster_description& what) {
  json object = {{"format", file_format},
                 {"cluster", to_string(what.cluster)},
                 {"name", what.name},
                 {"nodes", what.node_addresses},
                 {"clients", what.client_addresses}};
  auto text = object.dump(2) + "\n";
  return files.replace_file(paths.description(), as_bytes(text));
}

} // namespace troupe
