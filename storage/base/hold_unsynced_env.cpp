#include "storage/base/hold_unsynced_env.hpp"

#include <algorithm>
#include <deque>
#include <set>

namespace troupe {

/// What handles need too, which may live longer than the environment.
struct hold_unsynced_env::shared {
  std::mutex mutex;
  /// Files that are open, unsynced or under another name than on the medium; empty for a name that
  /// only the medium still has.
  std::map<std::string, std::shared_ptr<held_file>> names;
  std::map<std::string, std::deque<naming>> unsynced; ///< By directory.
  std::map<int, std::weak_ptr<held_file>> descriptors;

  /// Forgets a file that nobody has open and that the medium has entirely.
  void forget_clean(const std::shared_ptr<held_file>& node) {
    if (node.use_count() > 2 || !node->clean()) // `names` and the caller
      return;
    for (auto it = names.begin(); it != names.end(); ++it)
      if (it->second == node) {
        names.erase(it);
        return;
      }
  }
};

namespace {

/// "/a//b/" and "/a/./b" both become "/a/b".
std::string normal(const std::string& path) {
  std::string out = path.starts_with('/') ? "/" : "";
  for (std::size_t at = 0; at < path.size();) {
    auto end = std::min(path.find('/', at), path.size());
    if (end > at && path.compare(at, end - at, ".") != 0)
      out += (out.empty() || out.back() == '/' ? "" : "/") + path.substr(at, end - at);
    at = end + 1;
  }
  return out.empty() ? "." : out;
}

std::string directory_of(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

error missing(const std::string& path) {
  return {errc::not_found, path + ": no such file or directory", trp::path_not_found};
}

} // namespace

class hold_unsynced_env::handle final : public file {
public:
  handle(std::shared_ptr<shared> all, std::shared_ptr<held_file> node, std::string path,
         bool writable)
    : all_(std::move(all)), node_(std::move(node)), path_(std::move(path)), writable_(writable) {}
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;
  ~handle() override {
    std::lock_guard lock{all_->mutex};
    all_->forget_clean(node_);
    node_.reset();
  }

  expected<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override {
    return node_->read(offset, into);
  }
  expected<void> write_at(std::uint64_t offset, byte_view from) override {
    return change([&] { return node_->write(offset, from); });
  }
  expected<void> sync() override {
    auto done = node_->sync();
    return done ? done : named(done.error());
  }
  expected<void> preallocate(std::uint64_t bytes) override {
    return change([&] { return node_->preallocate(bytes); });
  }
  expected<void> truncate(std::uint64_t bytes) override {
    return change([&] { return node_->truncate(bytes); });
  }
  expected<std::uint64_t> size() override { return node_->size(); }
  int descriptor() const override { return node_->descriptor(); }

private:
  template <class Call>
  expected<void> change(Call call) {
    if (!writable_)
      return error{errc::invalid_argument, path_ + ": opened for reading only"};
    auto done = call();
    return done ? done : named(done.error());
  }
  expected<void> named(error why) const {
    if (why.context.find(path_) == std::string::npos)
      why.context = path_ + ": " + why.context;
    return why;
  }

