#pragma once

#include "messages/admin.hpp"
#include "messages/cluster_config.hpp"
#include "messages/error.hpp"
#include "messages/metadata.hpp"

#include <functional>
#include <string>
#include <vector>

namespace troupe {

/// What `troupe get FILE` knows about a file: attributes, requested level, extents, stripes.
struct file_layout {
  std::string path;
  inode_attributes attributes;
  std::string level; ///< "+2d:1n" in force for the file.
  bool level_is_default = true;
  std::string layout; ///< "6+2/2": what a full stripe gets now; PROT-14's second word.
  std::uint64_t inline_bytes = 0;
  std::vector<extent> extents;
  std::vector<stripe_info> stripes;
};

/// An entry as `ls` shows it.
struct listed_entry {
  std::string name;
  inode_attributes attributes;
};

/// Room in the cluster, in bytes of drives (parity not taken off).
struct space_report {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
};

/// What one node answered, or why it did not.
struct node_answer {
  node_record node;
  expected<node_status> status;
};

/// The certificates of one node, or why it did not answer.
struct node_certificates {
  node_id node;
  expected<certificate_report> report;
};

/// Something `fsck --check` found.
struct fsck_finding {
  std::string kind;   ///< "detached_directory", "dangling_entry": stable.
  std::string object; ///< LIN, path or stripe.
  std::string detail;
  bool leak = false; ///< Costs space, loses nothing.
};
struct fsck_report {
  std::uint64_t inodes = 0;
  std::uint64_t directories = 0;
  std::uint64_t stripes = 0;
  std::vector<fsck_finding> findings;
};

/// A connected cluster, as the command line sees it. Calls block until the answer is here or a
/// bounded wait is over. Errors carry an error id where a person can do something. One thread.
class cluster_port {
public:
  virtual ~cluster_port() = default;

  // -- the cluster
  virtual expected<cluster_config> config() = 0;
  virtual std::vector<node_answer> nodes() = 0;
  virtual expected<space_report> space() = 0;
  /// Events of all nodes, oldest first.
  virtual expected<std::vector<event_record>> events(event_severity severity_min,
                                                     std::uint32_t count_max) = 0;
  virtual expected<std::vector<actor_report>> actors(const std::string& glob) = 0;
  virtual expected<void> kill_actor(const std::string& path) = 0;
  virtual expected<std::map<std::string, std::string>> effective_config(node_id node) = 0;
  virtual expected<fsck_report> check() = 0;
  /// What each node answers, in order of ids.
  virtual std::vector<node_certificates> certificates(const get_certificates& question) = 0;
  /// From now on nobody accepts this certificate; committed when it returns.
  virtual expected<void> revoke(const revoked_certificate& which) = 0;

  // -- files; paths are absolute inside the cluster: "/a/b"
  virtual expected<file_layout> layout(const std::string& path) = 0;
  virtual expected<inode_attributes> stat(const std::string& path) = 0;
  virtual expected<std::vector<listed_entry>> list(const std::string& path) = 0;
  virtual expected<std::string> read_symlink(const std::string& path) = 0;
  virtual expected<void> make_directory(const std::string& path, std::uint32_t mode) = 0;
  virtual expected<void> remove(const std::string& path) = 0; ///< A file or an empty directory.
  virtual expected<void> rename(const std::string& from, const std::string& to) = 0;
  /// Takes bytes from `source` until it gives none; durable when it returns. Replaces a file.
  virtual expected<std::uint64_t> put(const std::string& path, std::uint32_t mode,
                                      const std::function<expected<byte_vector>()>& source) = 0;
  /// Gives bytes to `sink` until the end of the file.
  virtual expected<std::uint64_t> cat(const std::string& path,
                                      const std::function<expected<void>(byte_view)>& sink) = 0;
};

} // namespace troupe
