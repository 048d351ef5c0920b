#include "storage/base/memory_env.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>

namespace troupe {

namespace memory_env_detail {

constexpr std::uint64_t sector_bytes = 512;

/// One write or change of length that is not synced yet.
struct unsynced_change {
  std::uint64_t offset = 0;
  byte_vector bytes;
  std::optional<std::uint64_t> new_length; ///< Set by truncate and preallocate.
};

/// A file apart from its names.
struct inode {
  byte_vector cached;  ///< What readers see.
  byte_vector durable; ///< What the medium holds for sure.
  std::vector<unsynced_change> unsynced;
};
using inode_ptr = std::shared_ptr<inode>;

/// A creation (to), removal (from) or rename (both) that is not synced yet.
struct unsynced_naming {
  std::string from;
  std::string to;
  inode_ptr node;
  bool touches(const std::string& path) const { return from == path || to == path; }
};

using names = std::map<std::string, inode_ptr>;

struct world {
  mutable std::mutex mutex;
  std::uint64_t capacity_bytes = UINT64_MAX;
  std::uint64_t generation = 0; ///< Grows with every crash; older handles are dead.
  names cached;
  names durable;
  std::vector<unsynced_naming> unsynced;
  std::set<std::string> directories{""};
  std::set<std::string> locked;

  std::uint64_t used_bytes() const {
    std::uint64_t sum = 0;
    for (const auto& [path, node] : cached)
      sum += node->cached.size();
    return sum;
  }
};

namespace {

/// "/a//b/" and "a/b" both become "/a/b"; the root becomes "".
std::string normal(const std::string& path) {
  std::string out;
  for (std::size_t at = 0; at < path.size();) {
    auto end = std::min(path.find('/', at), path.size());
    if (end > at && path.compare(at, end - at, ".") != 0)
      out += "/" + path.substr(at, end - at);
    at = end + 1;
  }
  return out;
}

std::string parent_of(const std::string& normal_path) {
  auto slash = normal_path.rfind('/');
  return slash == std::string::npos ? std::string{} : normal_path.substr(0, slash);
}

error missing(const std::string& path) {
  return {errc::not_found, path + ": no such file or directory", trp::path_not_found};
}

void apply_naming(names& at, const unsynced_naming& change) {
  if (!change.from.empty())
    at.erase(change.from);
  if (!change.to.empty())
    at[change.to] = change.node;
}

/// Makes the changes that `chosen` accepts durable, with every earlier one of the same names.
template <class Predicate>
void commit_names(world& w, Predicate chosen) {
  std::set<std::string> needed;
  std::vector<bool> commit(w.unsynced.size());
  for (auto i = w.unsynced.size(); i-- > 0;) {
    const auto& change = w.unsynced[i];
    commit[i] = chosen(change) || needed.contains(change.from) || needed.contains(change.to);
    if (!commit[i])
      continue;
    for (const auto& name : {change.from, change.to})
      if (!name.empty())
        needed.insert(name);
  }
  std::vector<unsynced_naming> rest;
  for (std::size_t i = 0; i < commit.size(); ++i)
    if (commit[i])
      apply_naming(w.durable, w.unsynced[i]);
    else
      rest.push_back(w.unsynced[i]);
  w.unsynced = std::move(rest);
}

/// What the crash decides, drawn from one seed. No std distribution: they differ between
/// libraries.
class fate {
public:
  explicit fate(std::uint64_t seed) : seed_(seed), random_(seed) {}
  /// A number in [0, count].
  std::uint64_t up_to(std::uint64_t count) {
    if (seed_ == 0)
      return 0;
    if (seed_ == 1)
      return count;
    // Skewed to the extremes, as real crashes are.
    auto draw = random_() >> 8;
    switch (draw % 4) {
    case 0: return 0;
    case 1: return count;
    default: return (draw / 4) % (count + 1);
    }
  }

private:
  std::uint64_t seed_;
  std::mt19937_64 random_;
};

void write_into(byte_vector& at, std::uint64_t offset, byte_view from) {
  if (from.empty())
    return;
  if (at.size() < offset + from.size())
    at.resize(offset + from.size());
  std::copy(from.begin(), from.end(), at.begin() + static_cast<std::ptrdiff_t>(offset));
}

void change_length(byte_vector& at, std::uint64_t length) {
  at.resize(length);
}

/// The medium's contents of one file after a crash.
byte_vector survivor(const inode& node, fate& dice) {
  // The states that the length went through.
  std::vector<std::uint64_t> lengths{node.durable.size()};
  for (const auto& change : node.unsynced)
    lengths.push_back(change.new_length ? *change.new_length
                                        : std::max<std::uint64_t>(
                                          lengths.back(), change.offset + change.bytes.size()));
  auto length = lengths[dice.up_to(lengths.size() - 1)];
  auto reach = *std::max_element(lengths.begin(), lengths.end());

  byte_vector out = node.durable;
  change_length(out, reach);
  for (std::uint64_t begin = 0; begin < length; begin += sector_bytes) {
    auto end = std::min(begin + sector_bytes, reach);
    std::vector<const unsynced_change*> history; // of this sector
    for (const auto& change : node.unsynced)
      if (change.new_length ? *change.new_length < end
                            : change.offset < end && change.offset + change.bytes.size() > begin)
        history.push_back(&change);
    auto kept = history.empty() ? 0 : dice.up_to(history.size());
    for (std::uint64_t i = 0; i < kept; ++i) {
      const auto& change = *history[i];
      if (change.new_length) {
        auto from = std::max(begin, *change.new_length);
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(from),
                  out.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0});
        continue;
      }
      auto from = std::max(begin, change.offset);
      auto to = std::min<std::uint64_t>(end, change.offset + change.bytes.size());
      std::copy_n(change.bytes.begin() + static_cast<std::ptrdiff_t>(from - change.offset),
                  to - from, out.begin() + static_cast<std::ptrdiff_t>(from));
    }
  }
  change_length(out, length);
  return out;
}

/// One open file of a world. The world outlives the environment for its sake.
class memory_file final : public file {
public:
  memory_file(std::shared_ptr<world> w, inode_ptr node, std::string path, bool writable,
              std::string lock_path = {})
    : world_(std::move(w)), node_(std::move(node)), path_(std::move(path)), writable_(writable),
      generation_(world_->generation), lock_path_(std::move(lock_path)) {}
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() override {
    std::lock_guard guard{world_->mutex};
    if (!lock_path_.empty() && generation_ == world_->generation)
      world_->locked.erase(lock_path_);
  }

  expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(false); !usable)
      return usable.error();
    const auto& from = node_->cached;
    if (offset >= from.size())
      return std::size_t{0};
    auto count = std::min<std::uint64_t>(into.size(), from.size() - offset);
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(offset), count, into.begin());
    return static_cast<std::size_t>(count);
  }

  expected<void> write_at(std::uint64_t offset, byte_view from) override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(true); !usable)
      return usable;
    if (from.empty())
      return {};
    if (auto room = reserve(offset + from.size()); !room)
      return room;
    write_into(node_->cached, offset, from);
    node_->unsynced.push_back({offset, {from.begin(), from.end()}, {}});
    return {};
  }

  expected<void> sync() override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(false); !usable)
      return usable;
    for (const auto& change : node_->unsynced)
      if (change.new_length)
        change_length(node_->durable, *change.new_length);
      else
        write_into(node_->durable, change.offset, change.bytes);
    node_->unsynced.clear();
    return {};
  }

  expected<void> preallocate(std::uint64_t bytes) override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(true); !usable)
      return usable;
    if (bytes <= node_->cached.size())
      return {};
    if (auto room = reserve(bytes); !room)
      return room;
    set_length(bytes);
    return {};
  }

  expected<void> truncate(std::uint64_t bytes) override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(true); !usable)
      return usable;
    if (auto room = reserve(bytes); !room)
      return room;
    set_length(bytes);
    return {};
  }

  expected<std::uint64_t> size() override {
    std::lock_guard guard{world_->mutex};
    if (auto usable = check(false); !usable)
      return usable.error();
    return static_cast<std::uint64_t>(node_->cached.size());
  }

