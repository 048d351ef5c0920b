#include "actors/node/node_config.hpp"
#include "storage/base/memory_env.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

node_config example() {
  node_config c;
  c.cluster.bytes[0] = 1;
  c.node = node_id{3};
  c.listen = "127.0.0.1:7403";
  c.directory = "/c/node-3";
  c.certificate = "/c/node-3/cert.pem";
  c.key = "/c/node-3/key.pem";
  c.ca = "/c/node-3/ca.pem";
  c.options["lease.lease_ms"] = "9000";
  node_drive d;
  d.id.bytes[3] = 4;
  d.bay = drive_bay{1};
  d.directory = "/c/node-3/drive-1";
  c.drives.push_back(d);
  return c;
}

void write(env& files, const std::string& text) {
  REQUIRE(files.replace_file("/n.json", as_bytes(text)));
}

} // namespace

TEST_CASE("node_config: what is saved is loaded", "[actor][node_config]") {
  memory_env files;
  REQUIRE(files.make_directory("/"));
  REQUIRE(save_node_config(files, "/n.json", example()));
  auto back = load_node_config(files, "/n.json");
  REQUIRE(back);
  CHECK(back->node == node_id{3});
  CHECK(back->drives.at(0).id == example().drives[0].id);
  CHECK(back->options.at("lease.lease_ms") == "9000");
}

TEST_CASE("node_config: every mistake names the file and the field", "[actor][node_config]") {
  memory_env files;
  REQUIRE(files.make_directory("/"));
  CHECK(load_node_config(files, "/n.json").error().id == trp::bad_config_file);
  write(files, "{");
  CHECK(load_node_config(files, "/n.json").error().context == "/n.json: is not a JSON object");
  REQUIRE(save_node_config(files, "/n.json", example()));
  auto bytes = files.read_file("/n.json", 1 << 20);
  REQUIRE(bytes);
  std::string good{as_text(*bytes)};
  for (std::string field : {"cluster", "node", "listen", "directory", "certificate", "key", "ca",
                            "drives", "uuid", "bay", "format"}) {
    auto text = good;
    text.replace(text.find('"' + field + '"'), field.size() + 2, "\"other\"");
    write(files, text);
    auto loaded = load_node_config(files, "/n.json");
    INFO(field);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().context.find(field) != std::string::npos);
  }
  auto newer = good;
  newer.replace(newer.find("\"format\": 1"), 11, "\"format\": 9");
  write(files, newer);
  CHECK(load_node_config(files, "/n.json").error().code == errc::wrong_version);
}
