#pragma once

#include "messages/admin.hpp"

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

/// A field's value: text as it is, numbers and ids in decimal.
struct log_value {
  std::string text;
  log_value(std::string x) : text(std::move(x)) {}
  log_value(const char* x) : text(x) {}
  log_value(bool x) : text(x ? "true" : "false") {}
  template <std::integral T>
  log_value(T x) : text(std::to_string(x)) {}
  template <class Tag, class Rep>
  log_value(strong_id<Tag, Rep> x) : text(std::to_string(x.value)) {}
  log_value(lin x) : text(to_string(x)) {}
  log_value(const uuid& x) : text(to_string(x)) {}
  log_value(const error& x) : text(x.context.empty() ? to_string(x.code) : x.context) {}
};
using log_fields = std::initializer_list<std::pair<const char*, log_value>>;

/// Says that something happened: a stable snake_case name and key-value pairs, no prose with
/// numbers inside. Goes as one line of JSON to the log file, with the trace of the current work,
/// and (from `info` up) into the ring that `troupe event list` shows. Thread-safe.
/// @param severity  error: an operator must act. warn: degraded, handled. info: a state changed.
void log_event(event_severity severity, const char* name, log_fields fields = {});

struct log_options {
  std::string path; ///< Empty: no file, warnings and errors go to stderr.
  std::uint64_t file_bytes_max = 16 * 1024 * 1024;
  std::uint32_t files_max = 4; ///< Then the oldest is deleted.
  event_severity severity_min = event_severity::info;
  node_id node; ///< Written into every line; 0 if this is not a node.
};
/// Opens the log of this process; may be called again. errc::io_error if the file cannot be made.
expected<void> open_log(const log_options& options);
/// Writes out what is buffered.
void flush_log();

/// Events of this process above `after`, oldest first; the ring holds the last 4096.
std::vector<event_record> recent_events(std::uint64_t after, event_severity severity_min,
                                        std::size_t count_max);
/// Puts an event that somebody else saw into the ring and the log.
void adopt_event(const event_record& event);

/// Sees every event of this process as long as it lives; one at a time. For tests, and for what
/// reacts to events.
class event_listener {
public:
  explicit event_listener(std::function<void(const event_record&)> seen);
  ~event_listener();
  event_listener(const event_listener&) = delete;
  event_listener& operator=(const event_listener&) = delete;
};

} // namespace troupe
