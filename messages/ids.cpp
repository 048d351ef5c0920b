#include "messages/ids.hpp"

#include <cstdio>

namespace troupe {

std::string to_string(const uuid& x) {
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < x.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      out += '-';
    static constexpr char digits[] = "0123456789abcdef";
    out += digits[x.bytes[i] >> 4];
    out += digits[x.bytes[i] & 15];
  }
  return out;
}

bool parse_uuid(const std::string& text, uuid& out) {
  auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9')
      return c - '0';
    if (c >= 'a' && c <= 'f')
      return c - 'a' + 10;
    return -1;
  };
  if (text.size() != 36)
    return false;
  uuid parsed;
  std::size_t pos = 0;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) {
      if (text[pos++] != '-')
        return false;
    }
    int high = digit(text[pos]);
    int low = digit(text[pos + 1]);
    if (high < 0 || low < 0)
      return false;
    parsed.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    pos += 2;
  }
  out.bytes = parsed.bytes;
  return true;
}

std::string to_string(lin x) {
  char text[32];
  std::snprintf(text, sizeof text, "%llx:%04llx:%04llx",
                static_cast<unsigned long long>(x.value >> 32),
                static_cast<unsigned long long>(x.value >> 16 & 0xffff),
                static_cast<unsigned long long>(x.value & 0xffff));
  return text;
}

} // namespace troupe
