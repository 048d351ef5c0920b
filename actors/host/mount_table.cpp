#include "actors/host/mount_table.hpp"

#include "actors/host/processes.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace troupe {

namespace {

/// The kernel writes blanks, tabs, newlines and backslashes of a path as three octal digits.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

} // namespace

bool is_mount_point(const std::string& path) {
  std::ifstream in{"/proc/self/mountinfo"};
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream fields{line};
    std::string field;
    for (int i = 0; i < 5; ++i)
      fields >> field;
    if (unescape(field) == path)
      return true;
  }
  return false;
}

std::string absolute_path(const std::string& path) {
  std::error_code failed;
  auto full = std::filesystem::absolute(path, failed).lexically_normal().string();
  while (full.size() > 1 && full.back() == '/')
    full.pop_back();
  return failed ? path : full;
}

std::string mount_table::file_of(const std::string& mount_point) const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string name;
  for (char c : mount_point) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
      name += c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    name += '%';
    name += digits[byte >> 4];
    name += digits[byte & 15];
  }
  return directory_ + "/" + name;
}

expected<void> mount_table::add(const std::string& mount_point, std::uint32_t pid) {
  if (auto made = files_.make_directory(directory_); !made)
    return made;
  auto text = std::to_string(pid) + "\n" + mount_point;
  return files_.replace_file(file_of(mount_point), as_bytes(text));
}

expected<void> mount_table::remove(const std::string& mount_point) {
  return files_.remove_file(file_of(mount_point));
}

std::vector<mount_record> mount_table::all() {
  std::vector<mount_record> out;
  auto names = files_.list(directory_);
  if (!names)
    return out;
  for (const auto& name : *names) {
    auto bytes = files_.read_file(directory_ + "/" + name, 64 * kib);
    if (!bytes)
      continue;
    std::string text{as_text(*bytes)};
    auto newline = text.find('\n');
    if (newline == std::string::npos)
      continue;
    mount_record m;
    m.pid = static_cast<std::uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
    m.mount_point = text.substr(newline + 1);
    m.alive = is_alive(static_cast<pid_t>(m.pid)) && is_mount_point(m.mount_point);
    out.push_back(std::move(m));
  }
  return out;
}

} // namespace troupe
