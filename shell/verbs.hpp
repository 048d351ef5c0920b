#pragma once

#include "shell/context.hpp"

namespace troupe::shell {

// Each adds the verbs of one noun; the file of the same name holds them.

void add_host_verbs(CLI::App& app, context& ctx);   ///< up, down, cluster init, node, mount, umount
void add_status_verbs(CLI::App& app, context& ctx); ///< status
void add_part_verbs(CLI::App& app, context& ctx);   ///< part list
void add_actor_verbs(CLI::App& app, context& ctx);  ///< actors list|tree|view|kill
void add_event_verbs(CLI::App& app, context& ctx);  ///< event list|view
void add_config_verbs(CLI::App& app, context& ctx); ///< config check|show
void add_cert_verbs(CLI::App& app, context& ctx);   ///< cert list|issue|rotate|retire|revoke
void add_file_verbs(CLI::App& app, context& ctx);   ///< put, cat, ls, stat, mkdir, mv, rm
void add_layout_verbs(CLI::App& app, context& ctx); ///< get
void add_check_verbs(CLI::App& app, context& ctx);  ///< fsck
void add_catalogue_verbs(CLI::App& app, context& ctx); ///< messages, errors
void add_sim_verbs(CLI::App& app, context& ctx);       ///< sim

} // namespace troupe::shell
