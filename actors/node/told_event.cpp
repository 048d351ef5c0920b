#include "actors/node/told_event.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace troupe {

namespace {

constexpr std::size_t fields_max = 16;
constexpr std::size_t value_bytes_max = 512;
constexpr std::size_t word_bytes_max = 64;

/// What every line of the log has (actors/kit/log.cpp).
constexpr std::array<std::string_view, 5> own_keys{"time", "severity", "event", "node", "trace"};

bool is_word(const std::string& text) {
  return !text.empty() && text.size() <= word_bytes_max
         && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

} // namespace

std::optional<event_record> told_event(event_record event, const certified_identity& from) {
  if (!is_word(event.name) || event.fields.size() > fields_max)
    return std::nullopt;
  for (auto& [key, value] : event.fields) {
    if (!is_word(key) || std::find(own_keys.begin(), own_keys.end(), key) != own_keys.end())
      return std::nullopt;
    value.resize(std::min(value.size(), value_bytes_max));
  }
  event.number = 0;
  event.node = {};
  event.fields["told_by"] = std::string{to_string(from.role)} + "/" + std::to_string(from.id);
  event.severity = std::min(event.severity, event_severity::error);
  return event;
}

} // namespace troupe
