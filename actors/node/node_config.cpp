#include "actors/node/node_config.hpp"

#include <nlohmann/json.hpp>

namespace troupe {

namespace {

using nlohmann::json;

constexpr int file_format = 1;
constexpr std::uint64_t file_bytes_max = 1 << 20;

error bad(const std::string& path, const std::string& what) {
  return error{errc::invalid_argument, path + ": " + what, trp::bad_config_file};
}

/// Reads fields of one JSON object; the first thing that is wrong is kept.
class field_reader {
public:
  field_reader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  std::string text(const char* name) {
    auto it = object_.find(name);
    if (it == object_.end() || !it->is_string()) {
      complain(name, "must be a string");
      return {};
    }
    return it->get<std::string>();
  }
  std::uint32_t number(const char* name) {
    auto it = object_.find(name);
    if (it == object_.end() || !it->is_number_unsigned() || *it > 0xffff'ffffu) {
      complain(name, "must be a number");
      return 0;
    }
    return it->get<std::uint32_t>();
  }
  void read_uuid(const char* name, uuid& out) {
    if (!parse_uuid(text(name), out))
      complain(name, "must be a uuid");
  }
  void complain(const std::string& name, const std::string& what) {
    if (problem_.empty())
      problem_ = "field '" + where_ + name + "' " + what;
  }
  const std::string& problem() const { return problem_; }

private:
  const json& object_;
  std::string where_;
  std::string problem_;
};

} // namespace

expected<node_config> load_node_config(env& files, const std::string& path) {
  auto bytes = files.read_file(path, file_bytes_max);
  if (!bytes)
    return error{bytes.error().code, bytes.error().context, trp::bad_config_file};
  auto text = as_text(*bytes);
  auto object = json::parse(text.begin(), text.end(), nullptr, false);
  if (object.is_discarded() || !object.is_object())
    return bad(path, "is not a JSON object");
  field_reader fields{object, ""};
  if (auto format = fields.number("format"); format > file_format)
    return error{errc::wrong_version, path + ": format " + std::to_string(format),
                 trp::newer_format};
  node_config config;
  fields.read_uuid("cluster", config.cluster);
  config.node = node_id{fields.number("node")};
  config.listen = fields.text("listen");
  if (object.contains("listen_clients")) // files from before there were two listeners
    config.listen_clients = fields.text("listen_clients");
  config.directory = fields.text("directory");
  config.certificate = fields.text("certificate");
  config.key = fields.text("key");
  config.ca = fields.text("ca");
  if (!config.node)
    fields.complain("node", "must be 1 or more");
  auto drives = object.find("drives");
  if (drives == object.end() || !drives->is_array() || drives->empty())
    return bad(path, "field 'drives' must be a list with at least one drive");
  for (const auto& entry : *drives) {
    auto where = "drives[" + std::to_string(config.drives.size()) + "].";
    field_reader drive{entry, where};
    auto& d = config.drives.emplace_back();
    drive.read_uuid("uuid", d.id);
    d.bay = drive_bay{drive.number("bay")};
    d.directory = drive.text("directory");
    if (!drive.problem().empty())
      return bad(path, drive.problem());
  }
  if (auto options = object.find("options"); options != object.end()) {
    if (!options->is_object())
      fields.complain("options", "must be an object");
    else
      for (const auto& [name, value] : options->items())
        config.options[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  if (!fields.problem().empty())
    return bad(path, fields.problem());
  return config;
}

expected<void> save_node_config(env& files, const std::string& path, const node_config& config) {
  json object = {{"format", file_format},
                 {"cluster", to_string(config.cluster)},
                 {"node", config.node.value},
                 {"listen", config.listen},
                 {"listen_clients", config.listen_clients},
                 {"directory", config.directory},
                 {"certificate", config.certificate},
                 {"key", config.key},
                 {"ca", config.ca},
                 {"drives", json::array()},
                 {"options", config.options}};
  for (const auto& d : config.drives)
    object["drives"].push_back(
      {{"uuid", to_string(d.id)}, {"bay", d.bay.value}, {"directory", d.directory}});
  auto text = object.dump(2) + "\n";
  return files.replace_file(path, as_bytes(text));
}

} // namespace troupe
