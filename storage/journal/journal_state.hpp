#pragma once

#include "messages/bytes.hpp"
#include "messages/error.hpp"
#include "messages/units.hpp"
#include "storage/consensus/durable_state.hpp"
#include "storage/journal/journal_format.hpp"
#include "storage/journal/journal_heads.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

namespace troupe {

struct journal_options {
  std::uint64_t segment_bytes = 8 * mib;           ///< When created. A multiple of 4 KiB.
  std::uint32_t segment_count = 16;                ///< When created. >= reserve_segments + 3.
  std::uint64_t batch_bytes_max = mib + 512 * kib; ///< Records in one sync. < segment_bytes / 4.
  std::uint64_t queue_bytes_max = 64 * mib;        ///< Records that wait; then errc::busy.
  /// Room that commands may not use: half of it is for terms, votes, truncations, other entries
  /// and new replicas, the rest for checkpoints, installs and removals, which make room.
  std::uint32_t reserve_segments = 2;
  /// Replicas that keep more than this part of the segments in use may write their entries again.
  std::uint32_t rewrite_percent = 50;
  std::uint32_t removed_ids_max = 1024; ///< Removed replicas remembered one by one.
};

/// @returns errc::invalid_argument, naming the option, if a rule above is broken.
expected<void> check(const journal_options& options);

/// Since the journal was opened.
struct journal_counters {
  std::uint64_t syncs = 0;    ///< Batches made durable, one sync each.
  std::uint64_t batches = 0;  ///< Given out to be written.
  std::uint64_t records = 0;  ///< In those batches.
  std::uint64_t bytes = 0;    ///< Written, padding included.
  std::uint64_t segments = 0; ///< Begun.
  std::uint64_t refused = 0;  ///< Calls refused for want of room.
};

/// An order to the owner: write `bytes` at `offset` of the journal file, sync the file, then call
/// `batch_done`; on any error `batch_failed`.
struct journal_batch {
  std::uint64_t number = 0;
  std::uint64_t offset = 0; ///< A multiple of 4 KiB.
  byte_view bytes;          ///< Whole pages; owned by the journal until done or failed.
};

/// A replica whose old entries keep segments from being used again: checkpoint it.
struct journal_laggard {
  replica_id replica;
  std::uint64_t segments = 0; ///< Segments in use from its oldest needed entry on.
  /// If no checkpoint releases its entries: they may be written again (`rewrite_record`) if they
  /// take at most so many bytes. 0: not yet, or there is no room.
  std::uint64_t rewrite_bytes_max = 0;
};

/// Where a journal goes on: what recovery found, or a new journal.
struct journal_position {
  std::uint64_t incarnation = 0;    ///< Of the segment being filled; 0 before the first.
  std::uint64_t segment_offset = 0; ///< Where the next batch goes inside it.
  std::uint64_t last_number = 0;    ///< Of the last batch.
  std::uint64_t last_lsn = 0;
  std::uint32_t last_crc = 0;
  /// First batch of each segment in use, by incarnation; the first key is where replay starts.
  std::map<std::uint64_t, std::uint64_t> first_batches;
};

/// The journal of one drive: decides what goes where and when; touches no file. All replicas of
/// the drive share it. One batch is in flight; what is appended meanwhile goes into the next one.
/// Every record is durable only when `batch_done` has returned an LSN not below its own. Records
/// become durable in the order in which they were appended. Not thread-safe.
class journal_state {
public:
  /// `heads` and `pins` are those of the records up to `position`.
  journal_state(const journal_superblock& superblock, const journal_options& options,
                journal_position position, journal_heads heads, segment_pins pins);

