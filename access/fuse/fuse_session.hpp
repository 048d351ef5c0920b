#pragma once

#define FUSE_USE_VERSION 312

#include "access/fuse/fuse_door.hpp"

#include <fuse_lowlevel.h>
#include <map>

namespace troupe {

/// The state behind a `fuse_door`; the user data of its libfuse session.
class fuse_door::session {
public:
  session(fuse_door_options o, file_service s) : options(std::move(o)), service(std::move(s)) {}
  ~session();

  /// Sends a call to the service and remembers the kernel's request. `answer` turns the result
  /// into the reply; an error is replied here.
  void ask(fuse_req_t request, file_call call,
           std::function<void(fuse_req_t, const call_result&)> answer);

  fuse_door_options options;
  file_service service;
  fuse_session* fuse = nullptr;
  fuse_buf buffer{};
  bool mounted = false;
  bool ended = false;

  struct pending_request {
    fuse_req_t request = nullptr;
    call_token token;
  };
  std::map<std::uint64_t, pending_request> pending;
  std::uint64_t next_request = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

/// The table of request handlers; each finds its session through `fuse_req_userdata`.
const fuse_lowlevel_ops& fuse_handlers();

} // namespace troupe
