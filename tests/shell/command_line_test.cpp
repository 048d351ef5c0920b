// What a person or a script gets to see: exit codes, suggestions, plans, JSON.

#include "messages/catalogue.hpp"
#include "messages/error_ids.hpp"

#include <catch2/catch.hpp>

#include "scripted_ports.hpp"

using namespace troupe;
using namespace troupe::test;
using Catch::Contains;

TEST_CASE("command line: a mistyped word names the nearest one", "[unit][shell]") {
  scripted_host host;
  auto a = run(host, {"stauts"});
  CHECK(a.status == 2);
  CHECK_THAT(a.err, Contains("did you mean 'status'?"));
  auto b = run(host, {"actors", "lsit"});
  CHECK(b.status == 2);
  CHECK_THAT(b.err, Contains("did you mean 'list'?"));
  auto c = run(host, {"xylophone"});
  CHECK(c.status == 2);
  CHECK_THAT(c.err, Contains("'xylophone' is not a command") && !Contains("did you mean"));
  CHECK(run(host, {}).status == 2);
  CHECK(run(host, {"up", "--nodes", "0"}).status == 2);
  CHECK(run(host, {"up", "--no-such-option"}).status == 2);
  CHECK(host.executed.empty());
}

TEST_CASE("command line: a dry run prints the plan that the run executes", "[unit][shell]") {
  std::vector<std::vector<std::string>> changing = {{"up", "--nodes", "3", "--level", "+1n"},
                                                    {"down", "--destroy"},
                                                    {"mount", "/m"},
                                                    {"umount", "/m"},
                                                    {"cluster", "init"}};
  for (const auto& words : changing) {
    scripted_host host;
    INFO(words.front());
    auto dry = words;
    dry.push_back("--dry-run");
    auto planned = run(host, dry);
    CHECK(planned.status == 0);
    CHECK(host.executed.empty());
    dry.push_back("--json");
    auto document = run(host, dry).json();
    REQUIRE(document["steps"].size() == 1);
    auto done = run(host, words);
    CHECK(done.status == 0);
    REQUIRE(host.executed.size() == 1);
    CHECK(host.executed.front()
          == document["steps"][0]["action"].get<std::string>() + " "
               + document["steps"][0]["object"].get<std::string>());
  }
}

TEST_CASE("command line: file verbs change nothing in a dry run", "[unit][shell]") {
  scripted_host host;
  for (const auto& words : std::vector<std::vector<std::string>>{
         {"mkdir", "/a"}, {"rm", "/a"}, {"mv", "/a", "/b"}, {"actors", "kill", "node/1/drive/1"}}) {
    auto dry = words;
    dry.push_back("--dry-run");
    INFO(words.front());
    CHECK(run(host, dry).status == 0);
    CHECK(host.cluster->calls.empty());
  }
  CHECK(run(host, {"mkdir", "/a"}).status == 0);
  CHECK(run(host, {"mv", "/a", "/b"}).status == 0);
  CHECK(host.cluster->calls == std::vector<std::string>{"mkdir /a", "mv /a /b"});
}

TEST_CASE("command line: a refusal says object, cause and next step", "[unit][shell]") {
  scripted_host host;
  host.refusal = error{errc::no_space, "/d needs 9 MiB", trp::not_enough_disk_space};
  auto text = run(host, {"up"});
  CHECK(text.status == 1);
  CHECK_THAT(text.err, Contains("TRP-1002") && Contains("/d needs 9 MiB") && Contains("cause:")
                         && Contains("next:"));
  auto document = run(host, {"up", "--json"}).json();
  CHECK(document["error"]["id"] == "TRP-1002");
  CHECK(document["error"].contains("next_step"));
}

TEST_CASE("command line: who cannot be reached has an exit code of its own", "[unit][shell]") {
  scripted_host host;
  host.unreachable = error{errc::unavailable, "no node answers", trp::cluster_not_running};
  for (const auto& words : std::vector<std::vector<std::string>>{
         {"status"}, {"part", "list"}, {"ls", "/"}, {"fsck", "--check"}, {"event", "list"}}) {
    INFO(words.front());
    auto answer = run(host, words);
    CHECK(answer.status == 3);
    CHECK_THAT(answer.err, Contains("TRP-1015"));
  }
}

TEST_CASE("command line: findings of a check have an exit code of their own", "[unit][shell]") {
  scripted_host host;
  CHECK(run(host, {"fsck", "--check"}).status == 0);
  host.cluster->findings = {{"dangling_entry", "1:0000:0007", "no inode", false}};
  CHECK(run(host, {"fsck", "--check"}).status == 4);
  host.cluster->findings = {{"leaked_run", "1:0000:0007", "", true}};
  CHECK(run(host, {"fsck", "--check"}).status == 0);
  CHECK(run(host, {"config", "check", "/node.json"}).status == 4);
}

