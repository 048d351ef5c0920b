#pragma once

#include "storage/meta/evaluation_scope.hpp"

// The operations one by one, internal to storage/meta: each reads and writes rows through the
// scope and says what to answer. A refusal must leave no row changed that matters: the caller
// throws the changes of a refused operation away.

namespace troupe {

expected<meta_result> run(const op_lookup& op, evaluation_scope& scope);
expected<meta_result> run(const op_create& op, evaluation_scope& scope);
expected<meta_result> run(const op_create_detached_directory& op, evaluation_scope& scope);
expected<meta_result> run(const op_link_directory& op, evaluation_scope& scope);
expected<meta_result> run(const op_link& op, evaluation_scope& scope);
expected<meta_result> run(const op_unlink& op, evaluation_scope& scope);
expected<meta_result> run(const op_release_orphan& op, evaluation_scope& scope);
expected<meta_result> run(const op_remove_directory& op, evaluation_scope& scope);
expected<meta_result> run(const op_mark_removing& op, evaluation_scope& scope);
expected<meta_result> run(const op_unlink_directory& op, evaluation_scope& scope);
expected<meta_result> run(const op_remove_inode& op, evaluation_scope& scope);
expected<meta_result> run(const op_rename& op, evaluation_scope& scope);
expected<meta_result> run(const op_read_directory& op, evaluation_scope& scope);
expected<meta_result> run(const op_get_attributes& op, evaluation_scope& scope);
expected<meta_result> run(const op_set_attributes& op, evaluation_scope& scope);
expected<meta_result> run(const op_read_symlink& op, evaluation_scope& scope);
expected<meta_result> run(const op_get_layout& op, evaluation_scope& scope);
expected<meta_result> run(const op_commit_write& op, evaluation_scope& scope);
expected<meta_result> run(const op_get_stripe& op, evaluation_scope& scope);
expected<meta_result> run(const op_repair_unit& op, evaluation_scope& scope);

// Shared by several of them.

/// How many entries and subdirectories a directory gains or loses.
struct entry_change {
  std::int32_t entries = 0;
  std::int32_t directories = 0;
};
/// Counts and times of a directory whose entries changed.
void change_entries(evaluation_scope& scope, inode_row& directory, entry_change change);
/// One link of a file is gone. The inode goes with the last one: at once if it holds no extents
/// and is not `held` by the client, else as an orphan that the cleaner removes.
expected<void> drop_link(evaluation_scope& scope, lin id, inode_row row, bool held);
/// Removes an inode that has no extents, with its inline data, and counts it out of its slot.
expected<void> erase_inode(evaluation_scope& scope, lin id, const inode_row& row);
/// What the adopted configuration says of a drive that shall take a new run; errc::below_floor if
/// it takes none (hazards F5).
expected<drive_fact> writable_drive(const evaluation_context& context, const drive_uuid& drive);
/// errc::cross_partition with what to tell a person.
error cross_partition(lin directory, std::string_view name);

} // namespace troupe
