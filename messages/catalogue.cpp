#include "messages/catalogue.hpp"

#include "messages/units.hpp"

#include <algorithm>
#include <array>

namespace troupe {

namespace {

constexpr std::uint32_t small = 4 * kib;
constexpr std::uint32_t page = 64 * kib;
constexpr role_set data_users = peer_role::node | peer_role::client | peer_role::admin;
constexpr role_set operators = peer_role::node | peer_role::admin;

template <request_message T>
constexpr catalogue_entry request(const char* name, const char* answer, role_set senders,
                                  std::uint32_t answer_bytes, const char* meaning) {
  return {message_number<T>, name, answer, senders, answer_bytes, meaning};
}
template <catalogued T>
constexpr catalogue_entry answer(const char* name, const char* meaning) {
  return {message_number<T>, name, "", {}, 0, meaning};
}
template <one_way_message T>
constexpr catalogue_entry one_way(const char* name, role_set senders, const char* meaning) {
  return {message_number<T>, name, "-", senders, 0, meaning};
}

constexpr auto table = std::to_array<catalogue_entry>({
  request<store_run>("store_run", "run_stored", data_users, small,
                     "store these bytes as a new run; the drive picks the place"),
  answer<run_stored>("run_stored", "the run, durable"),
  request<read_run>("read_run", "run_data", data_users, unit_bytes + page,
                    "read blocks of a run, if its birth is still there"),
  answer<run_data>("run_data", "the blocks, and the checksums of all blocks of the run"),
  request<free_runs>("free_runs", "runs_freed", data_users, small,
                     "free runs; absent ones are passed over"),
  answer<runs_freed>("runs_freed", "how many were freed, durable"),
  request<abandon_write>("abandon_write", "runs_freed", data_users, small,
                         "the run of that write is not wanted, before or after it is made"),
  request<get_drive_report>("get_drive_report", "drive_report", data_users, small,
                            "what does that drive say of itself"),
  answer<drive_report>("drive_report", "state, room and counters of a drive"),
  request<meta_request>("meta_request", "meta_response", data_users, page,
                        "one operation on a metadata partition"),
  answer<meta_response>("meta_response", "its outcome"),
  one_way<consensus_parcel>("consensus_parcel", only_nodes,
                            "a consensus message from replica to replica of a group"),
  request<pull_state>("pull_state", "state_piece", only_nodes, 2 * mib,
                      "a piece of a replica's state, for one that is too far behind"),
  answer<state_piece>("state_piece", "rows of the state; none: that was all"),
  request<cluster_request>("cluster_request", "cluster_response", data_users, page,
                           "something for the leader of the cluster group"),
  answer<cluster_response>("cluster_response", "its outcome"),
  request<get_cluster_view>("get_cluster_view", "cluster_view", data_users, 1 * mib,
                            "nodes, drives, partitions and leaders, as the node knows them"),
  answer<cluster_view>("cluster_view", "what a client must know to find leaders and drives"),
  request<get_cluster_config>("get_cluster_config", "cluster_config", operators, 1 * mib,
                              "the newest configuration that the node knows"),
  answer<cluster_config>("cluster_config", "everything that the cluster group decided"),
  request<admin_request>("admin_request", "admin_response", only_admins, 1 * mib,
                         "what an operator asks of one node"),
  answer<admin_response>("admin_response", "its outcome"),
  one_way<raise_event>("raise_event", data_users, "something worth an event, seen elsewhere"),
});

static_assert(std::is_sorted(table.begin(), table.end(),
                             [](const auto& a, const auto& b) { return a.number < b.number; }));
static_assert(std::adjacent_find(table.begin(), table.end(),
                                 [](const auto& a, const auto& b) { return a.number == b.number; })
              == table.end());

} // namespace

std::span<const catalogue_entry> message_catalogue() {
  return table;
}

const catalogue_entry* find_message(std::uint16_t number) {
  auto it =
    std::lower_bound(table.begin(), table.end(), number,
                     [](const catalogue_entry& e, std::uint16_t n) { return e.number < n; });
  return it != table.end() && it->number == number ? &*it : nullptr;
}

} // namespace troupe
