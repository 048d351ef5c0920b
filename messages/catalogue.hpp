#pragma once

#include "messages/admin.hpp"
#include "messages/cluster_group.hpp"
#include "messages/consensus.hpp"
#include "messages/drive.hpp"
#include "messages/metadata.hpp"
#include "messages/replication.hpp"
#include "messages/roles.hpp"

#include <concepts>
#include <cstdint>
#include <span>

// All messages that travel between processes, in one place (`troupe messages` prints it). A type is
// in the catalogue if it has `message_traits` here and a row in catalogue.cpp. Numbers travel in
// frame headers: append, never reuse or change. A changed struct gets a new number, so that version
// N can still talk to N-1.

namespace troupe {

/// A request: number and the type of its answer.
template <std::uint16_t Number, class Answer>
struct request_traits {
  static constexpr std::uint16_t number = Number;
  using answer = Answer;
};
/// An answer: number only.
template <std::uint16_t Number>
struct answer_traits {
  static constexpr std::uint16_t number = Number;
};
/// A message without an answer; may be lost.
template <std::uint16_t Number>
struct one_way_traits {
  static constexpr std::uint16_t number = Number;
  static constexpr bool one_way = true;
};

template <class T>
struct message_traits {};

// -- drives -------------------------------------------------------------------------------------
template <>
struct message_traits<store_run> : request_traits<20, run_stored> {};
template <>
struct message_traits<run_stored> : answer_traits<21> {};
template <>
struct message_traits<read_run> : request_traits<22, run_data> {};
template <>
struct message_traits<run_data> : answer_traits<23> {};
template <>
struct message_traits<free_runs> : request_traits<24, runs_freed> {};
template <>
struct message_traits<runs_freed> : answer_traits<25> {};
template <>
struct message_traits<abandon_write> : request_traits<26, runs_freed> {};
template <>
struct message_traits<get_drive_report> : request_traits<27, drive_report> {};
template <>
struct message_traits<drive_report> : answer_traits<28> {};

// -- metadata -----------------------------------------------------------------------------------
template <>
struct message_traits<meta_request> : request_traits<40, meta_response> {};
template <>
struct message_traits<meta_response> : answer_traits<41> {};

// -- consensus ----------------------------------------------------------------------------------
template <>
struct message_traits<consensus_parcel> : one_way_traits<60> {};
template <>
struct message_traits<pull_state> : request_traits<61, state_piece> {};
template <>
struct message_traits<state_piece> : answer_traits<62> {};

// -- the cluster group --------------------------------------------------------------------------
template <>
struct message_traits<cluster_request> : request_traits<70, cluster_response> {};
template <>
struct message_traits<cluster_response> : answer_traits<71> {};
template <>
struct message_traits<get_cluster_view> : request_traits<72, cluster_view> {};
template <>
struct message_traits<cluster_view> : answer_traits<73> {};
template <>
struct message_traits<get_cluster_config> : request_traits<74, cluster_config> {};
template <>
struct message_traits<cluster_config> : answer_traits<75> {};

// -- operators ----------------------------------------------------------------------------------
template <>
struct message_traits<admin_request> : request_traits<80, admin_response> {};
template <>
struct message_traits<admin_response> : answer_traits<81> {};
template <>
struct message_traits<raise_event> : one_way_traits<82> {};

/// Travels between processes.
template <class T>
concept catalogued = requires {
  { message_traits<T>::number } -> std::convertible_to<std::uint16_t>;
};
/// Is answered, with `answer_of<T>` or an error.
template <class T>
concept request_message = catalogued<T> && requires {
  typename message_traits<T>::answer;
};
/// Is never answered.
template <class T>
concept one_way_message = catalogued<T> && requires {
  message_traits<T>::one_way;
};

template <catalogued T>
inline constexpr std::uint16_t message_number = message_traits<T>::number;
template <request_message T>
using answer_of = typename message_traits<T>::answer;

/// A row of the catalogue.
struct catalogue_entry {
  std::uint16_t number = 0;
  const char* name = "";
  const char* answer = "";        ///< Its answer; "" for an answer, "-" for one-way.
  role_set senders;               ///< Who may send it; empty for an answer.
  std::uint32_t answer_bytes = 0; ///< What a requester sets aside for the answer by default.
  const char* meaning = "";
};

/// All messages, ascending by number.
std::span<const catalogue_entry> message_catalogue();
/// nullptr for an unknown number.
const catalogue_entry* find_message(std::uint16_t number);

} // namespace troupe
