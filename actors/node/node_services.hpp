#pragma once

#include "actors/kit/file_io.hpp"
#include "actors/kit/log.hpp"
#include "actors/kit/reactor.hpp"
#include "actors/kit/worker_pool.hpp"
#include "actors/node/node_config.hpp"
#include "actors/node/node_options.hpp"
#include "actors/transport/network.hpp"
#include "storage/base/env.hpp"

#include <functional>

namespace troupe {

/// What the parts of a node share. Made by the node's process; outlives them all. Reactor thread.
struct node_services {
  reactor& loop;
  env& files;
  file_io& io;
  worker_pool& pool;
  network& net;
  const node_config& config;
  const node_options& options;
  incarnation process; ///< Of this start of the node.
  /// Looks whether the certificate files changed, and works with what is there now.
  std::function<expected<void>()> reload_certificates;

  void raise(event_severity severity, const std::string& name,
             std::map<std::string, std::string> fields) const {
    event_record e;
    e.node = config.node;
    e.time = loop.time().wall();
    e.severity = severity;
    e.name = name;
    e.fields = std::move(fields);
    adopt_event(e);
  }
};

} // namespace troupe
