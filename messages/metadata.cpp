#include "messages/metadata.hpp"

#include "messages/overload.hpp"

namespace troupe {

slot_id slot_of(const meta_operation& operation) {
  return std::visit(
    [](const auto& op) {
      if constexpr (requires { op.slot; })
        return op.slot;
      else if constexpr (requires { op.from_directory; })
        return slot_of(op.from_directory);
      else if constexpr (requires { op.directory; })
        return slot_of(op.directory);
      else
        return slot_of(op.id);
    },
    operation);
}

bool is_read_only(const meta_operation& operation) {
  return std::visit(
    overload{[](const op_lookup&) { return true; }, [](const op_read_directory&) { return true; },
             [](const op_get_attributes&) { return true; },
             [](const op_read_symlink&) { return true; }, [](const op_get_layout&) { return true; },
             [](const op_renew_leases&) { return true; },
             [](const op_acquire_write_lease&) { return true; },
             [](const op_release_lease&) { return true; },
             [](const op_get_stripe&) { return true; }, [](const auto&) { return false; }},
    operation);
}

const char* name_of(const meta_operation& operation) {
  static constexpr const char* names[] = {"lookup",
                                          "create",
                                          "create_detached_directory",
                                          "link_directory",
                                          "link",
                                          "unlink",
                                          "release_orphan",
                                          "remove_directory",
                                          "mark_removing",
                                          "unlink_directory",
                                          "remove_inode",
                                          "rename",
                                          "read_directory",
                                          "get_attributes",
                                          "set_attributes",
                                          "read_symlink",
                                          "get_layout",
                                          "commit_write",
                                          "register_client",
                                          "renew_leases",
                                          "acquire_write_lease",
                                          "release_lease",
                                          "get_stripe",
                                          "repair_unit"};
  static_assert(std::size(names) == std::variant_size_v<meta_operation>);
  return names[operation.index()];
}

} // namespace troupe
