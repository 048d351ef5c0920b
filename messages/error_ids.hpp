#pragma once

#include <compare>
#include <cstdint>
#include <span>

namespace troupe {

/// Names one cause that a person can read about: printed as TRP-1042. Never reused.
struct error_id {
  std::uint16_t value = 0;
  constexpr auto operator<=>(const error_id&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, error_id& x) {
  return f(x.value);
}

/// What a person is told besides the object: why it happens, and the next command or step.
struct error_entry {
  error_id id;
  const char* title;
  const char* cause;
  const char* next_step;
};

/// All ids, ascending. The one place where they are given out: append.
std::span<const error_entry> error_table();
/// The entry of an id, or nullptr for an unknown one.
const error_entry* find_error(error_id id);

/// The ids by name, for the code that raises them.
namespace trp {
inline constexpr error_id port_in_use{1001};
inline constexpr error_id not_enough_disk_space{1002};
inline constexpr error_id foreign_data_directory{1003};
inline constexpr error_id newer_format{1004};
inline constexpr error_id no_permission{1005};
inline constexpr error_id bad_certificate{1006};
inline constexpr error_id foreign_certificate{1007};
inline constexpr error_id no_fuse_device{1008};
inline constexpr error_id no_io_uring{1009};
inline constexpr error_id name_too_long{1010};
inline constexpr error_id level_needs_more{1011};
inline constexpr error_id cross_partition_rename{1012};
inline constexpr error_id cluster_exists{1013};
inline constexpr error_id cluster_not_found{1014};
inline constexpr error_id cluster_not_running{1015};
inline constexpr error_id no_quorum{1016};
inline constexpr error_id unknown_verb{1017};
inline constexpr error_id path_not_found{1018};
inline constexpr error_id bad_config_file{1019};
inline constexpr error_id drive_failed{1020};
inline constexpr error_id data_lost{1021};
inline constexpr error_id not_available_yet{1022};
inline constexpr error_id cluster_full{1023};
inline constexpr error_id mount_point_busy{1024};
inline constexpr error_id actor_not_found{1025};
inline constexpr error_id role_not_allowed{1026};
inline constexpr error_id protocol_version{1027};
inline constexpr error_id journal_quarantined{1028};
inline constexpr error_id mount_not_found{1029};
inline constexpr error_id node_not_found{1030};
inline constexpr error_id drive_damaged{1031};
inline constexpr error_id drive_missing{1032};
inline constexpr error_id directory_not_empty{1033};
inline constexpr error_id process_did_not_start{1034};
inline constexpr error_id certificate_revoked{1060};
inline constexpr error_id open_to_others{1061};
inline constexpr error_id certificate_not_found{1062};
inline constexpr error_id old_authority_in_use{1063};
} // namespace trp

} // namespace troupe
