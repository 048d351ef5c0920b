#pragma once

#include "messages/error.hpp"
#include "messages/ids.hpp"
#include "messages/units.hpp"
#include "storage/base/coding.hpp"

#include <span>
#include <string>

// Helpers of the `_format` files: rows are strings, fields are coded by storage/base/coding.hpp.

namespace troupe {

/// Writes the fields of one row behind its format number.
class row_writer : public byte_writer {
public:
  explicit row_writer(std::uint8_t format) : byte_writer(bytes_) { put(format); }
  /// For rows with versions.
  row_writer(std::uint8_t format, snapshot_epoch written) : row_writer(format) {
    put(written.value);
  }
  row_writer(const row_writer&) = delete;
  row_writer& operator=(const row_writer&) = delete;
  row_writer& put_uuid(const uuid& x) {
    put_raw(std::as_bytes(std::span{x.bytes}));
    return *this;
  }
  std::string take() const { return std::string{as_text(bytes_)}; }

private:
  byte_vector bytes_;
};

/// Reads the fields of one row; its format number must be in [1, newest].
class row_reader : public byte_reader {
public:
  row_reader(const char* what, std::string_view value, std::uint8_t newest)
    : byte_reader(as_bytes(value)), what_(what), newest_(newest) {
    format_ = get<std::uint8_t>();
  }
  snapshot_epoch get_epoch() { return snapshot_epoch{get<std::uint64_t>()}; }
  wall_time get_time() { return wall_time{get_i64()}; }
  template <class Uuid>
  void get_uuid(Uuid& x) {
    auto bytes = get_raw(x.bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      x.bytes[i] = static_cast<std::uint8_t>(bytes[i]);
  }
  /// The row if every byte was understood, else why not.
  template <class Row>
  expected<Row> finish(Row row) const {
    if (format_ > newest_)
      return error{errc::wrong_version,
                   std::string{what_} + " row of format " + std::to_string(format_)};
    if (format_ == 0 || !done())
      return error{errc::corrupt, std::string{what_} + " row"};
    return row;
  }

private:
  const char* what_;
  std::uint8_t newest_;
  std::uint8_t format_;
};

} // namespace troupe