  std::shared_ptr<shared> all_;
  std::shared_ptr<held_file> node_;
  std::string path_;
  bool writable_;
};

hold_unsynced_env::hold_unsynced_env(env& inner, hold_unsynced_options options)
  : inner_(inner), options_(options), random_(options.seed), shared_(std::make_shared<shared>()) {}

hold_unsynced_env::~hold_unsynced_env() = default;

std::shared_ptr<held_file> hold_unsynced_env::adopt(std::unique_ptr<file> medium,
                                                    std::uint64_t bytes) {
  auto node =
    std::make_shared<held_file>(std::move(medium), bytes, options_.keep_one_in, next_seed());
  if (auto fd = node->descriptor(); fd >= 0)
    shared_->descriptors[fd] = node;
  return node;
}

/// The file of this name as it is now; errc::not_found if there is none.
expected<std::shared_ptr<held_file>> hold_unsynced_env::find(const std::string& path,
                                                             open_mode mode) {
  if (auto known = shared_->names.find(path); known != shared_->names.end()) {
    if (!known->second)
      return missing(path);
    return known->second;
  }
  auto medium = inner_.open(path, open_mode::read_write);
  if (!medium && medium.error().code == errc::permission_denied && mode == open_mode::read_only)
    medium = inner_.open(path, mode);
  if (!medium)
    return medium.error();
  auto bytes = (*medium)->size();
  if (!bytes)
    return bytes.error();
  auto node = adopt(std::move(*medium), *bytes);
  shared_->names[path] = node;
  return node;
}

expected<bool> hold_unsynced_env::there(const std::string& path) {
  if (auto known = shared_->names.find(path); known != shared_->names.end())
    return known->second != nullptr;
  return inner_.exists(path);
}

expected<std::unique_ptr<file>> hold_unsynced_env::open(const std::string& given, open_mode mode) {
  auto path = normal(given);
  std::lock_guard lock{shared_->mutex};
  bool creates = mode == open_mode::create_new || mode == open_mode::create_or_open;
  auto node = find(path, mode);
  if (node && mode == open_mode::create_new) {
    shared_->forget_clean(*node);
    return error{errc::already_exists, path + ": exists"};
  }
  if (!node && (node.error().code != errc::not_found || !creates))
    return node.error();
  if (!node) {
    auto directory = directory_of(path);
    if (auto parent = inner_.list(directory); !parent)
      return parent.error();
    node = adopt(nullptr, 0);
    shared_->names[path] = *node;
    if (auto queued = queue(directory, {naming::kind::create, path, {}, *node}); !queued)
      return queued.error();
  }
  return std::unique_ptr<file>{
    std::make_unique<handle>(shared_, std::move(*node), path, mode != open_mode::read_only)};
}

/// Remembers a change of names; some of them the disk writes at once.
expected<void> hold_unsynced_env::queue(const std::string& directory, naming change) {
  shared_->unsynced[directory].push_back(std::move(change));
  if (options_.keep_one_in > 0 && random_.one_in(options_.keep_one_in))
    return write_names(directory);
  return {};
}

/// Carries out on the medium what waits for a directory, in order. What fails stays in the queue.
expected<void> hold_unsynced_env::write_names(const std::string& directory) {
  auto waiting = shared_->unsynced.find(directory);
  if (waiting == shared_->unsynced.end())
    return {};
  for (auto& changes = waiting->second; !changes.empty(); changes.pop_front()) {
    auto& next = changes.front();
    expected<void> done;
    if (next.what == naming::kind::remove) {
      done = inner_.remove_file(next.from);
    } else if (next.what == naming::kind::rename) {
      done = inner_.rename(next.from, next.to);
    } else {
      auto medium = inner_.open(next.from, open_mode::create_new);
      if (!medium)
        return medium.error();
      auto fd = (*medium)->descriptor();
      done = next.node->move_to(std::move(*medium));
      if (!done)
        static_cast<void>(inner_.remove_file(next.from));
      else if (fd >= 0)
        shared_->descriptors[fd] = next.node;
    }
    if (!done)
      return done;
  }
  shared_->unsynced.erase(waiting);
  // The medium agrees about all names of this directory now.
  std::vector<std::shared_ptr<held_file>> living;
  for (auto it = shared_->names.begin(); it != shared_->names.end();) {
    bool gone = !it->second && directory_of(it->first) == directory;
    if (it->second)
      living.push_back(it->second);
    it = gone ? shared_->names.erase(it) : std::next(it);
  }
  while (!living.empty()) {
    auto node = std::move(living.back());
    living.pop_back();
    shared_->forget_clean(node);
  }
  return {};
}

expected<void> hold_unsynced_env::make_directory(const std::string& path) {
  return inner_.make_directory(path);
}

expected<void> hold_unsynced_env::remove_directory(const std::string& given) {
  auto path = normal(given);
  auto left = list(path);
  if (!left)
    return left.error();
  if (!left->empty())
    return error{errc::not_empty, path + ": not empty"};
  std::lock_guard lock{shared_->mutex};
  if (auto written = write_names(path); !written)
    return written;
  return inner_.remove_directory(path);
}

expected<std::vector<std::string>> hold_unsynced_env::list(const std::string& given) {
  auto path = normal(given);
  std::lock_guard lock{shared_->mutex};
  if (auto known = shared_->names.find(path); known != shared_->names.end() && known->second)
    return error{errc::not_directory, path + ": not a directory"};
  auto found = inner_.list(path);
  if (!found)
    return found;
  std::set<std::string> out(found->begin(), found->end());
  for (const auto& [at, node] : shared_->names)
    if (directory_of(at) == path) {
      if (node)
        out.insert(name_of(at));
      else
        out.erase(name_of(at));
    }
  return std::vector<std::string>(out.begin(), out.end());
}

expected<bool> hold_unsynced_env::exists(const std::string& path) {
  std::lock_guard lock{shared_->mutex};
  return there(normal(path));
}

expected<void> hold_unsynced_env::remove_file(const std::string& given) {
  auto path = normal(given);
  std::lock_guard lock{shared_->mutex};
  // Found and not only looked up: a directory answers errc::is_directory.
  if (auto node = find(path, open_mode::read_only); !node)
    return node.error();
  shared_->names[path] = nullptr;
  return queue(directory_of(path), {naming::kind::remove, path, {}, {}});
}

expected<void> hold_unsynced_env::rename(const std::string& given_from,
                                         const std::string& given_to) {
  auto from = normal(given_from);
  auto to = normal(given_to);
  std::lock_guard lock{shared_->mutex};
  auto node = find(from, open_mode::read_only);
  if (!node && node.error().code != errc::is_directory)
    return node.error();
  if (from == to)
    return {};
  auto directory = directory_of(from);
  if (node && directory_of(to) == directory) {
    shared_->names[from] = nullptr;
    shared_->names[to] = *node;
    return queue(directory, {naming::kind::rename, from, to, *node});
  }
  for (const auto& touched : {directory, directory_of(to)})
    if (auto written = write_names(touched); !written)
      return written;
  if (auto renamed = inner_.rename(from, to); !renamed)
    return renamed;
  if (node) {
    shared_->names.erase(from);
    shared_->names[to] = *node;
  }
  for (const auto& touched : {directory_of(to), directory})
    if (auto synced = inner_.sync_directory(touched); !synced)
      return synced;
  return {};
}

expected<void> hold_unsynced_env::sync_directory(const std::string& given) {
  auto path = normal(given);
  std::lock_guard lock{shared_->mutex};
  if (auto written = write_names(path); !written)
    return written;
  return inner_.sync_directory(path);
}

expected<std::uint64_t> hold_unsynced_env::free_bytes(const std::string& path) {
  return inner_.free_bytes(path);
}

expected<std::unique_ptr<file>> hold_unsynced_env::lock(const std::string& path) {
  return inner_.lock(path);
}

std::shared_ptr<held_file> hold_unsynced_env::held(int descriptor) {
  std::lock_guard lock{shared_->mutex};
  auto it = shared_->descriptors.find(descriptor);
  return it == shared_->descriptors.end() ? nullptr : it->second.lock();
}

std::uint64_t hold_unsynced_env::unsynced_bytes() {
  std::lock_guard lock{shared_->mutex};
  std::uint64_t sum = 0;
  for (const auto& [path, node] : shared_->names)
    if (node)
      sum += node->unsynced_bytes();
  return sum;
}

} // namespace troupe
