#pragma once

#include <catch2/catch.hpp>

#include <csignal>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::test {

enum class outcome {
  held,     ///< Nothing wrong was seen.
  violated, ///< It was seen.
  crashed,  ///< The process died, or a REQUIRE failed in it.
};

/// Asks `violates` in a process of its own, which ends without cleaning up: what lacks a guard may
/// take its process with it.
inline outcome play_apart(const std::function<bool()>& violates) {
  auto child = fork();
  if (child == 0) {
    for (int deadly : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV})
      std::signal(deadly, SIG_DFL); // no report of the test program for a death that is wanted
    int result = 2;
    try {
      result = violates() ? 1 : 0;
    } catch (...) {
    }
    _exit(result);
  }
  REQUIRE(child > 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (!WIFEXITED(status))
    return outcome::crashed;
  return WEXITSTATUS(status) == 0   ? outcome::held
         : WEXITSTATUS(status) == 1 ? outcome::violated
                                    : outcome::crashed; // also a sanitizer's exit
}

} // namespace troupe::test
