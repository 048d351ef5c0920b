#include "actors/kit/log.hpp"
#include "actors/kit/trace.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace troupe;

TEST_CASE("log: an event is one line of JSON with its trace, and is kept for `event list`",
          "[unit][log]") {
  std::string directory = "/tmp/troupe_log_XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  auto path = directory + "/node.log";
  REQUIRE(open_log({.path = path, .severity_min = event_severity::info, .node = node_id{3}}));
  auto before = recent_events(0, event_severity::debug, 1'000'000);
  auto last = before.empty() ? 0 : before.back().number;
  {
    trace_scope scope{{trace_id{77}, 1}};
    log_event(event_severity::warn, "drive_failed",
              {{"drive", 2}, {"why", error{errc::io_error, "bad \"block\"\n\xff"}}});
  }
  log_event(event_severity::debug, "detail");
  log_event(event_severity::info, "peer_connected", {{"ok", true}, {"lin", lin{0x10002}}});
  flush_log();
  std::ifstream in{path};
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(nlohmann::json::parse(line));
  REQUIRE(lines.size() == 2); // the debug one is below the threshold
  CHECK(lines[0]["event"] == "drive_failed");
  CHECK(lines[0]["severity"] == "warn");
  CHECK(lines[0]["node"] == 3);
  CHECK(lines[0]["trace"] == 77);
  CHECK(lines[0]["drive"] == "2");
  CHECK(lines[0]["time"].get<std::string>().size() == 27);
  CHECK(lines[1]["ok"] == "true");
  CHECK(lines[1]["lin"] == "0:0001:0002");
  CHECK_FALSE(lines[1].contains("trace"));
  auto events = recent_events(last, event_severity::info, 10);
  REQUIRE(events.size() == 2);
  CHECK(events[0].node == node_id{3});
  CHECK(events[0].fields.at("drive") == "2");
  CHECK(recent_events(last, event_severity::warn, 10).size() == 1);
  CHECK(recent_events(events[0].number, event_severity::info, 10).size() == 1);
  REQUIRE(open_log({}));
  CHECK(open_log({.path = path + "/below_a_file.log"}).error().code == errc::io_error);
  std::filesystem::remove_all(directory);
}

TEST_CASE("log: files rotate, the oldest goes", "[unit][log]") {
  std::string directory = "/tmp/troupe_log_XXXXXX";
  REQUIRE(::mkdtemp(directory.data()) != nullptr);
  REQUIRE(open_log({.path = directory + "/x.log", .file_bytes_max = 4096, .files_max = 2}));
  for (int i = 0; i < 500; ++i)
    log_event(event_severity::info, "turn", {{"i", i}});
  flush_log();
  std::uintmax_t bytes = 0;
  int files = 0;
  for (const auto& f : std::filesystem::directory_iterator{directory}) {
    bytes += f.file_size();
    ++files;
  }
  CHECK(files == 3);
  CHECK(bytes <= 3 * 4096);
  REQUIRE(open_log({}));
  std::filesystem::remove_all(directory);
}

TEST_CASE("trace: the ring keeps the last records and finds one operation", "[unit][trace]") {
  trace_ring ring{4};
  for (std::uint64_t i = 1; i <= 6; ++i)
    ring.record({.id = trace_id{i % 2 + 1}, .span = i});
  auto all = ring.snapshot();
  REQUIRE(all.size() == 4);
  CHECK(all.front().span == 3);
  CHECK(all.back().span == 6);
  CHECK(ring.snapshot(trace_id{1}).size() == 2);
  CHECK(ring.total() == 6);
  CHECK(std::string{trace_name("node/1")} == "node/1");
  CHECK(trace_name("node/1") == trace_name(std::string{"node/"} + "1"));
  CHECK(new_trace_id() != new_trace_id());
}
