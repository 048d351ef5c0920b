#pragma once

#include "cluster/gateway/file_record.hpp"
#include "cluster/gateway/gateway_context.hpp"
#include "cluster/gateway/lease_keeper.hpp"
#include "cluster/gateway/metadata_exchange.hpp"
#include "cluster/gateway/read_plan.hpp"
#include "cluster/gateway/unit_reader.hpp"

#include <vector>

namespace troupe {

/// Where a sequential reader is, per handle.
struct read_position {
  std::uint64_t next = 0;        ///< Where he would go on.
  std::uint64_t ahead_until = 0; ///< Fetched, or being fetched, up to here.
  std::uint64_t window = 0;      ///< How far ahead; 0 until he has shown that he is sequential.
};

/// Reads files: the newest bytes of one's own buffer over the committed ones. Without a good write
/// lease every read asks the partition, after it began, whether what is known of the file still
/// holds (all that wait share one question), so that a read never returns less than what was
/// acknowledged to anybody before.
class file_reader {
public:
  file_reader(gateway_context& context, metadata_exchange& partitions, lease_keeper& leases,
              unit_reader& units)
    : ctx_(context), partitions_(partitions), leases_(leases), units_(units) {}

  /// At most `bytes` from `offset`, fewer only at the end of the file. `position` (may be
  /// nullptr) is that of the handle and lives as long as the record.
  /// @returns errc::io_error with trp::data_lost if units are lost beyond the level, or did not
  /// answer within the bounded wait; errc::stale_handle if the file is gone.
  procedure<expected<bytes_read>> read(file_ptr file, std::uint64_t offset, std::uint32_t bytes,
                                       std::shared_ptr<read_position> position);
  /// Committed bytes [offset, offset + bytes) for the holder of the lease, zeros beyond the end.
  procedure<expected<byte_vector>> read_committed(file_ptr file, std::uint64_t offset,
                                                  std::uint64_t bytes);
  /// Waits until this client's own writes are the newest content, or committed, or given up.
  procedure<expected<void>> wait_for_own_writes(file_ptr file, boot_time deadline);

private:
  /// Parts of an answer that are being fetched at once.
  struct fetching {
    std::vector<unit_piece> pieces;
    std::vector<shared_bytes> parts;
    std::optional<error> failure;
    countdown running;
  };

  procedure<expected<void>> make_layout_current(file_ptr file, std::uint64_t offset,
                                                std::uint64_t bytes, std::uint64_t ahead);
  procedure<expected<void>> fetch_layout(file_ptr file, std::uint64_t offset, std::uint64_t bytes,
                                         std::uint64_t ahead);
  procedure<expected<void>> validate(file_ptr file);
  procedure<expected<std::vector<shared_bytes>>> fetch(file_ptr file, std::uint64_t offset,
                                                       std::uint64_t bytes, bool whole_units);
  procedure<void> fetch_piece(file_ptr file, std::shared_ptr<fetching> job, std::size_t index);
  procedure<expected<std::vector<shared_bytes>>> collect(file_ptr file, std::uint64_t offset,
                                                         std::uint64_t bytes, bool whole_units);
  procedure<void> prefetch(file_ptr file, std::uint64_t offset, std::uint64_t bytes);
  void advance(const file_ptr& file, const std::shared_ptr<read_position>& position,
               std::uint64_t offset, std::uint64_t bytes);

  gateway_context& ctx_;
  metadata_exchange& partitions_;
  lease_keeper& leases_;
  unit_reader& units_;
};

} // namespace troupe
