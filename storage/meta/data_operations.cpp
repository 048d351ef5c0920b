#include "storage/meta/operations.hpp"

namespace troupe {

expected<meta_result> run(const op_get_layout& op, evaluation_scope&) {
  return error{errc::not_supported, object_of(op.id), trp::not_available_yet};
}

expected<meta_result> run(const op_commit_write& op, evaluation_scope&) {
  return error{errc::not_supported, object_of(op.id), trp::not_available_yet};
}

} // namespace troupe
