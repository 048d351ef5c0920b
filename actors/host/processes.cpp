#include "actors/host/processes.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace troupe {

namespace {

error cannot(const std::string& what) {
  return error{errc::io_error, what + ": " + std::strerror(errno)};
}

/// In the child: only async-signal-safe calls until exec.
[[noreturn]] void become(const std::vector<char*>& argv, int in, int log, bool own_session) {
  if (own_session)
    ::setsid();
  ::dup2(in, 0);
  ::dup2(log, 1);
  ::dup2(log, 2);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

expected<pid_t> start(const std::vector<std::string>& arguments, const std::string& log_path,
                      bool own_session) {
  std::vector<char*> argv;
  for (const auto& a : arguments)
    argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0)
    return cannot("cannot open " + log_path);
  int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_t pid = in < 0 ? -1 : ::fork();
  if (pid == 0)
    become(argv, in, log, own_session);
  auto failed = pid < 0 ? std::optional{cannot("cannot start " + arguments.front())} : std::nullopt;
  ::close(log);
  if (in >= 0)
    ::close(in);
  if (failed)
    return *failed;
  return pid;
}

} // namespace

expected<pid_t> start_process(const std::vector<std::string>& arguments,
                              const std::string& log_path) {
  return start(arguments, log_path, false);
}

expected<pid_t> start_daemon(const std::vector<std::string>& arguments,
                             const std::string& log_path) {
  return start(arguments, log_path, true);
}

bool is_alive(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) == pid)
    return false; // our own child that ended
  return ::kill(pid, 0) == 0 || errno == EPERM;
}

std::optional<pid_t> living_process(const std::string& pid_path) {
  std::ifstream in{pid_path};
  long pid = 0;
  if (!(in >> pid) || pid <= 1 || !is_alive(static_cast<pid_t>(pid)))
    return std::nullopt;
  // The number may belong to somebody else by now: ours name their directory in their arguments.
  std::ifstream command{"/proc/" + std::to_string(pid) + "/cmdline"};
  std::string text;
  std::getline(command, text);
  if (text.find(pid_path.substr(0, pid_path.rfind('/'))) == std::string::npos)
    return std::nullopt;
  return static_cast<pid_t>(pid);
}

expected<void> end_process(pid_t pid, std::uint32_t wait_ms) {
  if (::kill(pid, SIGTERM) != 0 && errno != ESRCH)
    return cannot("cannot end process " + std::to_string(pid));
  for (std::uint32_t waited = 0; waited < wait_ms; waited += 20) {
    if (!is_alive(pid))
      return {};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
  return error{errc::timeout, "process " + std::to_string(pid) + " does not end"};
}

std::string own_program() {
  std::array<char, PATH_MAX> path{};
  auto n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return n > 0 ? std::string{path.data(), static_cast<std::size_t>(n)} : "troupe";
}

expected<void> check_port_free(const std::string& host, std::uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return cannot("cannot make a socket");
  int on = 1; // as the listener will do: a port in TIME_WAIT is free
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  if (bound)
    return {};
  return error{errc::busy, host + ":" + std::to_string(port), trp::port_in_use};
}

std::string tail_of(const std::string& path) {
  constexpr std::size_t lines_max = 4;
  std::ifstream in{path};
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > lines_max)
      lines.pop_front();
  }
  std::string text;
  for (const auto& line : lines)
    text += (text.empty() ? "" : "\n  ") + line;
  return text;
}

} // namespace troupe
