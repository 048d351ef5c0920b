#include "storage/meta/checked_rows.hpp"
#include "storage/meta/evaluation_scope.hpp"
#include "storage/meta/extents.hpp"

#include <set>

// The part of meta_check about data: extents, stripes, runs, and the counters of slots and drives.

namespace troupe {

namespace {

using references = std::map<stripe_id, std::uint64_t>;

class data_checker {
public:
  data_checker(const checked_rows& rows, check_report& report) : rows_(rows), report_(report) {}

  void run() {
    check_extents();
    check_inline();
    check_trims();
    for (const auto& [id, stripe] : rows_.stripes)
      check_stripe(id, stripe);
    for (const auto& [id, row] : rows_.at_risk)
      if (auto it = rows_.stripes.find(id); it == rows_.stripes.end() || !it->second.layout.at_risk)
        add(finding_kind::wrong_stripe, row.owner, object_of(row.owner), "at-risk row");
    check_runs();
    check_physical();
  }

private:
  void add(finding_kind kind, lin id, std::string object, std::string detail) {
    report_.findings.push_back({kind, id, std::move(object), std::move(detail)});
  }
  static std::string stripe_name(stripe_id id) { return "stripe " + to_string(lin{id.value}); }

  void check_extents() {
    const checked_rows::file_extent* before = nullptr;
    for (const auto& e : rows_.extents) {
      if (before != nullptr && before->id == e.id && e.begin() < before->end)
        add(finding_kind::overlapping_extents, e.id, object_of(e.id),
            "at " + std::to_string(e.begin()));
      before = &e;
      check_extent(e);
    }
  }

  void check_extent(const checked_rows::file_extent& e) {
    auto object = object_of(e.id) + " at " + std::to_string(e.begin());
    ++live_[e.row.stripe];
    auto inode = rows_.inodes.find(e.id);
    if (inode == rows_.inodes.end() || inode->second.kind != file_kind::regular) {
      add(finding_kind::wrong_extent, e.id, object, "no file");
    } else {
      const auto& trimmed = inode->second.trimmed;
      bool cut_off = trimmed && trimmed->begin <= e.begin() && e.end <= trimmed->end;
      if (trimmed && !cut_off && e.begin() < trimmed->end && trimmed->begin < e.end)
        add(finding_kind::wrong_extent, e.id, object, "across the border of a trimmed range");
      if (!cut_off && e.end > round_up_to_block(inode->second.size))
        add(finding_kind::wrong_extent, e.id, object, "beyond the size");
    }
    if (e.row.bytes == 0 || e.row.bytes % block_bytes != 0 || e.end % block_bytes != 0
        || e.row.stripe_offset % block_bytes != 0)
      add(finding_kind::wrong_extent, e.id, object, "not in blocks");
    if (e.begin() == 0 && rows_.inline_bytes.contains(e.id)
        && !(inode != rows_.inodes.end() && inode->second.trimmed
             && inode->second.trimmed->begin == 0))
      add(finding_kind::wrong_inline_data, e.id, object, "beside an extent");
    auto stripe = rows_.stripes.find(e.row.stripe);
    if (stripe == rows_.stripes.end()) {
      add(finding_kind::wrong_extent, e.id, object, "no " + stripe_name(e.row.stripe));
      return;
    }
    const auto& layout = stripe->second.layout;
    auto bytes = std::uint64_t{layout.shape.data_units} * layout.unit_blocks * block_bytes;
    if (e.row.stripe_offset + e.row.bytes > bytes)
      add(finding_kind::wrong_extent, e.id, object, "beyond its stripe");
    if (stripe->second.owner != e.id)
      add(finding_kind::wrong_stripe, e.id, object, "of another file");
  }