  /// A new replica begins with `initial`. @returns errc::already_exists for an id that was ever
  /// used on this drive; otherwise as `append`.
  expected<journal_lsn> create_replica(replica_id replica, group_id group,
                                       const durable_state& initial);
  /// The replica is gone and its id is never used again here.
  expected<journal_lsn> remove_replica(replica_id replica);
  /// Queues the records of one replica, all or none. What fits into one batch lies in one batch:
  /// a crash keeps all of it or nothing. @returns the LSN to wait for; errc::no_space if the
  /// journal has no room for records of this kind, errc::busy if too much waits already (`admits`
  /// tells before); errc::too_large for an entry above `entry_bytes_max()`; errc::not_found,
  /// errc::invalid_argument if they do not continue the log; errc::io_error for ever after a
  /// failure.
  expected<journal_lsn> append(replica_id replica, const std::vector<log_record>& records);
  /// True if commands of together `bytes` would be taken now. Ask before accepting a proposal or an
  /// `append_entries`: a store order that is refused kills the replica.
  bool admits(std::uint64_t bytes) const;
  std::uint64_t entry_bytes_max() const;

  /// The next order, if there is something to write and nothing in flight.
  std::optional<journal_batch> next_batch();
  /// The batch is written and synced. @returns the LSN up to which all records are durable.
  journal_lsn batch_done(std::uint64_t number);
  /// Writing or syncing failed: nothing is written through this object any more (hazards F23a).
  /// What was in flight may be durable or not.
  void batch_failed(const error& why);
  /// The failure, if any.
  const expected<void>& health() const { return health_; }

  journal_lsn durable_lsn() const { return journal_lsn{durable_lsn_}; }
  /// Nothing waits and nothing is in flight.
  bool idle() const { return queue_.empty() && !in_flight_; }
  /// Replicas that keep more than `segments` segments in use, those that keep most first. Their
  /// owners must checkpoint: segments are used again in order, so one replica stops them all.
  std::vector<journal_laggard> laggards(std::uint64_t segments) const;
  /// Segments that hold something needed, the one being filled included.
  std::uint64_t segments_in_use() const;
  std::uint32_t segment_count() const { return superblock_.segment_count; }
  std::uint32_t reserve_segments() const { return options_.reserve_segments; }
  const journal_counters& counters() const { return counters_; }
  /// The replicas as of the last batch given out.
  const segment_state& written() const { return written_.state(); }

private:
  /// Records that go into one batch together.
  struct chunk {
    std::vector<journal_record> records;
    std::uint64_t bytes = 0;
  };
  struct flight {
    std::uint64_t number = 0;
    std::uint64_t last_lsn = 0;
    std::uint64_t oldest = 0; ///< Incarnation from which replay starts once it is durable.
    byte_vector image;
  };

  expected<journal_lsn> submit(std::vector<journal_record> records);
  std::uint64_t rewrite_segments() const;
  std::uint64_t rewrite_credit_max() const;
  expected<void> check_room(const std::vector<journal_record>& records, std::uint64_t bytes) const;
  std::uint64_t room_bytes() const;
  std::uint64_t reserve_bytes() const;
  std::uint64_t segment_usable() const;
  std::uint64_t segment_left() const;
  std::uint64_t chunk_bytes_max() const { return options_.batch_bytes_max; }
  void begin_segment(byte_vector& image, batch_header& header);

  journal_superblock superblock_;
  journal_options options_;
  journal_position position_;
  std::uint64_t oldest_durable_ = 0; ///< Segments from here on must not be overwritten.
  journal_heads queued_;             ///< After everything in the queue.
  journal_heads written_;            ///< After everything given out.
  segment_pins pins_;                ///< After everything given out.
  std::deque<chunk> queue_;
  std::uint64_t queued_bytes_ = 0;
  std::uint64_t queued_lsn_ = 0;
  std::uint64_t durable_lsn_ = 0;
  std::optional<flight> in_flight_;
  /// Bytes that may be written again: as many as were written else, so that a journal full of
  /// needed entries does not turn round for ever.
  std::uint64_t rewrite_credit_ = 0;
  expected<void> health_;
  journal_counters counters_;
};

} // namespace troupe
