#pragma once

#include "messages/bytes.hpp"
#include "messages/ids.hpp"
#include "sim/cluster/surroundings.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// The checker of invariants 1 and 2 for the contents of files: hears when a call began and what
/// came of it, and at the end says whether there is an order in which it all happened.
///
/// A file is divided into pieces, each inside one block and always written whole. Every write has a
/// stamp of its own, repeated over its bytes, so that a read names the write that it saw. A piece
/// is a register: linearizable unless two values were in force at once. Source: Gibbons and Korach,
/// "Testing Shared Memories", 1997 (zones of unique values).
///
/// What a client buffered and did not make durable may be lost, but only if the client died or was
/// told; a write that somebody else has seen, and one that a later fsync covered, may not. A client
/// that could not renew its write lease may besides store late what it had buffered, if nobody has
/// changed the file meanwhile: such a write takes effect at any time until its fsync is answered.
class data_checker {
public:
  using file_number = std::size_t;
  using op_number = std::uint64_t;

  /// @param lease_ns  how long a client may act after sending a renewal that was granted.
  data_checker(surroundings& world, std::uint64_t lease_ns) : world_(world), lease_ns_(lease_ns) {}

  /// @param cell_bytes  what one write covers at least; writes cover whole cells.
  file_number add_file(std::uint64_t cell_bytes, std::uint64_t cells);
  std::uint64_t cell_bytes(file_number f) const { return files_[f].cell_bytes; }
  std::uint64_t cell_count(file_number f) const { return files_[f].cells; }

  /// A write of cells [first, end) begins. @returns its number; `bytes_of` has what to write.
  op_number write_begins(file_number f, std::uint32_t client, std::uint64_t first,
                         std::uint64_t end);
  byte_vector bytes_of(op_number write) const;
  /// Everything from this cell on is cut off, or made longer with zeros.
  op_number truncate_begins(file_number f, std::uint32_t client, std::uint64_t cell);
  op_number read_begins(file_number f, std::uint32_t client, std::uint64_t first,
                        std::uint64_t end);
  op_number fsync_begins(file_number f, std::uint32_t client);

  void done(op_number op);
  void done(op_number read, const byte_vector& bytes);
  /// Nobody knows what came of it.
  void unsure(op_number op);
  /// The client died, or was told that buffered data of the file are gone.
  void lost(std::uint32_t client, file_number f);

  /// The write lease of the file that was asked for at `sent` is granted now.
  void lease_granted(std::uint32_t client, file_number f, std::uint64_t sent) {
    grants_[{client, f}].push_back({sent, now(), false});
  }
  /// The client gives it back, with everything stored.
  void lease_given_back(std::uint32_t client, file_number f) {
    if (auto& grants = grants_[{client, f}]; !grants.empty())
      grants.back().given_back = true;
  }

  /// Everything was heard: is there an order? Violations go to the surroundings.
  void judge();

private:
  static constexpr std::uint64_t never = UINT64_MAX;
  enum class kind : std::uint8_t { write, truncate, read, fsync };
  struct op {
    kind what;
    file_number file;
    std::uint32_t client;
    std::uint64_t first_byte;
    std::uint64_t end_byte;
    std::uint64_t begin;
    std::uint64_t end = never;
  };
  struct seen {
    op_number read;
    std::uint64_t stamp; ///< 0: zeros.
  };
  struct file_info {
    std::uint64_t cell_bytes;
    std::uint64_t cells;
    std::vector<std::uint64_t> edges;         ///< Of pieces, ascending; the last is the end.
    std::vector<std::vector<seen>> seen_here; ///< By piece.
    std::map<std::uint32_t, std::vector<std::uint64_t>> losses; ///< By client: when.
  };
  struct zone {
    op_number write;
    std::uint64_t from;
    std::uint64_t to;
    bool forward;
  };

  struct grant {
    std::uint64_t sent;
    std::uint64_t heard;
    bool given_back;
  };
  op_number add(op x);
  /// Could the client have been without the lease of the file in [from, to], with data buffered?
  bool lapsed(std::uint32_t client, file_number f, std::uint64_t from, std::uint64_t to) const;
  void find_ends();
  std::uint64_t now() const { return world_.events.now(); }
  bool may_be_lost(op_number write) const;
  void judge_piece(file_number f, std::size_t piece);
  std::optional<op_number> write_over_zeros(file_number f, std::uint64_t first_byte,
                                            const op& read) const;
  void complain(file_number f, std::size_t piece, const std::string& why);
  static std::uint64_t stamp_of(op_number write) {
    return (write + 1) * 0x9e3779b97f4a7c15ULL | 0x0101010101010101ULL;
  }

  surroundings& world_;
  std::uint64_t lease_ns_;
  std::map<std::pair<std::uint32_t, file_number>, std::vector<grant>> grants_;
  std::vector<std::uint64_t> ends_; ///< By op: when a write was in effect at the latest.
  std::vector<op> ops_;
  std::map<std::uint64_t, op_number> by_stamp_;
  std::vector<file_info> files_;
};

} // namespace troupe
