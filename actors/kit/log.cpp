#include "actors/kit/log.hpp"

#include "actors/kit/trace.hpp"

#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace troupe {

namespace {

constexpr std::size_t ring_events_max = 4096;

spdlog::level::level_enum level_of(event_severity severity) {
  switch (severity) {
  case event_severity::debug: return spdlog::level::debug;
  case event_severity::info: return spdlog::level::info;
  case event_severity::warn: return spdlog::level::warn;
  case event_severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> stderr_logger() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>("troupe", sink);
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::warn);
  return logger;
}

/// The log of this process. Made at first use, never destroyed: events may come from the last
/// destructors.
struct process_log {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger = stderr_logger();
  log_options options{.severity_min = event_severity::warn};
  std::deque<event_record> ring;
  std::uint64_t next_number = 1;
  std::map<const event_listener*, std::function<void(const event_record&)>> listeners;
};
process_log& the_log() {
  static auto* log = new process_log;
  return *log;
}

std::string json_line(const event_record& event, trace_context trace) {
  nlohmann::ordered_json line;
  auto seconds = event.time.ns / 1'000'000'000;
  auto t = static_cast<std::time_t>(seconds);
  std::tm utc{};
  ::gmtime_r(&t, &utc);
  char stamp[40];
  auto n = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + n, sizeof(stamp) - n, ".%06dZ",
                static_cast<int>(event.time.ns / 1000 % 1'000'000));
  line["time"] = stamp;
  line["severity"] = to_string(event.severity);
  line["event"] = event.name;
  if (event.node)
    line["node"] = event.node.value;
  if (trace)
    line["trace"] = trace.id.value;
  for (const auto& [key, value] : event.fields)
    line[key] = value;
  // Names of files may be any bytes; JSON is UTF-8.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void store(process_log& log, event_record event) {
  event.number = log.next_number++;
  log.ring.push_back(std::move(event));
  if (log.ring.size() > ring_events_max)
    log.ring.pop_front();
}

} // namespace

void log_event(event_severity severity, const char* name, log_fields fields) {
  event_record event;
  event.time = system_clock().wall();
  event.severity = severity;
  event.name = name;
  for (const auto& [key, value] : fields)
    event.fields.emplace(key, value.text);
  adopt_event(event);
}

void adopt_event(const event_record& original) {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  auto event = original;
  if (!event.node)
    event.node = log.options.node;
  if (event.severity >= log.options.severity_min)
    log.logger->log(level_of(event.severity), json_line(event, current_trace()));
  for (const auto& [listener, seen] : log.listeners)
    seen(event);
  if (event.severity >= event_severity::info)
    store(log, std::move(event));
}

expected<void> open_log(const log_options& options) {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  if (options.path.empty()) {
    log.logger = stderr_logger();
    log.options = options;
    return {};
  }
  try { // spdlog reports by exception
    auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
      options.path, options.file_bytes_max, options.files_max);
    auto logger = std::make_shared<spdlog::logger>("troupe", sink);
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::debug);
    logger->flush_on(spdlog::level::info);
    log.logger = std::move(logger);
  } catch (const spdlog::spdlog_ex& problem) {
    return error{errc::io_error, problem.what(), trp::no_permission};
  }
  log.options = options;
  return {};
}

void flush_log() {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  log.logger->flush();
}

std::vector<event_record> recent_events(std::uint64_t after, event_severity severity_min,
                                        std::size_t count_max) {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  std::vector<event_record> out;
  for (const auto& event : log.ring)
    if (event.number > after && event.severity >= severity_min && out.size() < count_max)
      out.push_back(event);
  return out;
}

event_listener::event_listener(std::function<void(const event_record&)> seen) {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  log.listeners.emplace(this, std::move(seen));
}

event_listener::~event_listener() {
  auto& log = the_log();
  std::lock_guard guard{log.mutex};
  log.listeners.erase(this);
}

} // namespace troupe
