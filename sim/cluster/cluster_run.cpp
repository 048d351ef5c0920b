#include "sim/cluster/cluster_run.hpp"

namespace troupe {

const char* to_string(planted_bug bug) {
  switch (bug) {
  case planted_bug::none: return "none";
  case planted_bug::lying_drive: return "lying_drive";
  case planted_bug::lying_journal: return "lying_journal";
  case planted_bug::free_by_old_birth: return "free_by_old_birth";
  case planted_bug::late_write: return "late_write";
  case planted_bug::no_node_lease: return "no_node_lease";
  case planted_bug::lost_lease_table: return "lost_lease_table";
  case planted_bug::unchecked_data: return "unchecked_data";
  case planted_bug::forgotten_retry: return "forgotten_retry";
  case planted_bug::amnesiac_drive: return "amnesiac_drive";
  case planted_bug::no_overlay: return "no_overlay";
  }
  return "unknown";
}

const std::vector<planted_bug>& planted_bugs() {
  static const std::vector<planted_bug> all{
    planted_bug::lying_drive,    planted_bug::lying_journal, planted_bug::free_by_old_birth,
    planted_bug::late_write,     planted_bug::no_node_lease, planted_bug::forgotten_retry,
    planted_bug::amnesiac_drive, planted_bug::no_overlay,    planted_bug::lost_lease_table,
    planted_bug::unchecked_data};
  return all;
}

} // namespace troupe
