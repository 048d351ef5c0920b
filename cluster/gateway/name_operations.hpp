#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "cluster/gateway/file_operations.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/open_files.hpp"
#include "cluster/gateway/removals.hpp"

#include <optional>
#include <string>

namespace troupe {

/// The calls on names. Nothing is cached: each is answered by a partition. What touches two
/// partitions is done in steps that leave at the worst an unused inode behind, which `fsck` names:
/// mkdir makes the inode first and the entry second; rmdir marks the inode, removes the entry, then
/// the inode. Links and renames between partitions are refused (errc::cross_partition) until there
/// are transactions.
class name_operations {
public:
  name_operations(gateway_context& context, metadata_exchange& partitions, open_files& files,
                  removals& removals, file_operations& data)
    : ctx_(context), partitions_(partitions), files_(files), removals_(removals), data_(data) {}

  procedure<expected<call_result>> lookup(call_lookup call);
  procedure<expected<call_result>> resolve(call_resolve call);
  procedure<expected<call_result>> make(call_make call);
  procedure<expected<call_result>> create(call_create call, give_up_flag give_up);
  procedure<expected<call_result>> unlink(call_unlink call);
  procedure<expected<call_result>> remove_directory(call_remove_directory call);
  procedure<expected<call_result>> rename(call_rename call);
  procedure<expected<call_result>> link(call_link call);
  procedure<expected<call_result>> read_symlink(call_read_symlink call);
  procedure<expected<call_result>> read_directory(call_read_directory call);

private:
  procedure<expected<entry_found>> find(lin directory, std::string name);
  procedure<expected<inode_attributes>> attributes_of(entry_found entry);
  procedure<expected<call_result>> make_directory_elsewhere(call_make call, slot_id slot);
  procedure<expected<call_result>> open_existing(call_create call, give_up_flag give_up);
  procedure<expected<call_result>> remove_in_steps(lin directory, std::string name);
  /// A name that shall go, and the file that may go with it.
  struct removal_target {
    std::optional<lin> file; ///< What the name leads to; nothing if that was not asked.
    lin held;                ///< The same, if this client has it open.
  };
  procedure<expected<std::optional<lin>>> file_behind(lin directory, std::string name);
  removal_target decide_on(std::optional<lin> file) const;
  void note_outcome(const removal_target& target, const meta_answer& answer);

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  open_files& files_;
  removals& removals_;
  file_operations& data_;
};

/// A name that can be in a directory: errc::name_too_long with trp::name_too_long, or
/// errc::invalid_argument for an empty one and one with '/' or NUL.
expected<void> check_entry_name(const std::string& name);

} // namespace troupe
