#pragma once

#include "messages/error.hpp"
#include "messages/metadata.hpp"
#include "storage/base/clock.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace troupe {

/// Times and bounds of write leases. A holder counts `lease_ms` from sending his renewal, the
/// granter `lease_ms + slack_ms` from receiving it.
struct lease_options {
  std::uint32_t lease_ms = 4000;
  std::uint32_t slack_ms = 400;     ///< Clock rates over one lease.
  std::uint32_t reserve_ms = 1000;  ///< After a recall, the file is kept this long for who waited.
  std::uint32_t clients_max = 4096; ///< Registered in one partition.
  std::uint32_t leases_max = 65'536;
  /// Only the simulator sets it, as a planted bug: a new leader waits for nobody (hazards F14).
  bool planted_no_grace = false;
};

/// A client in one of its lives.
struct client_ref {
  client_id id;
  incarnation life;
  auto operator<=>(const client_ref&) const = default;
};

/// The write leases of one partition, in the memory of its leader (hazards F14): one holder per
/// file. Knows the registered clients from their replicated records. A new leader knows no lease,
/// so it grants nothing and lets nobody read a file's data until every client that was registered
/// has re-asserted its leases, or one lease and the slack have passed since the election: then
/// whoever was silent knows himself that his leases ran out.
///
/// Everything here must be called only while the leader holds its raft lease and its node lease;
/// a grant may outlast them. Not thread-safe.
class lease_table_state {
public:
  explicit lease_table_state(lease_options options = {}) : options_(options) {}

  /// This replica leads from now on. @param registered  clients with a record, not expired.
  void begin(std::uint64_t term, boot_time elected,
             const std::map<client_id, incarnation>& clients);
  /// Leadership is gone: forgets everything.
  void end();

  /// A client's record was committed. An earlier life of it loses its leases.
  void registered(client_ref client, boot_time now);
  /// A client's record says "expired", or is gone.
  void forgotten(client_id client);
  bool is_registered(client_ref client) const;
  bool full() const { return clients_.size() >= options_.clients_max; }

  /// Gives the client the lease of a file; again the same one if he has it.
  /// @param fresh  the file was made just now: nobody else can have a lease of it.
  /// @returns errc::busy while another has it (he is recalled) or may still have it,
  /// errc::unknown_client.
  expected<lease_id> acquire(lin file, client_ref client, bool fresh, boot_time now);
  /// May the client commit under this lease now?
  bool holds(lin file, lease_id lease, client_ref client, boot_time now) const;
  /// True if that cannot be said before the client has named its leases to this leader. A commit
  /// does not name one: it may have been sent long ago, and the file have changed hands since.
  bool is_unnamed(lin file, lease_id lease, client_ref client, boot_time now) const;
  /// Between these two a commit under the lease is in flight: nobody else gets it, whatever runs
  /// out meanwhile.
  void commit_started(lin file);
  /// @param release  the client gives the lease back with it.
  void commit_finished(lin file, bool release, boot_time now);
  /// The client gives a lease back; nothing happens if it is not his.
  void release(lin file, lease_id lease, client_ref client, boot_time now);

  /// The client is alive and names all that it holds. @returns errc::unknown_client
  expected<leases_renewed> renew(client_ref client, const std::vector<held_lease>& held,
                                 boot_time now);

  /// May the client see committed data and size of this file, or does another buffer newer ones?
  /// @returns errc::busy; then the holder is recalled.
  expected<void> may_read(lin file, client_id client, boot_time now);

  /// Drops what ran out.
  void tick(boot_time now);
  /// Clients that were not heard of since `before`.
  std::vector<client_ref> silent_since(boot_time before) const;
  /// True while clients may hold leases that this leader does not know.
  bool reclaiming(boot_time now) const;
  std::size_t lease_count() const { return leases_.size(); }
  std::size_t client_count() const { return clients_.size(); }

private:
  struct client_record {
    incarnation life;
    boot_time heard;         ///< Last renewal or grant; the election at first.
    bool reasserted = false; ///< Named its leases in this term, or registered in it.
    std::set<lin> files;     ///< Of its leases.
  };
  struct lease_record {
    lease_id id;
    client_id holder;
    boot_time named;              ///< Granted, or last named by the holder.
    std::uint32_t committing = 0; ///< Commits in flight.
    bool released = false;        ///< To be dropped when they are done.
    bool recalled = false;
    client_id waiting; ///< Who caused the recall first.
  };
  /// A file that was given back because of `client`, kept for him for a moment.
  struct reservation {
    client_id client;
    boot_time until;
  };

  boot_time run_out(boot_time heard) const;
  bool is_live(const lease_record& lease, boot_time now) const;
  bool may_reassert(const client_record& client, lease_id lease, boot_time now) const;
  /// True if some client other than `self` may hold leases that are not known here.
  bool unknown_leases(client_id self, boot_time now) const;
  std::uint64_t term_of(lease_id lease) const { return lease.value >> 32; }
  void insert(lin file, lease_id id, client_id holder, boot_time now);
  void drop(std::map<lin, lease_record>::iterator at, boot_time now);
  void drop_all(client_record& client, boot_time now);
  error recall(lin file, lease_record& lease, client_id waiting) const;

  lease_options options_;
  std::uint64_t term_ = 0;
  std::uint64_t given_ = 0; ///< Leases of this term.
  boot_time elected_;
  std::map<client_id, client_record> clients_;
  std::map<lin, lease_record> leases_;
  std::map<lin, reservation> reserved_;
};

} // namespace troupe
