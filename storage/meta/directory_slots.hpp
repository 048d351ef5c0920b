#pragma once

#include "messages/metadata.hpp"

#include <string_view>

// Where a new directory should live. Files live in their directory's slot, so this is what spreads
// a tree, and with it the work, over the leaders of all groups.

namespace troupe {

/// What is known of how full a slot is; 0 where nothing is.
struct slot_load {
  std::uint64_t directories = 0;
  std::uint64_t inodes = 0;
};

struct directory_slots_options {
  std::uint32_t directories_max = 8; ///< A slot with more is left by further directories.
  std::uint32_t inodes_max = 2'000;  ///< Likewise.
};

/// The slot for a directory `name` in `parent`. A child of the root directory goes to a slot that
/// its name chooses, so that trees begin everywhere. A deeper one stays with its parent, where
/// mkdir, rmdir and rename are one entry in one group, while that slot is small; then it goes
/// where its name and parent choose.
slot_id suggest_directory_slot(lin parent, std::string_view name, const slot_load& load,
                               const directory_slots_options& options = {});

/// What a client can tell of the slot of a directory from its attributes alone: subdirectories
/// from its links, inodes from its own number, because LINs of a slot are given out in sequence.
slot_load estimate_slot_load(const inode_attributes& parent);

} // namespace troupe
