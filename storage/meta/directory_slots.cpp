#include "storage/meta/directory_slots.hpp"

#include "storage/meta/meta_keys.hpp"

namespace troupe {

slot_id suggest_directory_slot(lin parent, std::string_view name, const slot_load& load,
                               const directory_slots_options& options) {
  bool stays = parent != root_lin && load.directories < options.directories_max
               && load.inodes < options.inodes_max;
  if (stays)
    return slot_of(parent);
  auto mixed = (name_hash(name) ^ parent.value) * 0x9e3779b97f4a7c15;
  static_assert(slot_count == 1 << 12);
  return slot_id{static_cast<std::uint16_t>(mixed >> 52)}; // the bits that all others reach
}

slot_load estimate_slot_load(const inode_attributes& parent) {
  slot_load load;
  if (parent.link_count > 2)
    load.directories = parent.link_count - 2;
  load.inodes = parent.id.value & ((std::uint64_t{1} << 48) - 1);
  return load;
}

} // namespace troupe