  void check_inline() {
    for (const auto& [id, bytes] : rows_.inline_bytes) {
      auto inode = rows_.inodes.find(id);
      if (inode == rows_.inodes.end()) {
        add(finding_kind::wrong_inline_data, id, object_of(id), "no inode");
        continue;
      }
      bool is_link = inode->second.kind == file_kind::symlink;
      bool fits = is_link ? bytes == inode->second.size
                          : inode->second.kind == file_kind::regular && bytes <= inline_bytes_max
                              && bytes <= inode->second.size;
      if (!fits)
        add(finding_kind::wrong_inline_data, id, object_of(id), std::to_string(bytes) + " bytes");
    }
    for (const auto& [id, inode] : rows_.inodes)
      if (inode.kind == file_kind::symlink && !rows_.inline_bytes.contains(id))
        add(finding_kind::wrong_inline_data, id, object_of(id), "symlink without target");
  }

  void check_trims() {
    for (const auto& [id, inode] : rows_.inodes)
      if (inode.trimmed.has_value() != rows_.trims.contains(id))
        add(finding_kind::stray_trim, id, object_of(id), "");
    for (const auto& [id, there] : rows_.trims)
      if (!rows_.inodes.contains(id))
        add(finding_kind::stray_trim, id, object_of(id), "no inode");
  }

  void check_stripe(stripe_id id, const stripe_row& stripe) {
    auto live = live_.contains(id) ? live_.at(id) : 0;
    auto old = rows_.version_references.contains(id) ? rows_.version_references.at(id) : 0;
    if (stripe.live_references != live || stripe.references != live + old || stripe.references == 0)
      add(finding_kind::wrong_references, stripe.owner, stripe_name(id),
          std::to_string(stripe.live_references) + " of " + std::to_string(stripe.references)
            + " instead of " + std::to_string(live) + " of " + std::to_string(live + old));
    const auto& layout = stripe.layout;
    std::set<drive_uuid> drives;
    for (const auto& unit : layout.units)
      drives.insert(unit.run.drive);
    if (drives.size() != layout.units.size()
        || layout.units.size() != layout.shape.data_units + std::size_t{layout.shape.parity_units})
      add(finding_kind::wrong_stripe, stripe.owner, stripe_name(id), "drives or shape");
    if (layout.at_risk != rows_.at_risk.contains(id))
      add(finding_kind::wrong_stripe, stripe.owner, stripe_name(id), "at-risk row");
  }

  /// No block of a drive belongs to two stripes, or to a stripe and a pending free of its birth.
  void check_runs() {
    struct used {
      std::uint64_t end = 0;
      stripe_id stripe;
      birth born;
    };
    std::map<drive_uuid, std::map<std::uint64_t, used>> runs;
    for (const auto& [id, stripe] : rows_.stripes)
      for (const auto& unit : stripe.layout.units) {
        auto& drive = runs[unit.run.drive];
        auto end = unit.run.start_block + unit.run.block_count;
        auto next = drive.lower_bound(unit.run.start_block);
        bool overlaps = next != drive.end() && next->first < end;
        if (next != drive.begin() && std::prev(next)->second.end > unit.run.start_block)
          overlaps = true;
        if (overlaps)
          add(finding_kind::shared_run, stripe.owner, stripe_name(id),
              "drive " + to_string(unit.run.drive) + " block "
                + std::to_string(unit.run.start_block));
        drive[unit.run.start_block] = {end, id, unit.run.born};
      }
    for (const auto& [key, batch] : rows_.pending)
      for (const auto& run : batch.runs) {
        auto drive = runs.find(key.first);
        if (drive == runs.end())
          continue;
        auto it = drive->second.find(run.start_block);
        if (it != drive->second.end() && it->second.born == run.born)
          add(finding_kind::shared_run, {}, stripe_name(it->second.stripe), "to be freed");
      }
  }

  void check_physical() {
    std::map<lin, std::uint64_t> of_files;
    for (const auto& [id, stripe] : rows_.stripes)
      if (live_.contains(id))
        of_files[stripe.owner] += physical_blocks_of(stripe.layout);
    for (const auto& [id, inode] : rows_.inodes) {
      auto blocks = of_files.contains(id) ? of_files.at(id) : 0;
      if (inode.physical_blocks != blocks)
        add(finding_kind::wrong_physical_blocks, id, object_of(id),
            std::to_string(inode.physical_blocks) + " instead of " + std::to_string(blocks));
    }
  }

