#pragma once

#include "messages/cluster_port.hpp"
#include "messages/plan.hpp"

#include <string>
#include <vector>

namespace troupe::shell {

/// Rows of cells under a head, columns aligned, two spaces between them.
std::string render_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows);
/// "1.5 GiB", "12 KiB", "7 B".
std::string render_bytes(std::uint64_t bytes);
/// "2026-11-22 16:40:02.123Z"
std::string render_time(wall_time time);
/// "drwxr-xr-x"
std::string render_mode(file_kind kind, std::uint32_t mode);
const char* render_kind(file_kind kind);
std::string render_step(const plan_step& step);
std::string render_plan(const plan& what);

} // namespace troupe::shell
