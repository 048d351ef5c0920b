#include "actors/host/certificate_actions.hpp"
#include "storage/base/posix_env.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sys/stat.h>

using namespace troupe;

namespace {

/// The directory of a cluster of two nodes that does not run, with its certificates.
struct directory_of_two {
  std::string root = "/tmp/troupe_certs_XXXXXX";
  posix_env files;
  directory_of_two() {
    REQUIRE(::mkdtemp(root.data()) != nullptr);
    cluster_files paths{root};
    cluster_uuid cluster;
    cluster.bytes.fill(5);
    for (const char* sub : {"/ca", "/admin", "/client", "/node-1", "/node-2"})
      REQUIRE(files.make_directory(root + sub));
    auto ca = certificate_authority::create(cluster);
    REQUIRE(ca);
    REQUIRE(ca->save(paths.ca_certificate(), paths.ca_key()));
    REQUIRE(save_description(files, paths, {cluster, "t", {"a:1", "a:2"}, {"a:3", "a:4"}}));
    certificate_store store{files, root};
    auto holders = store.holders();
    REQUIRE(holders);
    for (const auto& h : *holders)
      REQUIRE(store.issue(*ca, h));
  }
  ~directory_of_two() { std::filesystem::remove_all(root); }
  cluster_files paths() const { return cluster_files{root}; }
  certificate_actions actions() {
    return {files, [](const std::string&) -> expected<std::unique_ptr<cluster_port>> {
              return error{errc::unavailable, "not running", trp::cluster_not_running};
            }};
  }
  void execute(const expected<plan>& what) {
    REQUIRE(what);
    auto by = actions();
    for (const auto& step : what->steps) {
      INFO(step.action);
      CHECK(certificate_actions::knows(step));
      auto done = by.execute(step);
      REQUIRE(done);
      REQUIRE(by.execute(step)); // once more, as after a crash
    }
  }
  certificate_serial serial(const std::string& path) {
    auto found = load_authorities(path);
    REQUIRE(found);
    return info_of(*found->front()).serial;
  }
  /// Everything in the directory fits together.
  void check_whole() {
    certificate_store store{files, root};
    auto holders = store.holders();
    REQUIRE(holders);
    for (const auto& h : *holders) {
      auto loaded = load_credentials({h.certificate_path, h.key_path, paths().ca_certificate()});
      REQUIRE(loaded);
      CHECK(loaded->identity.role == h.role);
      struct stat st {};
      REQUIRE(::stat(h.key_path.c_str(), &st) == 0);
      CHECK((st.st_mode & 0777) == 0600);
    }
  }
};

} // namespace

TEST_CASE_METHOD(directory_of_two, "certificates: all that were issued are on record, with a file",
                 "[unit][certificate_store]") {
  certificate_store store{files, root};
  auto before = store.records();
  REQUIRE(before);
  CHECK(before->size() == 5); // CA, two nodes, client, admin
  execute(actions().plan_rotate(root, {.which = {"node/2"}}));
  auto after = store.records();
  REQUIRE(after);
  CHECK(after->size() == 7); // issued twice by the repeated step
  CHECK(std::count_if(after->begin(), after->end(),
                      [](const certificate_record& r) { return r.current; })
        == 4);
  CHECK(serial(paths().node_certificate(node_id{2})).hex != (*before)[2].info.serial.hex);
  check_whole();
}

TEST_CASE_METHOD(directory_of_two, "certificates: a CA is rotated, and retired, step by step",
                 "[unit][certificate_store]") {
  certificate_store store{files, root};
  auto old = authority_id(store.authority()->certificate());
  execute(actions().plan_rotate(root, {.authority = true}));
  check_whole();
  CHECK(load_authorities(paths().ca_certificate())->size() == 2);
  auto now = authority_id(store.authority()->certificate());
  CHECK(now != old);
  auto records = store.records();
  REQUIRE(records);
  for (const auto& r : *records)
    if (r.current)
      CHECK(r.info.authority == now);
  execute(actions().plan_retire(root, false));
  check_whole();
  CHECK(load_authorities(paths().ca_certificate())->size() == 1);
  CHECK(authority_id(store.authority()->certificate()) == now);
  auto nothing = actions().plan_retire(root, false);
  REQUIRE(nothing);
  CHECK(nothing->steps.empty());
}

TEST_CASE_METHOD(directory_of_two, "certificates: a rotation that was cut short goes on",
                 "[unit][certificate_store]") {
  // Method: stop after each step of a rotation in turn; what is there still fits together, and a
  // new rotation ends as it should.
  auto what = actions().plan_rotate(root, {.authority = true});
  REQUIRE(what);
  auto by = actions();
  for (const auto& step : what->steps) {
    REQUIRE(by.execute(step));
    check_whole();
    if (step.action == "trust_authority")
      CHECK(actions().plan_retire(root, true).error().id == trp::old_authority_in_use);
  }
  REQUIRE(certificate_store{files, root}.make_next_authority()); // and died
  auto next = *certificate_store{files, root}.newest_authority();
  execute(actions().plan_rotate(root, {.authority = true}));
  CHECK(authority_id(certificate_store{files, root}.authority()->certificate()) == next);
  check_whole();
}

TEST_CASE_METHOD(directory_of_two, "certificates: one for another machine is a directory to use",
                 "[unit][certificate_store]") {
  auto out = root + "/other";
  auto what = actions().plan_issue(root, {.output = out, .days = 3});
  execute(what);
  cluster_files there{out};
  auto loaded =
    load_credentials({there.client_certificate(), there.client_key(), there.ca_certificate()});
  REQUIRE(loaded);
  CHECK(loaded->identity.role == peer_role::client);
  CHECK(loaded->identity.id == 2); // 1 is this machine's
  CHECK(days_left(*loaded->certificate) <= 3);
  CHECK(days_left(*loaded->certificate) >= 2);
  CHECK(load_description(files, there)->client_addresses.size() == 2);
  CHECK_FALSE(std::filesystem::exists(there.ca_key()));
  CHECK(actions().plan_issue(root, {.output = out}).error().id == trp::directory_not_empty);
  CHECK(actions().plan_issue(root, {.role = peer_role::node, .output = root + "/x"}).error().id
        == trp::not_available_yet);
}

TEST_CASE_METHOD(directory_of_two, "certificates: what is revoked is named, and never oneself",
                 "[unit][certificate_store]") {
  auto plan_for = [&](const std::string& which) { return actions().plan_revoke(root, which, "r"); };
  auto client = serial(paths().client_certificate());
  auto what = plan_for("client/1");
  REQUIRE(what);
  REQUIRE(what->steps.size() == 1);
  CHECK(what->steps[0].object == client.hex);
  REQUIRE(plan_for(client.hex));
  CHECK(plan_for("client/9").error().id == trp::certificate_not_found);
  CHECK(plan_for("nonsense").error().id == trp::certificate_not_found);
  CHECK(plan_for(std::string(32, 'a'))->steps.size() == 1); // issued elsewhere
  CHECK(plan_for("admin/1").error().code == errc::invalid_argument);
  CHECK(plan_for(serial(paths().ca_certificate()).hex).error().code == errc::invalid_argument);
  CHECK(actions().execute(what->steps[0]).error().id == trp::cluster_not_running);
}
