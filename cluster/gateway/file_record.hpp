#pragma once

#include "cluster/gateway/layout_cache.hpp"
#include "cluster/gateway/procedure.hpp"
#include "cluster/gateway/stripe_store.hpp"
#include "cluster/gateway/write_buffer.hpp"
#include "messages/metadata.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace troupe {

/// A change count that no file has: what is committed must be asked for.
inline constexpr std::uint64_t change_count_unknown = 0;

/// A file that this client has open, or holds data of: the shared state of all its handles.
/// Who changes what: `lock` is held by whoever changes size or content, or waits until everything
/// is committed; the flusher stores and commits beside it.
struct file_record {
  file_record(lin file, std::uint32_t cached_extents_max) : id(file), layout(cached_extents_max) {}

  const lin id;
  std::uint32_t handles = 0;
  fifo_lock lock;
  bool orphan = false; ///< Unlinked while open here: released with the last handle.

  // -- under the write lease
  inode_attributes committed;    ///< As of the grant or the last commit.
  std::uint64_t size = 0;        ///< With what is buffered.
  wall_time modify_time;         ///< Of the last buffered write.
  bool committed_inline = false; ///< The committed content may lie in the metadata.
  write_buffer buffer;
  std::uint64_t counted_bytes = 0; ///< Of the mount's write budget.
  std::uint64_t generation = 0;    ///< Grows when buffered data are given up.

  // -- flushing
  struct stored_piece {
    stored_stripe stripe;
    std::uint64_t size_end = 0; ///< The file was at least this long when it was frozen.
  };
  std::vector<stored_piece> stored; ///< Durable on drives, not committed; in no special order.
  boot_time first_stored_at;
  std::uint32_t pieces_in_flight = 0;
  std::uint32_t draining = 0; ///< Procedures that wait until all is committed.
  bool committing = false;
  bool flush_inline = false;        ///< Small content shall go into the metadata now.
  std::uint32_t refusals = 0;       ///< Commits in a row that had to be prepared anew…
  boot_time refused_since;          ///< …and when the first of them was.
  std::uint32_t stripes_max = 0;    ///< Of one commit, after a larger one was refused; 0: no limit.
  bool release_with_commit = false; ///< The last commit of a drain gives the lease back.
  boot_time dirty_since;
  wait_list progress; ///< Something was stored, committed or lost.

  // -- errors of write-behind: each handle hears of each once
  std::uint64_t error_count = 0;
  error last_error;

  // -- reading
  layout_cache layout;
  std::uint64_t validations_begun = 0;
  std::uint64_t validations_done = 0;
  bool validating = false;
  std::optional<error> validation_error;
  wait_list validated;

  bool settled() const {
    return buffer.unsettled_blocks() == 0 && pieces_in_flight == 0 && stored.empty() && !committing;
  }
};
using file_ptr = std::shared_ptr<file_record>;

} // namespace troupe
