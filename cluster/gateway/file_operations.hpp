#pragma once

#include "cluster/gateway/file_calls.hpp"
#include "cluster/gateway/file_flusher.hpp"
#include "cluster/gateway/file_reader.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/lease_keeper.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/open_files.hpp"
#include "cluster/gateway/removals.hpp"

#include <map>
#include <memory>
#include <optional>

namespace troupe {

/// Set when the caller of a call gave up.
using give_up_flag = std::shared_ptr<bool>;

/// The calls on files: open, read, write, truncate, flush, fsync, release, attributes.
///
/// A write, a truncate and a flush of one file take turns (its lock); reads do not. The first
/// write gets the write lease; it goes when the last handle goes, with the commit of the last
/// close, or when another client wants it: then everything is committed first, and writers that
/// come meanwhile wait for their turn behind it.
class file_operations {
public:
  file_operations(gateway_context& context, metadata_exchange& partitions, lease_keeper& leases,
                  file_flusher& flusher, file_reader& reader, open_files& files, removals& removals)
    : ctx_(context), partitions_(partitions), leases_(leases), flusher_(flusher), reader_(reader),
      files_(files), removals_(removals) {}

  procedure<expected<call_result>> get_attributes(call_get_attributes call);
  procedure<expected<call_result>> set_attributes(call_set_attributes call, give_up_flag give_up);
  procedure<expected<call_result>> get_layout(call_get_layout call);
  procedure<expected<call_result>> space();
  procedure<expected<call_result>> open(call_open call, give_up_flag give_up);
  procedure<expected<call_result>> read(call_read call);
  procedure<expected<call_result>> write(call_write call, give_up_flag give_up);
  procedure<expected<call_result>> flush(call_flush call);
  procedure<expected<call_result>> fsync(call_fsync call);
  procedure<expected<call_result>> release(call_release call);

  /// A file that was made just now, with the lease that came along.
  procedure<file_handle> open_new(inode_attributes attributes, handle_mode mode,
                                  std::optional<granted_lease> lease, boot_time sent_at);
  /// Sets the size of a file that somebody holds in `handles`; `passing` if only for this call.
  procedure<expected<void>> truncate(file_ptr file, std::uint64_t size, bool passing,
                                     give_up_flag give_up);
  /// The attributes as this client's own writes made them. Not while they are in doubt.
  inode_attributes with_own_writes(inode_attributes attributes) const;
  /// True while it is not known whether one's own writes are the newest content: the write lease
  /// is held and not good, or is lost and something is not committed.
  bool in_doubt(lin file) const;
  /// The attributes of now, asked when the doubt is over.
  procedure<expected<inode_attributes>> certain_attributes(lin file);

  /// Bytes of the file lie elsewhere than is known here; nothing else changed.
  void moved(lin file);
  // what happens to leases
  void recalled(lin file);
  void lost(lin file);

  /// Commits all that is buffered and gives all leases back. @returns the first error.
  procedure<expected<void>> close_everything();

private:
  procedure<expected<void>> hold_lease(file_ptr file, give_up_flag give_up);
  procedure<expected<void>> truncate_locked(file_ptr file, std::uint64_t size, bool passing);
  /// Committed contents by block of the file.
  using block_contents = std::map<std::uint64_t, byte_vector>;
  static std::optional<std::uint64_t> block_to_read(const file_record& file, std::uint64_t offset,
                                                    std::uint64_t bytes,
                                                    const block_contents& known);
  void take_write(file_record& file, std::uint64_t offset, byte_view bytes,
                  const block_contents& around);
  procedure<void> give_lease_away(file_ptr file);
  procedure<void> let_go(file_ptr file);
  procedure<expected<void>> outlive_removals(file_ptr file);
  procedure<void> close_again(file_handle handle);
  procedure<expected<call_result>> make_durable(file_handle handle, bool closing);
  std::optional<error> untold_error(file_handle handle);

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  lease_keeper& leases_;
  file_flusher& flusher_;
  file_reader& reader_;
  open_files& files_;
  removals& removals_;
};

} // namespace troupe
