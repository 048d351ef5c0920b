#include "access/fuse/fuse_door.hpp"

#include "access/fuse/errno_table.hpp"
#include "access/fuse/fuse_session.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace troupe {

fuse_door::session::~session() {
  *alive = false;
  if (!fuse)
    return;
  if (mounted)
    fuse_session_unmount(fuse);
  fuse_session_destroy(fuse);
  std::free(buffer.mem);
}

void fuse_door::session::ask(fuse_req_t request, file_call call,
                             std::function<void(fuse_req_t, const call_result&)> answer) {
  auto number = ++next_request;
  pending[number].request = request;
  auto token =
    service.call(std::move(call), [this, alive = alive, number,
                                   answer = std::move(answer)](expected<call_result> outcome) {
      if (!*alive)
        return;
      auto it = pending.find(number);
      auto asked = it->second.request;
      pending.erase(it);
      if (outcome)
        answer(asked, *outcome);
      else
        fuse_reply_err(asked, errno_of(outcome.error()));
    });
  pending[number].token = token;
}

fuse_door::fuse_door(std::unique_ptr<session> s) : session_(std::move(s)) {}
fuse_door::~fuse_door() = default;

expected<std::unique_ptr<fuse_door>> fuse_door::mount(const std::string& mount_point,
                                                      const fuse_door_options& options,
                                                      file_service service) {
  if (::access("/dev/fuse", R_OK | W_OK) != 0)
    return error{errc::not_supported, "/dev/fuse", trp::no_fuse_device};
  auto s = std::make_unique<session>(options, std::move(service));
  auto mount_options = "default_permissions,fsname=" + options.name
                       + ",subtype=troupe,max_read=" + std::to_string(options.transfer_bytes_max);
  if (options.allow_other && ::geteuid() == 0)
    mount_options += ",allow_other";
  std::vector<std::string> words = {"troupe", "-o", mount_options};
  std::vector<char*> argv;
  for (auto& w : words)
    argv.push_back(w.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  s->fuse = fuse_session_new(&args, &fuse_handlers(), sizeof(fuse_lowlevel_ops), s.get());
  fuse_opt_free_args(&args);
  if (!s->fuse)
    return error{errc::invalid_argument, "libfuse refuses the options " + mount_options};
  if (fuse_session_mount(s->fuse, mount_point.c_str()) != 0)
    return error{errc::busy, mount_point, trp::mount_point_busy};
  s->mounted = true;
  int fd = fuse_session_fd(s->fuse);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return std::unique_ptr<fuse_door>{new fuse_door{std::move(s)}};
}

int fuse_door::descriptor() const {
  return fuse_session_fd(session_->fuse);
}

bool fuse_door::on_readable() {
  auto& s = *session_;
  for (std::uint32_t i = 0; i < s.options.requests_per_turn_max; ++i) {
    int got = fuse_session_receive_buf(s.fuse, &s.buffer);
    if (got == -EAGAIN || got == -EINTR)
      return true;
    if (got <= 0 || fuse_session_exited(s.fuse)) { // ENODEV: unmounted
      s.mounted = false;
      return false;
    }
    fuse_session_process_buf(s.fuse, &s.buffer);
  }
  return !fuse_session_exited(s.fuse);
}

std::size_t fuse_door::pending() const {
  return session_->pending.size();
}

} // namespace troupe