TEST_CASE("command line: status names the node that does not answer", "[unit][shell]") {
  scripted_host host;
  auto text = run(host, {"status"});
  CHECK(text.status == 0);
  CHECK_THAT(text.out, Contains("no answer"));
  auto document = run(host, {"status", "--json"}).json();
  REQUIRE(document["nodes"].size() == 2);
  CHECK(document["nodes"][0]["answers"] == true);
  CHECK(document["nodes"][1]["answers"] == false);
}

TEST_CASE("command line: every message and every error id can be looked up", "[unit][shell]") {
  scripted_host host;
  CHECK(run(host, {"messages", "--json"}).json()["messages"].size() == message_catalogue().size());
  CHECK(run(host, {"errors", "--json"}).json()["errors"].size() == error_table().size());
  CHECK_THAT(run(host, {"errors", "TRP-1001"}).out, Contains("port in use"));
  CHECK(run(host, {"errors", "TRP-9999"}).status == 1);
}

TEST_CASE("command line: certificates are listed with what the cluster says of them",
          "[unit][shell]") {
  scripted_host host;
  auto listed = run(host, {"cert", "list", "--json"}).json();
  REQUIRE(listed["certificates"].size() == 2);
  CHECK(listed["certificates"][1]["name"] == "node/1");
  CHECK(listed["certificates"][1]["state"] == "in use");
  host.unreachable = error{errc::unavailable, "no node answers", trp::cluster_not_running};
  auto alone = run(host, {"cert", "list"});
  CHECK(alone.status == 0);
  CHECK_THAT(alone.out, Contains("does not answer"));
}

TEST_CASE("command line: certificates are changed by plans", "[unit][shell]") {
  scripted_host host;
  CHECK(run(host, {"cert", "rotate", "node/3", "--dry-run"}).status == 0);
  CHECK(host.executed.empty());
  CHECK(run(host, {"cert", "rotate", "--ca"}).status == 0);
  CHECK(run(host, {"cert", "retire", "--force"}).status == 0);
  CHECK(run(host, {"cert", "issue", "--role", "admin", "--out", "/x"}).status == 0);
  CHECK(run(host, {"cert", "revoke", "client/7", "--reason", "lost"}).status == 0);
  CHECK(host.executed
        == std::vector<std::string>{"step_of_cert rotate ca all", "step_of_cert retire force",
                                    "step_of_cert issue admin /x",
                                    "step_of_cert revoke client/7 lost"});
  CHECK(run(host, {"cert", "issue", "--role", "node", "--out", "/x"}).status == 2);
  CHECK(run(host, {"cert", "revoke"}).status == 2);
}

TEST_CASE("command line: all verbs print JSON where they print a text", "[unit][shell]") {
  scripted_host host;
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"status"},
                                             {"part", "list"},
                                             {"actors", "list"},
                                             {"actors", "tree"},
                                             {"actors", "view", "node/1/drive/1"},
                                             {"event", "list"},
                                             {"config", "show"},
                                             {"cert", "list"},
                                             {"fsck", "--check"},
                                             {"messages"},
                                             {"errors"}}) {
    auto json = words;
    json.push_back("--json");
    INFO(words.front());
    auto answer = run(host, json);
    CHECK(answer.status == 0);
    CHECK(nlohmann::json::accept(answer.out));
  }
}

namespace {

/// Finds something in seed 7, and wherever a bug is planted.
class scripted_simulator final : public sim_port {
public:
  sim_outcome play(const sim_wish& wish) override {
    sim_outcome out;
    out.seed = wish.seed;
    out.digest = wish.seed * 16;
    if (wish.seed == 7 || !wish.planted.empty())
      out.violation = "two leaders";
    ++played;
    return out;
  }
  std::vector<std::string> planted_bugs() const override { return {"lying_drive"}; }
  int played = 0;
};

} // namespace

TEST_CASE("command line: sim plays seeds and stops at the first violation", "[unit][shell]") {
  scripted_host host;
  std::ostringstream out, err;
  std::istringstream in;
  shell::context ctx{host, out, err, in, "/d"};
  scripted_simulator simulator;
  ctx.simulator = &simulator;
  CHECK(shell::run_command_line(ctx, {"sim", "--seed", "3", "--seeds", "2"}) == 0);
  CHECK_THAT(out.str(), Contains("seed 4  digest 0000000000000040"));
  CHECK(simulator.played == 2);
  CHECK(shell::run_command_line(ctx, {"sim", "--seed", "6", "--seeds", "9"}) == 4);
  CHECK(simulator.played == 4);
  CHECK_THAT(err.str(), Contains("troupe sim --seed 7 --trace"));
  ctx.result = shell::exit_code::ok;
  CHECK(shell::run_command_line(ctx, {"sim", "--plant", "lying_drive"}) == 4);
  ctx.result = shell::exit_code::ok;
  CHECK(shell::run_command_line(ctx, {"sim", "--plant", "rust"}) == 2);
  CHECK_THAT(err.str(), Contains("nobody can plant 'rust'"));
  CHECK(run(host, {"sim"}).status == 1); // a program without it says so
}
