#pragma once

#include "shell/context.hpp"

#include <string>
#include <vector>

namespace troupe::shell {

/// Runs one command line (without the program's name) and gives the exit status. Mistyped input
/// is answered on `ctx.err` with the nearest verbs and how to get help.
int run_command_line(context& ctx, const std::vector<std::string>& arguments);

} // namespace troupe::shell
