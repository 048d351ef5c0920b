#include "actors/kit/caf_error.hpp"

#include <caf/sec.hpp>

namespace troupe {

namespace {

/// Context of ours: the words, then the error id.
error unpack(errc code, const caf::message& context) {
  error out{code, ""};
  if (context.match_elements<std::string, std::uint16_t>()) {
    out.context = context.get_as<std::string>(0);
    out.id = error_id{context.get_as<std::uint16_t>(1)};
  }
  return out;
}

} // namespace

caf::error to_caf(const error& err) {
  return caf::make_error(err.code, err.context, err.id.value);
}

error from_caf(const caf::error& err) {
  if (!err)
    return {};
  if (err.category() == caf::atom("troupe"))
    return unpack(static_cast<errc>(err.code()), err.context());
  if (err == caf::sec::request_timeout)
    return {errc::timeout, "no answer of an actor"};
  bool ended = err.category() == caf::atom("exit") || err == caf::sec::request_receiver_down
               || err == caf::sec::runtime_error;
  return {ended ? errc::may_have_happened : errc::unavailable,
          ended ? "the actor ended" : "the actor does not take this message"};
}

std::string render_error(std::uint8_t code, caf::atom_value, const caf::message& context) {
  return describe(unpack(static_cast<errc>(code), context));
}

} // namespace troupe
