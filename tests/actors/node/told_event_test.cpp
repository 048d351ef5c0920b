#include "actors/node/told_event.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

namespace {

const certified_identity mount{{}, peer_role::client, 7};

event_record seen(const std::string& name, std::map<std::string, std::string> fields = {}) {
  event_record e;
  e.name = name;
  e.severity = event_severity::warn;
  e.fields = std::move(fields);
  return e;
}

} // namespace

TEST_CASE("told_event: it says who told it, whatever it says itself", "[unit][told_event]") {
  auto e = seen("unit_repaired", {{"drive", "x"}, {"told_by", "node/1"}});
  e.node = node_id{3};
  e.number = 99;
  auto out = told_event(e, mount);
  REQUIRE(out);
  CHECK(out->name == "unit_repaired");
  CHECK(out->fields == std::map<std::string, std::string>{{"drive", "x"}, {"told_by", "client/7"}});
  CHECK_FALSE(out->node);
  CHECK(out->number == 0);
}

TEST_CASE("told_event: names, keys, counts and values that could mislead are refused or cut off",
          "[unit][told_event]") {
  CHECK_FALSE(told_event(seen(""), mount));
  CHECK_FALSE(told_event(seen("a b"), mount));
  CHECK_FALSE(told_event(seen("ok\n{\"event\":\"other\"}"), mount));
  CHECK_FALSE(told_event(seen("\x1b[2J"), mount));
  CHECK_FALSE(told_event(seen(std::string(65, 'a')), mount));
  CHECK(told_event(seen(std::string(64, 'a')), mount));
  CHECK_FALSE(told_event(seen("e", {{std::string(1'000'000, 'k'), ""}}), mount));
  CHECK_FALSE(told_event(seen("e", {{"", "x"}}), mount));
  for (const char* own : {"time", "severity", "event", "node", "trace"}) // of the line in the log
    CHECK_FALSE(told_event(seen("e", {{own, "x"}}), mount));
  std::map<std::string, std::string> many;
  for (int i = 0; i < 17; ++i)
    many["k" + std::to_string(i)] = "v";
  CHECK_FALSE(told_event(seen("e", many), mount));
  CHECK(told_event(seen("e", {{"k", std::string(1'000'000, 'v')}}), mount)->fields["k"].size()
        == 512);
  auto loud = seen("e");
  loud.severity = static_cast<event_severity>(200);
  CHECK(told_event(loud, mount)->severity == event_severity::error);
}