private:
  expected<void> check(bool for_writing) const {
    if (generation_ != world_->generation)
      return error{errc::unavailable, path_ + ": opened before a crash"};
    if (for_writing && !writable_)
      return error{errc::invalid_argument, path_ + ": opened read-only"};
    return {};
  }
  expected<void> reserve(std::uint64_t length) const {
    if (length <= node_->cached.size())
      return {};
    auto grown = length - node_->cached.size();
    if (world_->capacity_bytes == UINT64_MAX
        || grown <= world_->capacity_bytes - std::min(world_->capacity_bytes, world_->used_bytes()))
      return {};
    return error{errc::no_space, "write " + path_ + ": the memory environment is full",
                 trp::not_enough_disk_space};
  }
  void set_length(std::uint64_t bytes) {
    change_length(node_->cached, bytes);
    node_->unsynced.push_back({0, {}, bytes});
  }

  std::shared_ptr<world> world_;
  inode_ptr node_;
  std::string path_;
  bool writable_;
  std::uint64_t generation_;
  std::string lock_path_;
};

expected<inode_ptr> find_or_create(world& w, const std::string& name, const std::string& shown,
                                   open_mode mode) {
  if (w.directories.contains(name))
    return error{errc::is_directory, shown + ": is a directory"};
  auto it = w.cached.find(name);
  if (it != w.cached.end()) {
    if (mode == open_mode::create_new)
      return error{errc::already_exists, shown + ": exists"};
    return it->second;
  }
  if (mode == open_mode::read_only || mode == open_mode::read_write)
    return missing(shown);
  if (!w.directories.contains(parent_of(name)))
    return missing(shown);
  auto node = std::make_shared<inode>();
  w.cached[name] = node;
  w.unsynced.push_back({{}, name, node});
  return node;
}

} // namespace
} // namespace memory_env_detail

using namespace memory_env_detail;

memory_env::memory_env(std::uint64_t capacity_bytes) : world_(std::make_shared<world>()) {
  world_->capacity_bytes = capacity_bytes;
}

memory_env::~memory_env() = default;

expected<std::unique_ptr<file>> memory_env::open(const std::string& path, open_mode mode) {
  std::lock_guard guard{world_->mutex};
  auto node = find_or_create(*world_, normal(path), path, mode);
  if (!node)
    return node.error();
  return std::unique_ptr<file>{
    std::make_unique<memory_file>(world_, *node, path, mode != open_mode::read_only)};
}

expected<void> memory_env::make_directory(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  std::vector<std::string> wanted;
  for (auto at = name; !world_->directories.contains(at); at = parent_of(at)) {
    if (world_->cached.contains(at))
      return error{errc::not_directory, at + ": is a file"};
    wanted.push_back(at);
  }
  world_->directories.insert(wanted.begin(), wanted.end());
  return {};
}

expected<void> memory_env::remove_directory(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  if (!world_->directories.contains(name) || name.empty())
    return missing(path);
  auto inside = [&](const std::string& other) { return parent_of(other) == name; };
  auto full = std::any_of(world_->cached.begin(), world_->cached.end(),
                          [&](const auto& entry) { return inside(entry.first); })
              || std::any_of(world_->directories.begin(), world_->directories.end(),
                             [&](const auto& other) { return !other.empty() && inside(other); });
  if (full)
    return error{errc::not_empty, path + ": not empty"};
  commit_names(*world_, [&](const unsynced_naming& x) { return inside(x.from) || inside(x.to); });
  world_->directories.erase(name);
  return {};
}

expected<std::vector<std::string>> memory_env::list(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  if (!world_->directories.contains(name))
    return world_->cached.contains(name) ? error{errc::not_directory, path + ": is a file"}
                                         : missing(path);
  std::vector<std::string> out;
  for (const auto& [other, node] : world_->cached)
    if (parent_of(other) == name)
      out.push_back(other.substr(name.size() + 1));
  for (const auto& other : world_->directories)
    if (!other.empty() && parent_of(other) == name)
      out.push_back(other.substr(name.size() + 1));
  std::sort(out.begin(), out.end());
  return out;
}

expected<bool> memory_env::exists(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  return world_->directories.contains(name) || world_->cached.contains(name);
}

expected<void> memory_env::remove_file(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  if (world_->directories.contains(name))
    return error{errc::is_directory, path + ": is a directory"};
  if (world_->cached.erase(name) == 0)
    return missing(path);
  world_->unsynced.push_back({name, {}, {}});
  return {};
}

