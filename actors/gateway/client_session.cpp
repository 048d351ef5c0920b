// g++ 12 takes the half of a variant that is not there for one that is not initialized.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "actors/gateway/client_session.hpp"

#include "actors/security/certificates.hpp"

namespace troupe {

namespace {

constexpr std::uint32_t question_ms = 2'000;
constexpr std::uint64_t view_wait_ns = 10'000'000'000;
constexpr std::uint64_t ns_per_ms = 1'000'000;
constexpr std::uint64_t admit_wait_ns = 20'000'000'000;

} // namespace

client_session::~client_session() = default;

expected<std::unique_ptr<client_session>>
client_session::open(env& files, const std::string& directory, peer_role role) {
  cluster_files paths{directory};
  auto description = load_description(files, paths);
  if (!description)
    return description.error();
  bool admin = role == peer_role::admin;
  credential_files proofs{admin ? paths.admin_certificate() : paths.client_certificate(),
                          admin ? paths.admin_key() : paths.client_key(), paths.ca_certificate()};
  auto found = load_credentials(proofs, description->cluster);
  if (!found)
    return found.error();
  std::unique_ptr<client_session> session{new client_session};
  auto net =
    network::make(session->loop_, {}, *found,
                  incarnation{static_cast<std::uint64_t>(session->loop_.time().wall().ns)});
  if (!net)
    return net.error();
  session->net_ = std::move(*net);
  session->keeper_ = std::make_unique<certificate_keeper>(session->loop_, *session->net_, proofs,
                                                          description->cluster);
  if (auto learnt = session->learn_view(*description); !learnt)
    return learnt.error();
  return session;
}

expected<void> client_session::learn_view(const cluster_description& description) {
  cluster_view guess;
  for (std::size_t i = 0; i < description.client_addresses.size(); ++i)
    guess.nodes.push_back(
      {node_id{static_cast<std::uint32_t>(i + 1)}, description.client_addresses[i], true});
  net_->set_nodes(guess);
  // A node that is not there refuses at once; who is silent is busy, and is asked again.
  auto end = loop_.time().boot().ns + view_wait_ns;
  for (;;) {
    auto asked = loop_.time().boot().ns;
    auto answered = ask_view(guess.nodes);
    auto now = loop_.time().boot().ns;
    if (answered) {
      net_->set_nodes(view_);
      return {};
    }
    if (now - asked < question_ms * ns_per_ms || now >= end)
      return error{answered.error().code,
                   "cluster " + description.name + ": " + answered.error().context,
                   answered.error().id};
  }
}

expected<void> client_session::ask_view(const std::vector<node_view>& nodes) {
  std::string silent;
  error_id id = trp::cluster_not_running;
  // All at once: the first good answer counts, so a dead node costs nothing.
  std::size_t answers = 0;
  bool learnt = false;
  for (const auto& node : nodes)
    net_->ask<get_cluster_view>(node.id, {}, question_ms, [&](expected<cluster_view> view) {
      ++answers;
      if (!view) {
        if (view.error().id)
          id = view.error().id;
        silent += (silent.empty() ? "" : "; ") + view.error().context;
        return;
      }
      if (!learnt || view->version > view_.version)
        view_ = std::move(*view);
      learnt = true;
    });
  // The callbacks refer to this frame: all of them come, at the latest at their timeout.
  run_until([&] { return answers == nodes.size(); });
  if (!learnt)
    return error{errc::unavailable, "no node answers (" + silent + ")", id};
  return {};
}

expected<cluster_result> client_session::ask_cluster(const cluster_request& request) {
  auto end = loop_.time().boot().ns + admit_wait_ns;
  error last{errc::unavailable, "no node answers", trp::no_quorum};
  for (std::size_t turn = 0; loop_.time().boot().ns < end; ++turn) {
    auto node = view_.nodes[turn % view_.nodes.size()].id;
    auto answer = ask<cluster_request>(node, request, question_ms);
    if (answer) {
      if (auto* result = std::get_if<cluster_result>(&answer->outcome))
        return std::move(*result);
      const auto& why = std::get<error>(answer->outcome);
      if (why.code == errc::invalid_argument || why.code == errc::busy)
        return why;
      last = {errc::unavailable, why.context, trp::no_quorum};
    } else if (answer.error().code == errc::permission_denied) {
      return answer.error();
    }
    if (turn % view_.nodes.size() + 1 == view_.nodes.size()) // nobody leads just now
      loop_.run_once(100);
  }
  return last;
}

expected<client_id> client_session::admit(const std::string& purpose) {
  auto result = ask_cluster(admit_client{purpose});
  if (!result)
    return result.error();
  return std::get<client_admitted>(*result).client;
}

expected<void> client_session::change_cluster(const cluster_request& request) {
  auto result = ask_cluster(request);
  return result ? expected<void>{} : result.error();
}

expected<gateway_runner*> client_session::gateway(const std::string& purpose) {
  if (gateway_)
    return gateway_.get();
  auto id = admit(purpose);
  if (!id)
    return id.error();
  gateway_options options;
  options.client = *id;
  gateway_ = std::make_unique<gateway_runner>(loop_, *net_, options, view_);
  net_->on_peer([this](node_id node, bool up) {
    if (gateway_)
      gateway_->peer_changed(node, up);
  });
  return gateway_.get();
}

} // namespace troupe
