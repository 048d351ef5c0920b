#include "storage/meta/session_format.hpp"

#include "storage/meta/row_coding.hpp"

namespace troupe {

namespace {

constexpr std::uint8_t here_format = 1;
constexpr std::uint8_t session_format = 1;

struct result_writer {
  byte_writer& out;
  void operator()(const stored_refusal& x) const {
    out.put(static_cast<std::uint8_t>(x.code)).put(x.id.value);
  }
  void operator()(const stored_done&) const {}
  void operator()(const stored_entry& x) const {
    out.put(x.child.value).put(static_cast<std::uint8_t>(x.kind));
  }
  void operator()(const stored_attributes& x) const { out.put(x.id.value); }
  void operator()(const stored_commit& x) const {
    out.put(x.id.value).put(x.first_stripe.value).put(x.stripe_count);
  }
};

stored_result read_result(row_reader& in) {
  switch (in.get<std::uint8_t>()) {
  case 0: {
    stored_refusal x;
    x.code = static_cast<errc>(in.get<std::uint8_t>());
    x.id = error_id{in.get<std::uint16_t>()};
    return x;
  }
  case 1: return stored_done{};
  case 2: {
    stored_entry x;
    x.child = lin{in.get<std::uint64_t>()};
    x.kind = static_cast<file_kind>(in.get<std::uint8_t>());
    return x;
  }
  case 3: return stored_attributes{lin{in.get<std::uint64_t>()}};
  case 4: {
    stored_commit x;
    x.id = lin{in.get<std::uint64_t>()};
    x.first_stripe = stripe_id{in.get<std::uint64_t>()};
    x.stripe_count = in.get<std::uint32_t>();
    return x;
  }
  default: in.fail(); return stored_done{};
  }
}

} // namespace

std::string encode(const here_row& x) {
  row_writer out{here_format};
  out.put(x.client_incarnation.value).put(static_cast<std::uint8_t>(x.expired ? 2 : 1));
  out.put_i64(x.since.ns);
  return out.take();
}

expected<here_row> decode_here(std::string_view value) {
  row_reader in{"here", value, here_format};
  here_row x;
  x.client_incarnation = incarnation{in.get<std::uint64_t>()};
  auto state = in.get<std::uint8_t>();
  if (state != 1 && state != 2)
    in.fail();
  x.expired = state == 2;
  x.since = in.get_time();
  return in.finish(x);
}

std::string encode(const session_row& x) {
  row_writer out{session_format};
  out.put(x.client_incarnation.value).put(x.low_water);
  out.put(static_cast<std::uint16_t>(x.results.size()));
  for (const auto& [sequence, result] : x.results) {
    out.put(sequence).put(static_cast<std::uint8_t>(result.index()));
    std::visit(result_writer{out}, result);
  }
  return out.take();
}

expected<session_row> decode_session(std::string_view value) {
  row_reader in{"session", value, session_format};
  session_row x;
  x.client_incarnation = incarnation{in.get<std::uint64_t>()};
  x.low_water = in.get<std::uint64_t>();
  auto count = in.get<std::uint16_t>();
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    auto sequence = in.get<std::uint64_t>();
    x.results[sequence] = read_result(in);
  }
  return in.finish(std::move(x));
}

} // namespace troupe