expected<void> memory_env::rename(const std::string& from, const std::string& to) {
  std::lock_guard guard{world_->mutex};
  auto old_name = normal(from);
  auto new_name = normal(to);
  auto it = world_->cached.find(old_name);
  if (it == world_->cached.end())
    return world_->directories.contains(old_name)
             ? error{errc::not_supported, from + ": renaming a directory"}
             : missing(from);
  if (world_->directories.contains(new_name))
    return error{errc::is_directory, to + ": is a directory"};
  if (!world_->directories.contains(parent_of(new_name)))
    return missing(to);
  if (old_name == new_name)
    return {};
  unsynced_naming change{old_name, new_name, it->second};
  apply_naming(world_->cached, change);
  world_->unsynced.push_back(std::move(change));
  return {};
}

expected<void> memory_env::sync_directory(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  if (!world_->directories.contains(name))
    return missing(path);
  auto inside = [&](const std::string& other) {
    return !other.empty() && parent_of(other) == name;
  };
  commit_names(*world_, [&](const unsynced_naming& x) { return inside(x.from) || inside(x.to); });
  return {};
}

expected<std::uint64_t> memory_env::free_bytes(const std::string&) {
  std::lock_guard guard{world_->mutex};
  return world_->capacity_bytes - std::min(world_->capacity_bytes, world_->used_bytes());
}

expected<std::unique_ptr<file>> memory_env::lock(const std::string& path) {
  std::lock_guard guard{world_->mutex};
  auto name = normal(path);
  if (world_->locked.contains(name))
    return error{errc::busy, path + ": locked"};
  auto node = find_or_create(*world_, name, path, open_mode::create_or_open);
  if (!node)
    return node.error();
  world_->locked.insert(name);
  return std::unique_ptr<file>{std::make_unique<memory_file>(world_, *node, path, true, name)};
}

void memory_env::crash(std::uint64_t seed) {
  std::lock_guard guard{world_->mutex};
  auto& w = *world_;
  fate dice{seed};
  ++w.generation;
  w.locked.clear();
  // Some file systems keep name changes in order, others keep any subset: both are drawn.
  auto ordered = dice.up_to(1) == 0;
  auto lost = w.unsynced.size() - dice.up_to(w.unsynced.size());
  commit_names(w, [&](const unsynced_naming&) { // called from the newest to the oldest
    if (!ordered)
      return dice.up_to(1) == 1;
    if (lost == 0)
      return true;
    --lost;
    return false;
  });
  w.unsynced.clear();
  std::set<inode*> done; // one inode may have two names
  for (auto& [path, node] : w.durable) {
    if (!done.insert(node.get()).second)
      continue;
    node->durable = survivor(*node, dice);
    node->cached = node->durable;
    node->unsynced.clear();
  }
  w.cached = w.durable;
}

std::unique_ptr<memory_env> memory_env::clone() const {
  std::lock_guard guard{world_->mutex};
  auto out = std::make_unique<memory_env>(world_->capacity_bytes);
  std::map<const inode*, inode_ptr> copies;
  auto copy = [&](const inode_ptr& node) -> inode_ptr {
    if (!node)
      return {};
    auto& at = copies[node.get()];
    if (!at)
      at = std::make_shared<inode>(*node);
    return at;
  };
  for (const auto& [path, node] : world_->cached)
    out->world_->cached[path] = copy(node);
  for (const auto& [path, node] : world_->durable)
    out->world_->durable[path] = copy(node);
  for (const auto& change : world_->unsynced)
    out->world_->unsynced.push_back({change.from, change.to, copy(change.node)});
  out->world_->directories = world_->directories;
  return out;
}

expected<void> memory_env::flip_bits(const std::string& path, std::uint64_t offset,
                                     std::uint8_t mask) {
  std::lock_guard guard{world_->mutex};
  auto it = world_->cached.find(normal(path));
  if (it == world_->cached.end())
    return missing(path);
  auto& node = *it->second;
  if (offset >= node.cached.size())
    return error{errc::invalid_argument, path + ": shorter than " + std::to_string(offset)};
  node.cached[offset] ^= std::byte{mask};
  if (offset < node.durable.size())
    node.durable[offset] ^= std::byte{mask};
  return {};
}

} // namespace troupe
