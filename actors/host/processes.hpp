#pragma once

#include "messages/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace troupe {

/// Starts a child process; its output is appended to `log_path`, its input is empty, and its
/// signal mask is clear. Only from a process with one thread, or a brief command.
/// @returns its pid; errc::io_error if it could not be started.
expected<pid_t> start_process(const std::vector<std::string>& arguments,
                              const std::string& log_path);
/// The same in a session of its own, so that it outlives this command.
expected<pid_t> start_daemon(const std::vector<std::string>& arguments,
                             const std::string& log_path);

/// The number in a pid file, if that process lives and names the file's directory in its arguments
/// (numbers are reused).
std::optional<pid_t> living_process(const std::string& pid_path);
bool is_alive(pid_t pid);
/// Sends SIGTERM and waits for the end. @returns errc::timeout if it is still there.
expected<void> end_process(pid_t pid, std::uint32_t wait_ms);
/// The file of the running program.
std::string own_program();
/// @returns errc::busy (trp::port_in_use) if somebody listens on this address.
expected<void> check_port_free(const std::string& host, std::uint16_t port);
/// The last lines of a text file, for error messages; empty if unreadable.
std::string tail_of(const std::string& path);

} // namespace troupe
