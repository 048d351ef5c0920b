#pragma once

#include "actors/transport/network.hpp"

#include <array>

namespace troupe {

struct certificate_keeper_options {
  std::uint32_t look_every_ms = 2000; ///< How soon a changed file is noticed.
  std::int64_t warn_days = 30;        ///< Before its end a certificate becomes an event, daily.
};

/// Keeps a process's certificate and CAs those of its files: looks at them now and then and lets
/// the network work with what is there, without a restart. What cannot be used is told once, and
/// the old stays. Reactor thread only; outlived by reactor and network.
class certificate_keeper {
public:
  certificate_keeper(reactor& loop, network& net, credential_files files, cluster_uuid cluster,
                     certificate_keeper_options options = {});
  ~certificate_keeper();
  certificate_keeper(const certificate_keeper&) = delete;
  certificate_keeper& operator=(const certificate_keeper&) = delete;

  /// Looks now. Errors as those of `load_credentials` and `transport::renew`; the old stays then.
  expected<void> reload();

private:
  /// What tells one content of the three files from another: inode, size and time of change.
  using fingerprint = std::array<std::int64_t, 12>;
  static fingerprint look(const credential_files& files);
  void on_timer();
  void warn_of_end();

  reactor& loop_;
  network& net_;
  credential_files files_;
  cluster_uuid cluster_;
  certificate_keeper_options options_;
  fingerprint known_{};
  std::string told_;      ///< The failure that was told last.
  std::string suspected_; ///< A failure seen once: files are replaced one after the other.
  std::int64_t warned_day_ = 0;
  timer_id timer_{};
};

} // namespace troupe
