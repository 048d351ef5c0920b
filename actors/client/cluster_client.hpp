#pragma once

#include "actors/gateway/client_session.hpp"
#include "messages/cluster_port.hpp"

#include <memory>
#include <string>

namespace troupe {

/// Connects to the cluster of a directory with the administrator's certificate.
expected<std::unique_ptr<cluster_port>> connect_cluster(const std::string& directory);

/// A connected cluster, seen from a command. One thread; calls block.
class cluster_client final : public cluster_port {
public:
  explicit cluster_client(std::unique_ptr<client_session> session) : session_(std::move(session)) {}

  expected<cluster_config> config() override;
  std::vector<node_answer> nodes() override;
  expected<space_report> space() override;
  expected<std::vector<event_record>> events(event_severity severity_min,
                                             std::uint32_t count_max) override;
  expected<std::vector<actor_report>> actors(const std::string& glob) override;
  expected<void> kill_actor(const std::string& path) override;
  expected<std::map<std::string, std::string>> effective_config(node_id node) override;
  expected<fsck_report> check() override;
  std::vector<node_certificates> certificates(const get_certificates& question) override;
  expected<void> revoke(const revoked_certificate& which) override;

  expected<file_layout> layout(const std::string& path) override;
  expected<inode_attributes> stat(const std::string& path) override;
  expected<std::vector<listed_entry>> list(const std::string& path) override;
  expected<std::string> read_symlink(const std::string& path) override;
  expected<void> make_directory(const std::string& path, std::uint32_t mode) override;
  expected<void> remove(const std::string& path) override;
  expected<void> rename(const std::string& from, const std::string& to) override;
  expected<std::uint64_t> put(const std::string& path, std::uint32_t mode,
                              const std::function<expected<byte_vector>()>& source) override;
  expected<std::uint64_t> cat(const std::string& path,
                              const std::function<expected<void>(byte_view)>& sink) override;

private:
  expected<call_result> call(file_call what);
  template <class Answer>
  expected<Answer> call_for(file_call what);
  /// Asks all nodes one question each; an answer or an error per node, in order.
  std::vector<std::pair<node_id, expected<admin_result>>> ask_all(const admin_request& question);
  expected<admin_result> ask_node(node_id node, const admin_request& question);
  expected<std::vector<std::pair<std::string, std::string>>> rows_of(const group_record& group);

  std::unique_ptr<client_session> session_;
};

} // namespace troupe