  const checked_rows& rows_;
  check_report& report_;
  references live_; ///< Extents of live files per stripe.
};

void check_slots(const checked_rows& rows, check_report& report) {
  std::map<slot_id, slot_row> seen;
  auto slot_mask = (std::uint64_t{1} << 48) - 1;
  for (const auto& [id, inode] : rows.inodes) {
    auto& s = seen[slot_of(id)];
    ++s.inode_count;
    s.directory_count += inode.kind == file_kind::directory ? 1 : 0;
    s.next_lin_sequence = std::max(s.next_lin_sequence, (id.value & slot_mask) + 1);
  }
  for (const auto& [id, stripe] : rows.stripes) {
    auto& s = seen[slot_of(id)];
    s.physical_blocks += physical_blocks_of(stripe.layout);
    s.next_stripe_sequence = std::max(s.next_stripe_sequence, (id.value & slot_mask) + 1);
  }
  for (const auto& [slot, row] : rows.slots)
    seen.try_emplace(slot);
  for (const auto& [slot, is] : seen) {
    auto it = rows.slots.find(slot);
    auto says = it == rows.slots.end() ? slot_row{} : it->second;
    auto object = "slot " + std::to_string(slot.value);
    if (says.inode_count != is.inode_count || says.directory_count != is.directory_count)
      report.findings.push_back({finding_kind::wrong_slot_counts, {}, object, ""});
    if (says.physical_blocks != is.physical_blocks)
      report.findings.push_back({finding_kind::wrong_physical_blocks,
                                 {},
                                 object,
                                 std::to_string(says.physical_blocks) + " instead of "
                                   + std::to_string(is.physical_blocks)});
    if (says.next_lin_sequence < is.next_lin_sequence
        || says.next_stripe_sequence < is.next_stripe_sequence)
      report.findings.push_back({finding_kind::sequence_reused, {}, object, ""});
  }
}

void check_pending(const checked_rows& rows, check_report& report) {
  std::map<drive_uuid, drive_frees_row> seen;
  for (const auto& [key, batch] : rows.pending) {
    auto& s = seen[key.first];
    s.pending_runs += batch.runs.size();
    s.next_batch = std::max(s.next_batch, key.second + 1);
  }
  for (const auto& [drive, row] : rows.drive_frees)
    seen.try_emplace(drive);
  for (const auto& [drive, is] : seen) {
    auto it = rows.drive_frees.find(drive);
    auto says = it == rows.drive_frees.end() ? drive_frees_row{} : it->second;
    if (says.pending_runs != is.pending_runs || says.next_batch < is.next_batch)
      report.findings.push_back(
        {finding_kind::wrong_pending_frees,
         {},
         "drive " + to_string(drive),
         std::to_string(says.pending_runs) + " instead of " + std::to_string(is.pending_runs)});
  }
}

/// Of one key: written <= suffix < written of the next, up to the live row.
void check_versions(const checked_rows& rows, check_report& report) {
  for (const auto& [key, versions] : rows.versions) {
    snapshot_epoch free_from{};
    bool right = true;
    for (const auto& v : versions) {
      right = right && free_from <= v.written && v.written <= v.suffix && v.written;
      free_from = snapshot_epoch{v.suffix.value + 1};
    }
    auto live = rows.written.find(key);
    if (live != rows.written.end())
      right = right && free_from <= live->second;
    if (!right)
      report.findings.push_back({finding_kind::wrong_version,
                                 {},
                                 evaluation_scope::describe_key(key),
                                 std::to_string(versions.size()) + " versions"});
  }
}

} // namespace

void check_data(const checked_rows& rows, check_report& report) {
  data_checker{rows, report}.run();
}

void check_counts(const checked_rows& rows, check_report& report) {
  check_slots(rows, report);
  check_pending(rows, report);
  check_versions(rows, report);
}

} // namespace troupe
