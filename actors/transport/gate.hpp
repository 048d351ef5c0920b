#pragma once

#include "actors/transport/doorstep.hpp"
#include "actors/transport/session.hpp"

#include <map>
#include <memory>
#include <vector>

namespace troupe {

/// One listening socket and everybody who came through it: strangers on the doorstep, peers in
/// their handshake, sessions. A gate has its own room for each, so a crowd at the gate of clients
/// takes no place from nodes; and it lets in certain roles only.
class gate final : private session_owner {
public:
  gate(transport_core& core, unique_fd listener, std::string address, role_set roles);
  ~gate();
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;

  /// Where it listens; with port 0 the port that it got.
  const std::string& address() const { return address_; }
  role_set roles() const { return roles_; }
  const std::map<std::uint64_t, std::shared_ptr<session>>& sessions() const { return sessions_; }
  std::size_t unauthenticated_count() const { return doorsteps_.size() + ungreeted_.size(); }

private:
  void watch();
  void accept_some();
  void rest();
  void arrived(std::uint64_t number, doorstep::visitor who);
  void make_room();
  void drop_oldest();
  /// Destroys it in the next turn: it may be on the stack now.
  void bury(std::shared_ptr<void> dead);
  expected<void> session_greeted(session& who) override;
  void session_holds_much() override;
  void session_ended(session& who) override;

  transport_core& core_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  unique_fd listener_;
  std::string address_;
  role_set roles_;
  timer_id rest_timer_{};
  std::uint64_t next_visitor_ = 1;
  std::map<std::uint64_t, std::unique_ptr<doorstep>> doorsteps_; // oldest first
  std::map<std::uint64_t, std::shared_ptr<session>> ungreeted_;
  std::map<std::uint64_t, std::shared_ptr<session>> sessions_;
  std::map<session_token, std::uint64_t> tokens_;
  std::map<certificate_serial, std::uint32_t> by_certificate_; // sessions of each
  std::vector<std::shared_ptr<void>> dead_;
};

} // namespace troupe
