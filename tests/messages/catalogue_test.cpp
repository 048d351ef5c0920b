#include "messages/catalogue.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace troupe;

TEST_CASE("catalogue: numbers are what they always were", "[unit][catalogue]") {
  // Sent in every frame: a change here breaks clusters in the middle of an upgrade.
  CHECK(message_number<store_run> == 20);
  CHECK(message_number<run_stored> == 21);
  CHECK(message_number<read_run> == 22);
  CHECK(message_number<run_data> == 23);
  CHECK(message_number<free_runs> == 24);
  CHECK(message_number<runs_freed> == 25);
  CHECK(message_number<abandon_write> == 26);
  CHECK(message_number<get_drive_report> == 27);
  CHECK(message_number<drive_report> == 28);
  CHECK(message_number<meta_request> == 40);
  CHECK(message_number<meta_response> == 41);
  CHECK(message_number<consensus_parcel> == 60);
  CHECK(message_number<pull_state> == 61);
  CHECK(message_number<state_piece> == 62);
  CHECK(message_number<cluster_request> == 70);
  CHECK(message_number<cluster_response> == 71);
  CHECK(message_number<get_cluster_view> == 72);
  CHECK(message_number<cluster_view> == 73);
  CHECK(message_number<get_cluster_config> == 74);
  CHECK(message_number<cluster_config> == 75);
  CHECK(message_number<admin_request> == 80);
  CHECK(message_number<admin_response> == 81);
  CHECK(message_number<raise_event> == 82);
}

TEST_CASE("catalogue: every row is complete, every answer is a row", "[unit][catalogue]") {
  std::set<std::string> names;
  for (const auto& row : message_catalogue())
    CHECK(names.insert(row.name).second);
  for (const auto& row : message_catalogue()) {
    INFO(row.name);
    CHECK(std::string{row.meaning}.size() > 5);
    CHECK(find_message(row.number) == &row);
    std::string answer = row.answer;
    if (answer.empty()) { // an answer: nobody may send it unasked
      CHECK(row.senders.bits == 0);
      continue;
    }
    CHECK(row.senders.bits != 0);
    CHECK((answer == "-" || (names.count(answer) == 1 && row.answer_bytes > 0)));
  }
  CHECK(find_message(0) == nullptr);
  CHECK(find_message(65535) == nullptr);
}

namespace {

constexpr std::uint8_t nodes = 1;
constexpr std::uint8_t clients = 2;
constexpr std::uint8_t admins = 4;
constexpr std::uint8_t everybody = nodes | clients | admins;

/// Who may ask each kind of a request, by `senders_of`, in the order of the variant.
template <class Request, std::size_t... I>
std::vector<std::uint8_t> senders_of_each(std::index_sequence<I...>) {
  return {senders_of(Request{std::in_place_index<I>}).bits...};
}
template <class Request>
std::vector<std::uint8_t> senders_of_each() {
  return senders_of_each<Request>(std::make_index_sequence<std::variant_size_v<Request>>{});
}

} // namespace

TEST_CASE("catalogue: who may send what, message by message", "[unit][catalogue]") {
  // A new message fails here until somebody has thought about who may send it.
  const std::map<std::string, std::uint8_t> senders = {
    {"store_run", everybody},
    {"read_run", everybody},
    {"free_runs", everybody},
    {"abandon_write", everybody},
    {"get_drive_report", everybody},
    {"meta_request", everybody},
    {"consensus_parcel", nodes},
    {"pull_state", nodes},
    {"cluster_request", everybody},
    {"get_cluster_view", everybody},
    {"get_cluster_config", nodes | admins},
    {"admin_request", admins},
    {"raise_event", everybody},
  };
  std::size_t asked = 0;
  for (const auto& row : message_catalogue()) {
    INFO(row.name);
    if (row.answer[0] == '\0') {
      CHECK(row.senders.bits == 0);
      continue;
    }
    ++asked;
    REQUIRE(senders.count(row.name) == 1);
    CHECK(int{row.senders.bits} == int{senders.at(row.name)});
  }
  CHECK(asked == senders.size());
}

TEST_CASE("catalogue: what everybody may send is told apart by what it asks", "[unit][catalogue]") {
  CHECK(senders_of_each<cluster_request>()
        == std::vector<std::uint8_t>{
          nodes,     // register_node
          nodes,     // renew_node_lease
          everybody, // admit_client
          nodes,     // set_drive_state
          admins,    // revoke_certificate
        });
  auto verbs = senders_of_each<admin_request>();
  CHECK(verbs == std::vector<std::uint8_t>(verbs.size(), admins));
}
