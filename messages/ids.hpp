#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace troupe {

/// A number with a meaning of its own: two ids of different kinds never convert or compare.
/// Ordered, so that it can key an ordered container. Value 0 means "none" for every id
/// except `slot_id` and `group_id`, where 0 is the first.
template <class Tag, class Rep>
struct strong_id {
  using rep = Rep;
  Rep value{};

  constexpr strong_id() = default;
  constexpr explicit strong_id(Rep x) : value(x) {}
  constexpr auto operator<=>(const strong_id&) const = default;
  constexpr explicit operator bool() const { return value != Rep{}; }
};

template <class Inspector, class Tag, class Rep>
typename Inspector::result_type inspect(Inspector& f, strong_id<Tag, Rep>& x) {
  return f(x.value);
}

/// A node: one process with its drives. Given once by the cluster group, counted from 1.
using node_id = strong_id<struct node_id_tag, std::uint32_t>;
/// Position of a drive inside its node, counted from 1; a name for people, never a key.
using drive_bay = strong_id<struct drive_bay_tag, std::uint32_t>;
/// A raft group. 0 is the cluster group, metadata partitions count from 1.
using group_id = strong_id<struct group_id_tag, std::uint32_t>;
/// A raft replica; the server id that consensus sees. Bound to one drive uuid, never reused.
using replica_id = strong_id<struct replica_id_tag, std::uint64_t>;
/// One of the 4096 fixed slots into which all metadata is divided.
using slot_id = strong_id<struct slot_id_tag, std::uint16_t>;
/// Logical inode number: slot in the upper 16 bits (12 used), sequence in the lower 48.
using lin = strong_id<struct lin_tag, std::uint64_t>;
/// A stripe record: slot in the upper 16 bits, sequence in the lower 48, as in a LIN.
using stripe_id = strong_id<struct stripe_id_tag, std::uint64_t>;
/// A drive's never-reused, monotone allocation number (hazards F2).
using birth = strong_id<struct birth_tag, std::uint64_t>;
/// One request "store these bytes as a new run"; unique per client incarnation.
using write_id = strong_id<struct write_id_tag, std::uint64_t>;
/// A client (mount, command): given once by the cluster group, never reused.
using client_id = strong_id<struct client_id_tag, std::uint64_t>;
/// Grows with every start of a process, drive mount or client session.
using incarnation = strong_id<struct incarnation_tag, std::uint64_t>;
/// Grows with every commit of the cluster group.
using config_version = strong_id<struct config_version_tag, std::uint64_t>;
/// The cluster-wide counter of snapshots.
using snapshot_epoch = strong_id<struct snapshot_epoch_tag, std::uint64_t>;
/// A granted lease; unique per (group, term), never reused.
using lease_id = strong_id<struct lease_id_tag, std::uint64_t>;
/// Follows one operation through all processes.
using trace_id = strong_id<struct trace_id_tag, std::uint64_t>;

/// 128 random bits that name a drive or a cluster for ever.
struct uuid {
  std::array<std::uint8_t, 16> bytes{};
  constexpr auto operator<=>(const uuid&) const = default;
  constexpr explicit operator bool() const { return *this != uuid{}; }
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, uuid& x) {
  return f(x.bytes);
}

/// A drive, registered in the cluster group under this uuid.
struct drive_uuid : uuid {
  constexpr auto operator<=>(const drive_uuid&) const = default;
};
/// A cluster; every superblock, certificate and handshake names it.
struct cluster_uuid : uuid {
  constexpr auto operator<=>(const cluster_uuid&) const = default;
};

/// "8-4-4-4-12" lower-case hexadecimal digits.
std::string to_string(const uuid& x);
/// Reads what `to_string` prints. @returns false and leaves `out` alone if `text` is not that.
bool parse_uuid(const std::string& text, uuid& out);

/// `%x:%04x:%04x` of (lin >> 32, lin >> 16 & ffff, lin & ffff), the form that people see.
std::string to_string(lin x);

} // namespace troupe
