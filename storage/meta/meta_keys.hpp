#pragma once

#include "messages/ids.hpp"
#include "storage/meta/table_types.hpp"

#include <optional>
#include <string>
#include <string_view>

// The keys of a partition's rows. Numbers in keys are big-endian, so that byte order is number
// order. Everything that belongs to a slot begins with its table and the slot, so that a slot can
// be moved to another group as one range per table (design 4, hazards F20):
//
//   table(1) slot(2) ...          LIN and stripe id begin with their slot
//
//   inode        lin(8)                                   attributes
//   inline_data  lin(8)                                   first block of a small file, or symlink
//   extent       lin(8) end_offset(8)                     see extent_key
//   stripe       stripe_id(8)                             units, checksums, references
//   entry        directory(8) name_hash(8) name 00        see entry_key
//   parent_link  child(8) directory(8) name 00            of files; a directory has `parent`
//   version      slot(2) table(1) rest-of-live-key suffix(8)
//   session      slot(2) client(8)                        results above the low-water mark
//   intent       reserved: transactions across partitions
//   slot         slot(2)                                  sequences and counters
//   orphan       lin(8)                                   no link left, to be cleaned
//   trim         lin(8)                                   `trim_from` is set, to be cleaned
//   at_risk      stripe_id(8)                             written below its level (F29)
//   change_log   reserved: readers scan by written epoch until it exists
//   domain_usage reserved: usage per quota domain
//
// Rows of the partition as a whole, which a split copies to both halves:
//
//   here         client(8)                                "this client is here" (F14)
//   pending_free drive(16) batch(8)                       runs to free (F30)
//   drive_frees  drive(16)                                their count
//   floor        which(1): 1 config version, 2 epoch      what was adopted (M1)

namespace troupe {

/// First byte of a key. Stored: never change or reuse a number.
enum class meta_table : std::uint8_t {
  inode = 1,
  inline_data = 2,
  extent = 3,
  stripe = 4,
  entry = 5,
  parent_link = 6,
  version = 7,
  session = 8,
  intent = 9,
  slot = 10,
  orphan = 11,
  trim = 12,
  at_risk = 13,
  change_log = 14,
  domain_usage = 15,
  here = 32,
  pending_free = 33,
  drive_frees = 34,
  floor = 35,
};
/// "inode", "extent", …
const char* to_string(meta_table table);

/// The table of a key, which must not be empty.
inline meta_table table_of_key(std::string_view key) {
  return static_cast<meta_table>(key[0]);
}
/// True for the tables whose rows keep old values for snapshots (design 4 "Versions"). Stripe
/// records are physical and have none (hazards F8).
bool is_versioned(meta_table table);

std::string inode_key(lin id);
std::string inline_key(lin id);
/// An extent is found under the offset where it *ends*: then one forward seek to `offset + 1`
/// finds the extent that holds `offset`, and ascending keys are ascending file offsets.
std::string extent_key(lin id, std::uint64_t end_offset);
std::string stripe_key(stripe_id id);
/// The final 00, which no name contains, makes no key the prefix of another.
std::string entry_key(lin directory, std::string_view name);
std::string parent_key(lin child, lin directory, std::string_view name);
std::string session_key(slot_id slot, client_id client);
std::string slot_key(slot_id slot);
std::string orphan_key(lin id);
std::string trim_key(lin id);
std::string at_risk_key(stripe_id id);
std::string here_key(client_id client);
std::string pending_free_key(const drive_uuid& drive, std::uint64_t batch);
std::string drive_frees_key(const drive_uuid& drive);
std::string floor_config_key();
std::string floor_epoch_key();

/// Where the value that `live_key` had until the snapshot `suffix` is kept.
std::string version_key(std::string_view live_key, snapshot_epoch suffix);
/// Where the versions of live keys at or after `live_key` begin; keeps the order of live keys of
/// one table and slot.
std::string version_prefix(std::string_view live_key);

/// Keys in [begin, end).
struct key_range {
  std::string begin;
  std::string end;
};

/// All rows of a table.
key_range table_keys(meta_table table);
/// All rows of a table that belong to a slot.
key_range slot_keys(meta_table table, slot_id slot);
key_range extent_keys(lin id);
/// Extents of `id` that end after `offset`.
key_range extent_keys_after(lin id, std::uint64_t offset);
key_range entry_keys(lin directory);
/// Entries of `directory` whose hash is `hash` (one, but for collisions).
key_range entry_keys(lin directory, std::uint64_t hash);
/// Entries of `directory` from `hash` on.
key_range entry_keys_from(lin directory, std::uint64_t hash);
key_range parent_keys(lin child);
key_range pending_free_keys(const drive_uuid& drive);

/// 55 bits, never 0: the upper part of readdir cookies, which is why it can never change. FNV-1a
/// 64 with the finalizer of SplitMix64.
std::uint64_t name_hash(std::string_view name);
/// What readdir gives out: ascending in the order of keys but for collisions, which the lowest
/// byte tells apart. At least 256, so that a client has room for "." and ".."; below 2^63.
inline std::uint64_t cookie_of(std::uint64_t hash, std::uint8_t disambiguator) {
  return hash << 8 | disambiguator;
}

/// The parts of keys that were read from a table; absent if `key` is no key of that table.
std::optional<lin> parse_lin_key(std::string_view key); ///< inode, inline_data, orphan, trim
std::optional<stripe_id> parse_stripe_key(std::string_view key); ///< stripe, at_risk
struct extent_key_parts {
  lin id;
  std::uint64_t end_offset = 0;
};
std::optional<extent_key_parts> parse_extent_key(std::string_view key);
struct entry_key_parts {
  lin directory;
  std::uint64_t hash = 0;
  std::string name;
};
std::optional<entry_key_parts> parse_entry_key(std::string_view key);
struct parent_key_parts {
  lin child;
  lin directory;
  std::string name;
};
std::optional<parent_key_parts> parse_parent_key(std::string_view key);
struct version_key_parts {
  std::string live_key;
  snapshot_epoch suffix;
};
std::optional<version_key_parts> parse_version_key(std::string_view key);
struct session_key_parts {
  slot_id slot;
  client_id client;
};
std::optional<session_key_parts> parse_session_key(std::string_view key);
std::optional<slot_id> parse_slot_key(std::string_view key);
std::optional<client_id> parse_here_key(std::string_view key);
struct pending_free_key_parts {
  drive_uuid drive;
  std::uint64_t batch = 0;
};
std::optional<pending_free_key_parts> parse_pending_free_key(std::string_view key);
std::optional<drive_uuid> parse_drive_frees_key(std::string_view key);

} // namespace troupe
