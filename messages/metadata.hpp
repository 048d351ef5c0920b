#pragma once

#include "messages/bytes.hpp"
#include "messages/drive.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/units.hpp"

#include <optional>
#include <string>
#include <variant>
#include <vector>

// What a client asks of a metadata partition, and what it answers. One request carries one
// operation; the answer is the alternative of `meta_result` named beside it, or an error.

namespace troupe {

/// Numbers are stored and sent; append only.
enum class file_kind : std::uint8_t {
  none = 0,
  regular = 1,
  directory = 2,
  symlink = 3,
  fifo = 4,
  socket = 5,
  char_device = 6,
  block_device = 7,
};

/// What `stat` shows. `size` of a file under another client's write lease is the committed one.
struct inode_attributes {
  lin id;
  file_kind kind = file_kind::none;
  std::uint32_t mode = 0; ///< Permission bits, set-id and sticky bits (07777).
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t link_count = 0;
  std::uint64_t size = 0;            ///< Bytes.
  std::uint64_t physical_blocks = 0; ///< 8 KiB blocks on drives, parity included.
  std::uint64_t device = 0;          ///< For device nodes.
  wall_time access_time;
  wall_time modify_time;
  wall_time change_time;
  wall_time birth_time;
  std::uint64_t change_count = 0; ///< Grows with every committed change of the inode or its data.
  lin parent;                     ///< Of a directory; a file has links instead.
  auto operator<=>(const inode_attributes&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, inode_attributes& x) {
  return f(x.id, x.kind, x.mode, x.uid, x.gid, x.link_count, x.size, x.physical_blocks, x.device,
           x.access_time, x.modify_time, x.change_time, x.birth_time, x.change_count, x.parent);
}

/// n + m units over drives, at most `per_node` of them on one node; n == 1 is a mirror.
struct stripe_shape {
  std::uint8_t data_units = 0;   ///< n >= 1
  std::uint8_t parity_units = 0; ///< m >= 0
  std::uint8_t per_node = 0;     ///< b >= 1
  auto operator<=>(const stripe_shape&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stripe_shape& x) {
  return f(x.data_units, x.parity_units, x.per_node);
}

/// One unit of a stripe: its run and the CRC32C over the run's list of block checksums.
struct stripe_unit {
  run_ref run;
  std::uint32_t checksum = 0;
  auto operator<=>(const stripe_unit&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stripe_unit& x) {
  return f(x.run, x.checksum);
}

/// A stripe as its writer made it. Data byte i lies in unit i / (unit_blocks * 8 KiB). Units 0 to
/// n-1 hold data, n to n+m-1 parity. The tail of the last data unit may be padding (zeros).
struct stripe_layout {
  stripe_shape shape;
  std::uint32_t unit_blocks = 0;    ///< Length of every unit.
  std::uint8_t requested_level = 0; ///< Number of the protection level asked for.
  bool at_risk = false;             ///< The level could not be reached when it was written (F29).
  std::vector<stripe_unit> units;   ///< n + m of them.
  auto operator<=>(const stripe_layout&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stripe_layout& x) {
  return f(x.shape, x.unit_blocks, x.requested_level, x.at_risk, x.units);
}

/// A file range that a stripe holds. Offsets and lengths are multiples of 8 KiB.
struct extent {
  std::uint64_t file_offset = 0;
  std::uint64_t bytes = 0;
  stripe_id stripe;
  std::uint64_t stripe_offset = 0; ///< Of the first byte, in the stripe's data.
  auto operator<=>(const extent&) const = default;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, extent& x) {
  return f(x.file_offset, x.bytes, x.stripe, x.stripe_offset);
}
/// A stripe record with its physical state.
struct stripe_info {
  stripe_id id;
  std::uint64_t version = 0; ///< Compare-and-swap version of repairs and moves.
  stripe_layout layout;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stripe_info& x) {
  return f(x.id, x.version, x.layout);
}

// -- operations on names (the slot is the directory's) ----------------------------------------

/// -> entry_found
struct op_lookup {
  lin directory;
  std::string name;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_lookup& x) {
  return f(x.directory, x.name);
}
/// Who a new inode belongs to and what it is.
struct new_inode {
  file_kind kind = file_kind::regular;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t device = 0;
  std::string symlink_target;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, new_inode& x) {
  return f(x.kind, x.mode, x.uid, x.gid, x.device, x.symlink_target);
}
/// Makes anything in the directory's own slot, directories included. -> entry_found;
/// errc::already_exists if the name is taken.
struct op_create {
  lin directory;
  std::string name;
  new_inode inode;
  bool want_lease = false; ///< The caller will write at once: saves him a round trip.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_create& x) {
  return f(x.directory, x.name, x.inode, x.want_lease);
}
/// First step of mkdir in another slot: an inode that no entry names yet, in state "unlinked", so
/// that `fsck` can name it if the second step never comes. -> entry_found
struct op_create_detached_directory {
  slot_id slot; ///< Where it shall live.
  lin parent;
  new_inode inode;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_create_detached_directory& x) {
  return f(x.slot, x.parent, x.inode);
}
/// Second step: the entry. -> entry_found (attributes as given by the caller's first step).
struct op_link_directory {
  lin directory;
  std::string name;
  lin child;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_link_directory& x) {
  return f(x.directory, x.name, x.child);
}
/// Adds a hard link to a non-directory of the same partition. -> entry_found
struct op_link {
  lin directory;
  std::string name;
  lin target;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_link& x) {
  return f(x.directory, x.name, x.target);
}
/// Removes an entry of a non-directory. The inode goes with its last link, unless the caller has
/// it open (`held`): then it stays an orphan of that client until op_release_orphan. -> done
struct op_unlink {
  lin directory;
  std::string name;
  lin held;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_unlink& x) {
  return f(x.directory, x.name, x.held);
}
/// The last handle on an orphan was closed. -> done (also if it is gone already)
struct op_release_orphan {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_release_orphan& x) {
  return f(x.id);
}
/// Removes an empty directory whose inode is in the same partition. -> done
struct op_remove_directory {
  lin directory;
  std::string name;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_remove_directory& x) {
  return f(x.directory, x.name);
}
/// rmdir of a directory in another partition, step 1: marks the empty inode "removing"; it takes
/// no new entries from then on. Repeating it is fine. -> done; errc::not_empty
struct op_mark_removing {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_mark_removing& x) {
  return f(x.id);
}
/// Step 2: removes the entry if it names `child`. -> done; errc::not_found
struct op_unlink_directory {
  lin directory;
  std::string name;
  lin child;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_unlink_directory& x) {
  return f(x.directory, x.name, x.child);
}
/// Step 3: removes an inode marked "removing", or a detached one. -> done (also if gone)
struct op_remove_inode {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_remove_inode& x) {
  return f(x.id);
}
/// Inside one partition. A directory keeps its parent, else errc::cross_partition. -> done
struct op_rename {
  lin from_directory;
  std::string from_name;
  lin to_directory;
  std::string to_name;
  bool no_replace = false;
  bool exchange = false;
  lin held; ///< The replaced file, if the caller has it open (see op_unlink).
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_rename& x) {
  return f(x.from_directory, x.from_name, x.to_directory, x.to_name, x.no_replace, x.exchange,
           x.held);
}
/// Entries in cookie order; a cookie stays valid under change. -> directory_page
struct op_read_directory {
  lin directory;
  std::uint64_t after_cookie = 0; ///< 0 from the beginning; "." and ".." are the client's.
  std::uint32_t entries_max = 0;
  bool with_attributes = false; ///< Attributes of entries whose inode is in this partition.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_read_directory& x) {
  return f(x.directory, x.after_cookie, x.entries_max, x.with_attributes);
}

// -- operations on inodes (the slot is the LIN's) -----------------------------------------------

/// -> attributes_are
struct op_get_attributes {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_get_attributes& x) {
  return f(x.id);
}
/// Absent fields stay. `size` is not here: see op_commit_write. -> attributes_are
struct op_set_attributes {
  lin id;
  std::optional<std::uint32_t> mode;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<wall_time> access_time;
  std::optional<wall_time> modify_time;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_set_attributes& x) {
  return f(x.id, x.mode, x.uid, x.gid, x.access_time, x.modify_time);
}
/// -> symlink_target_is
struct op_read_symlink {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_read_symlink& x) {
  return f(x.id);
}
/// Extents and stripe records that touch [offset, offset + bytes), and the inline data if that
/// begins in the first block.
/// -> layout_is (at most `extents_max`; ask again from the end of the last one)
struct op_get_layout {
  lin id;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t extents_max = 256;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_get_layout& x) {
  return f(x.id, x.offset, x.bytes, x.extents_max);
}
/// A file range that is new in this commit; refers to `op_commit_write::stripes` by position.
struct new_extent {
  std::uint64_t file_offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t stripe_index = 0;
  std::uint64_t stripe_offset = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, new_extent& x) {
  return f(x.file_offset, x.bytes, x.stripe_index, x.stripe_offset);
}
/// Makes stored units part of the file, all or nothing, fenced by the caller's write lease
/// (errc::stale: lost; the units are the caller's to free only if that refusal was committed).
/// Order inside: truncate, then the new extents replace what they cover, then inline data, then
/// size. Extents are made of blocks and end with the block of the last byte; bytes of that block
/// beyond the size must be zeros, so who cuts a block by `truncate_to` rewrites it in the same
/// commit (inline data is cut by the leader). Refusals: errc::below_floor (a drive takes no data
/// any more: lay out again), errc::too_large (commit fewer stripes at once; a big truncate before
/// data behind it by itself), errc::busy (repeat the same sequence). -> write_committed
struct op_commit_write {
  lin id;
  lease_id lease;
  std::vector<stripe_layout> stripes;
  std::vector<new_extent> extents;
  std::optional<byte_vector> inline_data;   ///< The whole content; only if the size is <= 8 KiB.
  std::optional<std::uint64_t> truncate_to; ///< Drops what lies beyond, before anything else.
  std::uint64_t size_at_least = 0;          ///< The size grows to this if it is smaller.
  std::optional<wall_time> modify_time;     ///< Absent: the leader's time.
  bool release_lease = false;               ///< When this is committed, the lease is given back.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_commit_write& x) {
  return f(x.id, x.lease, x.stripes, x.extents, x.inline_data, x.truncate_to, x.size_at_least,
           x.modify_time, x.release_lease);
}

// -- operations on stripes (the slot is that of the stripe's id) ---------------------------------

/// The record of one stripe as it is now. -> stripe_is; errc::not_found if nothing refers to it.
struct op_get_stripe {
  stripe_id id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_get_stripe& x) {
  return f(x.id);
}
/// Dynamic sector repair: the bytes of one unit were reconstructed and stored as `run`, which takes
/// the place of the unit's run; that one becomes a pending free in the same entry. Physical only:
/// the checksum stays, and neither epoch, nor times, nor change count of the file change (hazards
/// F8, M3). errc::not_found: the stripe is gone; errc::stale: its version is another one (repaired
/// or moved meanwhile); errc::below_floor: the drive takes no data. -> done
struct op_repair_unit {
  stripe_id id;
  std::uint64_t version = 0; ///< Of the record that was read: compare and swap.
  std::uint32_t unit_index = 0;
  run_ref run; ///< On a drive that no other unit of the stripe is on.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_repair_unit& x) {
  return f(x.id, x.version, x.unit_index, x.run);
}

// -- sessions and leases (the slot is that of the LIN; a client is registered per group) --------

/// The first thing a client says to a group: one replicated "is here" record (hazards F14).
/// Refused for an incarnation that the group has expired. Repeating it is harmless, so it carries
/// sequence 0. -> client_registered
struct op_register_client {
  slot_id slot; ///< Any slot of the group.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_register_client& x) {
  return f(x.slot);
}
/// One live write lease of the caller, named again at renewal so that a new leader learns it.
struct held_lease {
  lin id;
  lease_id lease;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, held_lease& x) {
  return f(x.id, x.lease);
}
/// Keeps the client's leases in this group alive; once a second. -> leases_renewed
struct op_renew_leases {
  slot_id slot;
  std::vector<held_lease> held; ///< All of them, every time.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_renew_leases& x) {
  return f(x.slot, x.held);
}
/// The right to buffer and commit data of one file, exclusive. errc::busy while another client
/// holds it (who is asked to flush and release). -> lease_granted
struct op_acquire_write_lease {
  lin id;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_acquire_write_lease& x) {
  return f(x.id);
}
/// -> done
struct op_release_lease {
  lin id;
  lease_id lease;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, op_release_lease& x) {
  return f(x.id, x.lease);
}

// -- answers ------------------------------------------------------------------------------------

struct done {
  template <class Inspector>
  friend typename Inspector::result_type inspect(Inspector& f, done&) {
    return f();
  }
};
/// A write lease that came with another answer.
struct granted_lease {
  lease_id lease;
  std::uint32_t lease_ms = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, granted_lease& x) {
  return f(x.lease, x.lease_ms);
}
struct entry_found {
  lin child;
  file_kind kind = file_kind::none;
  std::optional<inode_attributes> attributes; ///< Absent if the inode is in another partition.
  std::optional<granted_lease> lease;         ///< With op_create::want_lease, if the leader could.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, entry_found& x) {
  return f(x.child, x.kind, x.attributes, x.lease);
}
struct directory_entry {
  std::string name;
  lin child;
  file_kind kind = file_kind::none;
  std::uint64_t cookie = 0;
  std::optional<inode_attributes> attributes;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, directory_entry& x) {
  return f(x.name, x.child, x.kind, x.cookie, x.attributes);
}
struct directory_page {
  std::vector<directory_entry> entries;
  bool end = false;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, directory_page& x) {
  return f(x.entries, x.end);
}
struct attributes_are {
  inode_attributes attributes;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, attributes_are& x) {
  return f(x.attributes);
}
struct symlink_target_is {
  std::string target;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, symlink_target_is& x) {
  return f(x.target);
}
struct layout_is {
  inode_attributes attributes;
  std::optional<byte_vector> inline_data; ///< Bytes from offset 0, zeros follow up to 8 KiB; then
                                          ///< no extent holds the first block.
  std::vector<extent> extents;            ///< Ascending by file offset; gaps are zeros.
  std::vector<stripe_info> stripes;       ///< Every stripe that an extent names, once.
  bool more = false;                      ///< Extents beyond the last one were left out.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, layout_is& x) {
  return f(x.attributes, x.inline_data, x.extents, x.stripes, x.more);
}
struct write_committed {
  inode_attributes attributes;
  std::vector<stripe_id> stripes; ///< Ids given to the new stripes, in their order.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, write_committed& x) {
  return f(x.attributes, x.stripes);
}
struct client_registered {
  std::uint32_t lease_ms = 0; ///< How long a lease lives after a renewal was sent.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, client_registered& x) {
  return f(x.lease_ms);
}
struct leases_renewed {
  std::vector<lin> lost;     ///< Named by the caller, but not his any more.
  std::vector<lin> recalled; ///< Somebody waits: flush and release soon.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, leases_renewed& x) {
  return f(x.lost, x.recalled);
}
struct stripe_is {
  lin owner; ///< The file that is charged for it.
  stripe_info stripe;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, stripe_is& x) {
  return f(x.owner, x.stripe);
}
struct lease_granted {
  lease_id lease;
  std::uint32_t lease_ms = 0;
  inode_attributes attributes;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_granted& x) {
  return f(x.lease, x.lease_ms, x.attributes);
}

/// Positions are sent: append, never reuse or change. The same holds for `meta_result`.
using meta_operation =
  std::variant<op_lookup, op_create, op_create_detached_directory, op_link_directory, op_link,
               op_unlink, op_release_orphan, op_remove_directory, op_mark_removing,
               op_unlink_directory, op_remove_inode, op_rename, op_read_directory,
               op_get_attributes, op_set_attributes, op_read_symlink, op_get_layout,
               op_commit_write, op_register_client, op_renew_leases, op_acquire_write_lease,
               op_release_lease, op_get_stripe, op_repair_unit>;
using meta_result =
  std::variant<done, entry_found, directory_page, attributes_are, symlink_target_is, layout_is,
               write_committed, client_registered, leases_renewed, lease_granted, stripe_is>;

/// The slot whose partition must execute the operation.
slot_id slot_of(const meta_operation& operation);
/// The slot inside a LIN.
constexpr slot_id slot_of(lin id) {
  return slot_id{static_cast<std::uint16_t>(id.value >> 48)};
}
constexpr slot_id slot_of(stripe_id id) {
  return slot_id{static_cast<std::uint16_t>(id.value >> 48)};
}
/// True if the operation changes nothing that is replicated: it may be repeated freely.
bool is_read_only(const meta_operation& operation);
/// "lookup", "create", …
const char* name_of(const meta_operation& operation);

/// The root directory exists from the first moment: slot 0, sequence 1.
inline constexpr lin root_lin{1};

/// One operation on its way to the leader of its partition.
struct meta_request {
  client_id client;
  incarnation client_incarnation;
  std::uint64_t sequence = 0;  ///< Counts the client's changes per slot from 1; 0 if read-only.
  std::uint64_t low_water = 0; ///< Results up to this sequence need not be kept (hazards F20).
  config_version config;       ///< What the sender knew; a receiver that is behind fetches first.
  snapshot_epoch epoch;        ///< The highest seen (hazards F10).
  meta_operation operation;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, meta_request& x) {
  return f(x.client, x.client_incarnation, x.sequence, x.low_water, x.config, x.epoch, x.operation);
}

/// The answer. `definite` is true if the outcome was committed as the result of that sequence;
/// every other refusal is "may have happened".
struct meta_response {
  std::variant<meta_result, error> outcome;
  bool definite = false;
  config_version config; ///< What the partition acted under.
  snapshot_epoch epoch;
  replica_id leader; ///< With errc::not_leader: whom to ask, if known.
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, meta_response& x) {
  return f(x.outcome, x.definite, x.config, x.epoch, x.leader);
}

} // namespace troupe
