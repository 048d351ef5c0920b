#include "messages/catalogue.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

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

TEST_CASE("catalogue: only nodes speak consensus, clients do not administrate",
          "[unit][catalogue]") {
  auto senders = find_message(message_number<consensus_parcel>)->senders;
  CHECK(senders.has(peer_role::node));
  CHECK_FALSE(senders.has(peer_role::client));
  CHECK_FALSE(senders.has(peer_role::admin));
  CHECK_FALSE(find_message(message_number<admin_request>)->senders.has(peer_role::client));
}
