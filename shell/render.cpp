#include "shell/render.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace troupe::shell {

std::string render_table(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width(head.size());
  for (std::size_t i = 0; i < head.size(); ++i)
    width[i] = head[i].size();
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size() && i < width.size(); ++i)
      width[i] = std::max(width[i], row[i].size());
  std::string out;
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < cells.size() && i < width.size(); ++i) {
      text += cells[i];
      if (i + 1 < cells.size())
        text.append(width[i] - cells[i].size() + 2, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + '\n';
  };
  line(head);
  for (const auto& row : rows)
    line(row);
  return out;
}

std::string render_bytes(std::uint64_t bytes) {
  static constexpr const char* names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  std::size_t unit = 0;
  auto value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < std::size(names)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value,
                names[unit]);
  return text;
}

std::string render_time(wall_time time) {
  auto seconds = static_cast<std::time_t>(time.ns / 1'000'000'000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[64];
  auto length = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc);
  std::snprintf(text + length, sizeof text - length, ".%03dZ",
                static_cast<int>(time.ns % 1'000'000'000 / 1'000'000));
  return text;
}

const char* render_kind(file_kind kind) {
  switch (kind) {
  case file_kind::none: return "none";
  case file_kind::regular: return "file";
  case file_kind::directory: return "directory";
  case file_kind::symlink: return "symlink";
  case file_kind::fifo: return "fifo";
  case file_kind::socket: return "socket";
  case file_kind::char_device: return "character device";
  case file_kind::block_device: return "block device";
  }
  return "unknown";
}

std::string render_mode(file_kind kind, std::uint32_t mode) {
  static constexpr char kinds[] = "?-dlpscb";
  auto index = static_cast<std::size_t>(kind);
  std::string text(1, index < sizeof kinds - 1 ? kinds[index] : '?');
  for (int shift = 6; shift >= 0; shift -= 3) {
    text += mode >> shift & 4 ? 'r' : '-';
    text += mode >> shift & 2 ? 'w' : '-';
    text += mode >> shift & 1 ? 'x' : '-';
  }
  auto special = [&](std::uint32_t bit, std::size_t at, char letter) {
    if (mode & bit)
      text[at] = text[at] == 'x' ? letter : static_cast<char>(letter - 'a' + 'A');
  };
  special(04000, 3, 's');
  special(02000, 6, 's');
  special(01000, 9, 't');
  return text;
}

std::string render_step(const plan_step& step) {
  auto words = step.action;
  std::replace(words.begin(), words.end(), '_', ' ');
  std::string out = words + " " + step.object;
  for (const auto& [name, value] : step.details)
    out += ", " + name + " " + value;
  return out + '\n';
}

std::string render_plan(const plan& what) {
  if (what.steps.empty())
    return what.command + ": nothing to do\n";
  std::string out = what.command + " would:\n";
  for (const auto& step : what.steps)
    out += "  " + render_step(step);
  return out;
}

} // namespace troupe::shell
