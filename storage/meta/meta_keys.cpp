#include "storage/meta/meta_keys.hpp"

namespace troupe {

namespace {

/// Builds a key from its parts.
class key_writer {
public:
  explicit key_writer(meta_table table) { out_.push_back(static_cast<char>(table)); }
  key_writer& number(std::uint64_t value, std::size_t bytes = 8) {
    for (std::size_t i = bytes; i-- > 0;)
      out_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  key_writer& raw(std::string_view bytes) {
    out_ += bytes;
    return *this;
  }
  key_writer& name(std::string_view text) { return raw(text).number(0, 1); }
  key_writer& drive(const drive_uuid& x) {
    for (auto b : x.bytes)
      out_.push_back(static_cast<char>(b));
    return *this;
  }
  std::string take() { return std::move(out_); }

private:
  std::string out_;
};

/// Takes a key apart. Reading past the end makes `done()` false.
class key_reader {
public:
  key_reader(std::string_view key, bool right_table) : in_(key), ok_(right_table && !key.empty()) {}
  std::uint64_t number(std::size_t bytes = 8) {
    std::uint64_t value = 0;
    for (auto b : take(bytes))
      value = value << 8 | static_cast<std::uint8_t>(b);
    return value;
  }
  std::string name() {
    auto rest = take(ok_ ? in_.size() - at_ : 0);
    if (rest.empty() || rest.back() != '\0') {
      ok_ = false;
      return {};
    }
    std::string text{rest.substr(0, rest.size() - 1)};
    if (text.find('\0') != std::string::npos)
      ok_ = false;
    return text;
  }
  drive_uuid drive() {
    drive_uuid out;
    auto bytes = take(out.bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      out.bytes[i] = static_cast<std::uint8_t>(bytes[i]);
    return out;
  }
  std::string_view take(std::size_t count) {
    if (!ok_ || in_.size() - at_ < count) {
      ok_ = false;
      return {};
    }
    at_ += count;
    return in_.substr(at_ - count, count);
  }
  bool done() const { return ok_ && at_ == in_.size(); }

private:
  std::string_view in_;
  std::size_t at_ = 1;
  bool ok_;
};

bool is(std::string_view key, meta_table table) {
  return !key.empty() && table_of_key(key) == table;
}

std::string id_key(meta_table table, std::uint64_t id) {
  return key_writer{table}.number(id).take();
}

key_range prefix_range(std::string prefix) {
  auto end = prefix_end(prefix);
  return {std::move(prefix), std::move(end)};
}

} // namespace

const char* to_string(meta_table table) {
  switch (table) {
  case meta_table::inode: return "inode";
  case meta_table::inline_data: return "inline_data";
  case meta_table::extent: return "extent";
  case meta_table::stripe: return "stripe";
  case meta_table::entry: return "entry";
  case meta_table::parent_link: return "parent_link";
  case meta_table::version: return "version";
  case meta_table::session: return "session";
  case meta_table::intent: return "intent";
  case meta_table::slot: return "slot";
  case meta_table::orphan: return "orphan";
  case meta_table::trim: return "trim";
  case meta_table::at_risk: return "at_risk";
  case meta_table::change_log: return "change_log";
  case meta_table::domain_usage: return "domain_usage";
  case meta_table::here: return "here";
  case meta_table::pending_free: return "pending_free";
  case meta_table::drive_frees: return "drive_frees";
  case meta_table::floor: return "floor";
  }
  return "unknown";
}

bool is_versioned(meta_table table) {
  switch (table) {
  case meta_table::inode:
  case meta_table::inline_data:
  case meta_table::extent:
  case meta_table::entry:
  case meta_table::parent_link: return true;
  default: return false;
  }
}

std::string inode_key(lin id) {
  return id_key(meta_table::inode, id.value);
}
std::string inline_key(lin id) {
  return id_key(meta_table::inline_data, id.value);
}
std::string extent_key(lin id, std::uint64_t end_offset) {
  return key_writer{meta_table::extent}.number(id.value).number(end_offset).take();
}
std::string stripe_key(stripe_id id) {
  return id_key(meta_table::stripe, id.value);
}
std::string entry_key(lin directory, std::string_view name) {
  return key_writer{meta_table::entry}
    .number(directory.value)
    .number(name_hash(name))
    .name(name)
    .take();
}
std::string parent_key(lin child, lin directory, std::string_view name) {
  return key_writer{meta_table::parent_link}
    .number(child.value)
    .number(directory.value)
    .name(name)
    .take();
}
std::string session_key(slot_id slot, client_id client) {
  return key_writer{meta_table::session}.number(slot.value, 2).number(client.value).take();
}
std::string slot_key(slot_id slot) {
  return key_writer{meta_table::slot}.number(slot.value, 2).take();
}
std::string orphan_key(lin id) {
  return id_key(meta_table::orphan, id.value);
}
std::string trim_key(lin id) {
  return id_key(meta_table::trim, id.value);
}
std::string at_risk_key(stripe_id id) {
  return id_key(meta_table::at_risk, id.value);
}
std::string here_key(client_id client) {
  return id_key(meta_table::here, client.value);
}
std::string pending_free_key(const drive_uuid& drive, std::uint64_t batch) {
  return key_writer{meta_table::pending_free}.drive(drive).number(batch).take();
}
std::string drive_frees_key(const drive_uuid& drive) {
  return key_writer{meta_table::drive_frees}.drive(drive).take();
}
std::string floor_config_key() {
  return key_writer{meta_table::floor}.number(1, 1).take();
}
std::string floor_epoch_key() {
  return key_writer{meta_table::floor}.number(2, 1).take();
}

std::string version_prefix(std::string_view live_key) {
  // table slot rest -> version slot table rest: the slot stays in front.
  auto slot = live_key.substr(1, 2);
  return key_writer{meta_table::version}
    .raw(slot)
    .raw(live_key.substr(0, 1))
    .raw(live_key.substr(3))
    .take();
}
std::string version_key(std::string_view live_key, snapshot_epoch suffix) {
  auto key = version_prefix(live_key);
  for (std::size_t i = 8; i-- > 0;)
    key.push_back(static_cast<char>(suffix.value >> (8 * i)));
  return key;
}

key_range table_keys(meta_table table) {
  return prefix_range(key_writer{table}.take());
}
key_range slot_keys(meta_table table, slot_id slot) {
  return prefix_range(key_writer{table}.number(slot.value, 2).take());
}
key_range extent_keys(lin id) {
  return prefix_range(id_key(meta_table::extent, id.value));
}
key_range extent_keys_after(lin id, std::uint64_t offset) {
  auto range = extent_keys(id);
  if (offset < ~std::uint64_t{0})
    range.begin = extent_key(id, offset + 1);
  else
    range.begin = range.end;
  return range;
}
key_range entry_keys(lin directory) {
  return prefix_range(id_key(meta_table::entry, directory.value));
}
key_range entry_keys(lin directory, std::uint64_t hash) {
  return prefix_range(key_writer{meta_table::entry}.number(directory.value).number(hash).take());
}
key_range entry_keys_from(lin directory, std::uint64_t hash) {
  return {entry_keys(directory, hash).begin, entry_keys(directory).end};
}
key_range parent_keys(lin child) {
  return prefix_range(id_key(meta_table::parent_link, child.value));
}
key_range pending_free_keys(const drive_uuid& drive) {
  return prefix_range(key_writer{meta_table::pending_free}.drive(drive).take());
}

std::uint64_t name_hash(std::string_view name) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (char c : name)
    h = (h ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
  h = (h ^ h >> 27) * 0x94d049bb133111eb;
  h ^= h >> 31;
  h >>= 9;
  return h == 0 ? 1 : h;
}

std::optional<lin> parse_lin_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::inode) || is(key, meta_table::inline_data)
                       || is(key, meta_table::orphan) || is(key, meta_table::trim)};
  lin id{in.number()};
  return in.done() ? std::optional{id} : std::nullopt;
}
std::optional<stripe_id> parse_stripe_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::stripe) || is(key, meta_table::at_risk)};
  stripe_id id{in.number()};
  return in.done() ? std::optional{id} : std::nullopt;
}
std::optional<extent_key_parts> parse_extent_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::extent)};
  extent_key_parts parts;
  parts.id = lin{in.number()};
  parts.end_offset = in.number();
  return in.done() ? std::optional{parts} : std::nullopt;
}
std::optional<entry_key_parts> parse_entry_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::entry)};
  entry_key_parts parts;
  parts.directory = lin{in.number()};
  parts.hash = in.number();
  parts.name = in.name();
  return in.done() ? std::optional{parts} : std::nullopt;
}
std::optional<parent_key_parts> parse_parent_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::parent_link)};
  parent_key_parts parts;
  parts.child = lin{in.number()};
  parts.directory = lin{in.number()};
  parts.name = in.name();
  return in.done() ? std::optional{parts} : std::nullopt;
}
std::optional<version_key_parts> parse_version_key(std::string_view key) {
  if (!is(key, meta_table::version) || key.size() < 12)
    return {};
  version_key_parts parts;
  parts.live_key += key[3];
  parts.live_key += key.substr(1, 2);
  parts.live_key += key.substr(4, key.size() - 12);
  for (char b : key.substr(key.size() - 8))
    parts.suffix.value = parts.suffix.value << 8 | static_cast<std::uint8_t>(b);
  return parts;
}
std::optional<session_key_parts> parse_session_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::session)};
  session_key_parts parts;
  parts.slot = slot_id{static_cast<std::uint16_t>(in.number(2))};
  parts.client = client_id{in.number()};
  return in.done() ? std::optional{parts} : std::nullopt;
}
std::optional<slot_id> parse_slot_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::slot)};
  slot_id slot{static_cast<std::uint16_t>(in.number(2))};
  return in.done() ? std::optional{slot} : std::nullopt;
}
std::optional<client_id> parse_here_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::here)};
  client_id client{in.number()};
  return in.done() ? std::optional{client} : std::nullopt;
}
std::optional<pending_free_key_parts> parse_pending_free_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::pending_free)};
  pending_free_key_parts parts;
  parts.drive = in.drive();
  parts.batch = in.number();
  return in.done() ? std::optional{parts} : std::nullopt;
}
std::optional<drive_uuid> parse_drive_frees_key(std::string_view key) {
  key_reader in{key, is(key, meta_table::drive_frees)};
  auto drive = in.drive();
  return in.done() ? std::optional{drive} : std::nullopt;
}

} // namespace troupe
