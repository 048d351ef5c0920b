#pragma once

#include "cluster/gateway/file_record.hpp"
#include "cluster/gateway/flush_plan.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/lease_keeper.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/stripe_store.hpp"

#include <map>

namespace troupe {

/// Brings buffered data to drives and into the metadata: full stripes are stored as soon as they
/// are full, the rest on demand, after a while or under pressure; what is stored is committed many
/// stripes at once. One commit of a file is under way at a time, so a block that is written again
/// never becomes older.
///
/// A commit that was refused definitely frees its units and stores the blocks again; one that may
/// have happened is repeated under its sequence by the exchange, and its units are never freed
/// (hazards F3). Data that cannot be committed within the bounded wait are given up, and every
/// handle of the file is told.
class file_flusher {
public:
  file_flusher(gateway_context& context, metadata_exchange& partitions, lease_keeper& leases,
               stripe_store& stripes)
    : ctx_(context), partitions_(partitions), leases_(leases), stripes_(stripes),
      budget_(context.options.write_buffer_bytes_max) {}

  /// Waits until the mount may buffer so many bytes more; storing what others hold meanwhile.
  procedure<void> reserve(std::uint64_t bytes);
  /// The reservation became part of the file's buffer, or nothing.
  void settle_reservation(const file_ptr& file, std::uint64_t reserved);
  /// Gives up the clean blocks of a file: the lease goes, or the last handle.
  void drop_clean(const file_ptr& file);

  /// After a write: starts what can be stored now.
  void kick(const file_ptr& file, flush_mode mode = flush_mode::full_stripes);
  /// Waits until everything that is buffered now is committed, or given up. The caller holds the
  /// file's lock, so that nothing is added meanwhile.
  procedure<void> drain(file_ptr file);
  /// Gives up what is buffered: `cause` is told to every handle.
  void lose(const file_ptr& file, error cause);

  /// A commit of the caller's own making (truncate): stores `content` as one stripe if there is
  /// any, and commits; repeats what was refused for a passing reason. The file is drained and
  /// locked. On success `committed` and `size` are those of the answer.
  procedure<expected<void>> commit_directly(file_ptr file, op_commit_write operation,
                                            std::optional<std::uint64_t> block,
                                            byte_vector content);

  std::uint64_t used_bytes() const { return budget_.used(); }

private:
  /// What one commit is made of, so that it can be undone.
  struct batch {
    std::vector<file_record::stored_piece> pieces;
    bool is_inline = false; ///< Block 0 goes into the metadata, instead of pieces.
    op_commit_write operation;
  };

  procedure<void> store_piece(file_ptr file, std::shared_ptr<const frozen_blocks> blocks,
                              std::uint64_t size_end);
  void start_piece(const file_ptr& file, block_range range);
  void kick_start_of_file(const file_ptr& file);
  void start_commits(const file_ptr& file);
  procedure<void> commit_all(file_ptr file);
  procedure<void> gather_more(file_ptr file);
  bool next_batch(const file_ptr& file, batch& out);
  bool next_inline(const file_ptr& file, batch& out);
  procedure<void> commit(file_ptr file, batch work);
  void committed(const file_ptr& file, const batch& work, const inode_attributes& attributes,
                 bool still_buffered);
  void take_committed(const file_ptr& file, lease_id lease, const meta_answer& answer);
  void dissolve(const file_ptr& file, const batch& work, bool free_units);
  void note_refusal(const error& cause);
  void keep_well_placed(const file_ptr& file, batch& work, const error& cause);
  procedure<expected<lease_id>> lease_for_commit(file_ptr file);
  void doubt(const file_ptr& file);
  void account(const file_ptr& file);
  void relieve();
  procedure<void> age();

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  lease_keeper& leases_;
  stripe_store& stripes_;
  fifo_budget budget_;
  std::map<lin, file_ptr> holding_; ///< Files with something in their buffers.
  bool aging_ = false;
};

/// Refusals after which the same commit, prepared anew, can succeed.
bool is_passing_refusal(errc code);

} // namespace troupe
