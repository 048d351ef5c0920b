#pragma once

#include "messages/error.hpp"
#include "sim/cluster/surroundings.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace troupe {

/// A process on the network: nodes by their id, clients above `first_client_endpoint`. A client
/// that comes anew is another endpoint.
using endpoint = std::uint32_t;
inline constexpr endpoint first_client_endpoint = 1000;

/// What keeps its order: messages of one channel between two processes arrive as they were sent, as
/// on one connection; channels overtake each other.
enum class sim_channel : std::uint8_t { control, data };

/// Simulated connections between processes. What is sent over one arrives in order or, with all
/// that is under way, never; who asked is told when the connection breaks or time runs out. A net
/// split holds everything back: if it ends soon, that arrives late, else connections break.
/// Consensus parcels may besides be lost, late, repeated or overtaken.
class sim_network {
public:
  explicit sim_network(surroundings& world) : world_(world) {}

  /// A process starts; from now on it can be reached. @param link_changed  hears of connections.
  void start(endpoint who, std::function<void(endpoint peer, bool up)> link_changed);
  /// It is gone: nothing of it arrives any more, nobody answers it.
  void stop(endpoint who);
  bool runs(endpoint who) const { return processes_.contains(who); }
  /// Its process stands still until then; what arrives waits.
  void hold_until(endpoint who, std::uint64_t when) { held_until_[who] = when; }
  bool is_up(endpoint a, endpoint b) const;

  /// A parcel: may get lost. `deliver` runs at the receiver.
  void tell(endpoint from, endpoint to, std::function<void()> deliver);

  /// One question, at most one answer. `serve` runs at the receiver and is given what answers;
  /// `done` runs once at the asker, never inside this call: with the answer, errc::unavailable if
  /// it certainly was not sent, errc::may_have_happened if the connection broke, errc::timeout. Not
  /// at all once the asker has stopped.
  template <class Answer>
  void ask(endpoint from, endpoint to, sim_channel channel, std::uint64_t timeout_ms,
           std::function<void(std::function<void(expected<Answer>)>)> serve,
           std::function<void(expected<Answer>)> done) {
    auto id = begin(from, to, timeout_ms, [done](error why) { done(std::move(why)); });
    if (!is_up(from, to))
      return fail_soon(id, {errc::unavailable, "not connected"});
    transmit(from, to, channel, [this, id, from, to, channel, serve = std::move(serve), done] {
      auto link = epoch(from, to);
      serve([this, id, from, to, channel, link, done](expected<Answer> answer) {
        if (epoch(from, to) != link || !runs(to))
          return; // the connection that was asked on is gone
        transmit(to, from, channel, [this, id, answer = std::move(answer), done]() mutable {
          if (finish(id))
            done(std::move(answer));
        });
      });
    });
  }

  // Faults.
  void set_rates(std::uint32_t loss, std::uint32_t duplicate, std::uint32_t late);
  /// Connections between the two sides carry nothing until `heal_split`.
  void split(const std::set<endpoint>& side);
  void heal_split();
  bool is_split() const { return !cut_.empty(); }
  void break_connection(endpoint a, endpoint b);

private:
  using pair = std::pair<endpoint, endpoint>; ///< Smaller first.
  struct question {
    endpoint from;
    endpoint to;
    std::function<void(error)> failed;
  };
  struct held_message {
    endpoint to;
    std::uint64_t link;
    std::function<void()> what;
  };
  struct connection {
    bool up = true;
    std::uint64_t epoch = 0;
    std::vector<held_message> held;                                    ///< While it is cut.
    std::map<std::pair<endpoint, sim_channel>, std::uint64_t> arrival; ///< Of the last one sent.
  };
  static pair between(endpoint a, endpoint b) { return a < b ? pair{a, b} : pair{b, a}; }
  bool cut(endpoint a, endpoint b) const { return cut_.contains(between(a, b)); }
  std::uint64_t epoch(endpoint a, endpoint b) const;
  std::uint64_t begin(endpoint from, endpoint to, std::uint64_t timeout_ms,
                      std::function<void(error)> failed);
  bool finish(std::uint64_t id);
  void fail(std::uint64_t id, error why);
  void fail_soon(std::uint64_t id, error why);
  void transmit(endpoint from, endpoint to, sim_channel channel, std::function<void()> what);
  /// At the receiver, now or when it goes on.
  void arrive(endpoint to, std::uint64_t process, std::function<void()> what);
  void lose_connection(pair which);
  void try_connect(pair which);
  void tell_link(endpoint who, endpoint peer, bool up);
  std::uint64_t delay();

  struct process {
    std::uint64_t number = 0;
    std::function<void(endpoint, bool)> link_changed;
  };
  surroundings& world_;
  std::map<endpoint, process> processes_;
  std::map<pair, connection> connections_;
  std::set<pair> cut_;
  std::map<endpoint, std::uint64_t> held_until_;
  std::map<std::uint64_t, question> questions_;
  std::uint64_t questions_asked_ = 0;
  std::uint64_t processes_started_ = 0;
  std::uint32_t loss_ = 0;
  std::uint32_t duplicate_ = 0;
  std::uint32_t late_ = 0;
};

} // namespace troupe
