#pragma once

#include "actors/transport/gate.hpp"
#include "actors/transport/link.hpp"

#include <map>

namespace troupe {

/// Messages between processes: listens, keeps a link per peer, hands what arrives to the
/// dispatcher. One per process, on the reactor thread. Requests of a node to itself take no socket
/// and are not coded; they run in the next turn.
class transport {
public:
  /// @param process  grows with every start of this process; peers see restarts by it.
  static expected<std::unique_ptr<transport>> make(reactor& loop, const transport_options& options,
                                                   const credentials& own, incarnation process);
  ~transport();
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  /// Accepts peers of these roles on "127.0.0.1:7401"; may be called for several addresses.
  /// errc::already_exists (trp::port_in_use).
  expected<void> listen(const std::string& address, role_set roles = any_role);
  /// Where it listens (the first of several); with port 0 the port that it got. Empty if it does
  /// not.
  const std::string& address() const;
  const std::vector<std::unique_ptr<gate>>& gates() const { return gates_; }

  /// Uses another certificate of the same identity, or other CAs, from now on. Connections that
  /// we dialled are dialled again when nothing is in flight on them; peers that dialled us stay as
  /// long as their certificate is good under the new CAs. errc::invalid_argument
  /// (trp::bad_certificate) for another identity; nothing is changed then.
  expected<void> renew(const credentials& own);
  /// Dials all links again, gently, as `renew` does: the peers may have other certificates now.
  void renew_links();
  /// Certificates that are not accepted any more; open connections of their owners are closed
  /// within a heartbeat.
  void set_revoked(std::set<certificate_serial> revoked);
  const certificate_info& own_certificate() const { return core_.host.tls.own(); }
  const authority_list& authorities() const { return core_.trust.authorities(); }

  /// Opens a link to a node, or tells the link its new address. A link whose actor was killed
  /// comes back through this too.
  void open_link(node_id peer, const std::string& address);
  /// Closes it; what is pending fails.
  void close_link(node_id peer);
  /// nullptr if there is none.
  link* find_link(node_id peer);

  /// The functions that handle what arrives.
  dispatcher& messages() { return core_.messages; }

  /// Sends a request and calls `done` once with the answer or an error (see `link`), never inside
  /// this call, with the trace of the request current.
  template <request_message T>
  void request(node_id to, std::uint64_t target, const T& message, const request_options& options,
               answer_callback<T> done) {
    if (is_self(to))
      return request_here(target, message, options, std::move(done));
    auto* via = find_link(to);
    if (!via)
      return refuse<T>(to, std::move(done));
    via->request(message_number<T>, target, wire_encode(message), options,
                 [done = std::move(done)](const received_frame* frame, const error& why) {
                   if (!frame)
                     return done(why);
                   if (frame->header.message != message_number<answer_of<T>>)
                     return done(error{errc::corrupt, "answer of another type"});
                   done(wire_decode<answer_of<T>>(frame->body, frame->bulk));
                 });
  }
  /// Sends a message that is not answered. May be lost without an error.
  template <one_way_message T>
  expected<void> send(node_id to, std::uint64_t target, const T& message) {
    if (is_self(to)) {
      core_.loop.post([this, alive = alive_, context = context_here(target, {}), message] {
        if (*alive)
          core_.messages.call(context, message);
      });
      return {};
    }
    auto* via = find_link(to);
    if (!via)
      return error{errc::not_found, "no link to node/" + std::to_string(to.value)};
    return via->send(message_number<T>, target, wire_encode(message));
  }

  const own_identity& self() const { return core_.self; }
  /// The highest snapshot epoch seen; every message carries it.
  snapshot_epoch epoch() const { return core_.epoch(); }
  void see_epoch(snapshot_epoch seen) { core_.see_epoch(seen); }
  void on_newer_epoch(std::function<void(snapshot_epoch)> f) {
    core_.on_newer_epoch = std::move(f);
  }
  /// Called when a link comes up or is lost. Several may listen; none may remove itself.
  void add_peer_listener(std::function<void(const peer_change&)> f) {
    peer_listeners_.push_back(std::move(f));
  }

  /// Links, then sessions.
  std::vector<link_report> report() const;
  std::size_t session_count() const;
  std::size_t unauthenticated_count() const;
  /// The certificates of connected peers, links first.
  std::vector<peer_certificate> peer_certificates() const;

private:
  transport(reactor& loop, const transport_options& options, tls_context tls, incarnation process);

  bool is_self(node_id to) const {
    return core_.self.certified.role == peer_role::node && core_.self.certified.id == to.value;
  }
  request_context context_here(std::uint64_t target, const request_options& options) const;

  template <request_message T>
  void request_here(std::uint64_t target, const T& message, const request_options& options,
                    answer_callback<T> done) {
    auto once = std::make_shared<answer_callback<T>>(std::move(done));
    auto deliver = [once, trace = options.trace](expected<answer_of<T>> answer) {
      if (auto f = std::exchange(*once, nullptr)) {
        trace_scope scope{trace};
        f(std::move(answer));
      }
    };
    auto timer = core_.loop.call_after_ms(options.timeout_ms, [deliver] {
      deliver(error{errc::timeout, "no answer here"});
    });
    core_.loop.post(
      [this, alive = alive_, context = context_here(target, options), message, deliver, timer] {
        if (!*alive)
          return deliver(error{errc::shutdown, "transport"});
        core_.messages.call<T>(context, message, [this, alive, deliver, timer](auto answer) {
          if (*alive)
            core_.loop.cancel(timer);
          deliver(std::move(answer));
        });
      });
  }
  template <request_message T>
  void refuse(node_id to, answer_callback<T> done) {
    core_.loop.post([to, done = std::move(done)] {
      done(error{errc::unavailable, "no link to node/" + std::to_string(to.value)});
    });
  }

  /// Destroys it in the next turn: it may be on the stack now.
  void bury(std::shared_ptr<void> dead);

  transport_core core_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<std::unique_ptr<gate>> gates_;
  std::map<node_id, std::shared_ptr<link>> links_;
  std::vector<std::shared_ptr<void>> dead_;
  std::vector<std::function<void(const peer_change&)>> peer_listeners_;
};

} // namespace troupe
