// Measures one drive through storage/block on a real file, with a pool of threads for the I/O:
// durable stores and reads at several depths, and the syncs that they cost.
// Usage: drive_rate [--dir DIR] [--seconds S] [--threads N] [--json]
// DIR must be on the file system to measure (default: the current directory); the drive made there
// is removed at the end. Wall time: other load on the machine shows in the figures.
#include "storage/base/posix_env.hpp"
#include "storage/block/blocking_drive.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

using namespace troupe;

namespace {

struct options {
  std::string directory = ".";
  double seconds = 3;
  unsigned threads = 4;
  bool json = false;
};

struct figure {
  std::string name;
  double per_second = 0;
  double mb_per_second = 0; ///< 10^6 bytes.
  double syncs_per_second = 0;
  double median_ms = 0;
  double worst_ms = 0; ///< 99th percentile.
};

[[noreturn]] void stop(const error& why) {
  std::fprintf(stderr, "drive_rate: %s\n", describe(why).c_str());
  std::exit(1);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Executes I/O on threads; hands the results back to one caller.
class io_pool {
public:
  io_pool(file& blocks, unsigned threads) : blocks_(blocks) {
    for (unsigned i = 0; i < threads; ++i)
      workers_.emplace_back([this] { work(); });
  }
  ~io_pool() {
    {
      std::lock_guard guard{mutex_};
      stopping_ = true;
    }
    wanted_.notify_all();
    for (auto& w : workers_)
      w.join();
  }
  io_pool(const io_pool&) = delete;
  io_pool& operator=(const io_pool&) = delete;

  using order = std::variant<drive_write, drive_read, drive_sync>;
  struct result {
    io_token token;
    expected<shared_bytes> bytes;
  };
  void push(order what) {
    {
      std::lock_guard guard{mutex_};
      orders_.push_back(std::move(what));
    }
    wanted_.notify_one();
  }
  /// Everything that ended since the last call; waits until there is something.
  std::deque<result> take() {
    std::unique_lock guard{mutex_};
    done_.wait(guard, [this] { return !results_.empty(); });
    return std::exchange(results_, {});
  }

private:
  void work() {
    std::unique_lock guard{mutex_};
    for (;;) {
      wanted_.wait(guard, [this] { return stopping_ || !orders_.empty(); });
      if (orders_.empty())
        return;
      auto what = std::move(orders_.front());
      orders_.pop_front();
      guard.unlock();
      auto ended = std::visit([this](const auto& x) { return result{x.token, run(x)}; }, what);
      guard.lock();
      results_.push_back(std::move(ended));
      done_.notify_one();
    }
  }
  expected<shared_bytes> run(const drive_write& x) {
    auto offset = x.offset;
    for (const auto& piece : x.pieces) {
      if (auto done = blocks_.write_at(offset, piece.view()); !done)
        return done.error();
      offset += piece.size();
    }
    return shared_bytes{};
  }
  expected<shared_bytes> run(const drive_read& x) {
    byte_vector bytes(x.bytes);
    if (auto got = blocks_.read_at(x.offset, bytes); !got)
      return got.error();
    return shared_bytes{std::move(bytes)};
  }
  expected<shared_bytes> run(const drive_sync&) {
    if (auto done = blocks_.sync(); !done)
      return done.error();
    return shared_bytes{};
  }

  file& blocks_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::condition_variable done_;
  std::deque<order> orders_;
  std::deque<result> results_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

/// Keeps so many requests under way on one drive, and counts.
class driver {
public:
  driver(mounted_drive& drive, io_pool& pool) : drive_(drive), pool_(pool) {}

  /// `ask(token, out)` sends one more request, at most `count_max` times.
  /// @returns the time each took, in seconds.
  template <class Ask>
  std::vector<double> run(std::size_t depth, double seconds, std::size_t count_max, Ask ask) {
    auto begin = now();
    std::vector<double> took;
    std::size_t under_way = 0;
    for (;;) {
      auto over = now() - begin > seconds || took.size() + under_way >= count_max;
      block_store_effects out;
      for (; !over && under_way < depth && took.size() + under_way < count_max; ++under_way) {
        request_token token{next_++};
        asked_[token] = now();
        ask(token, out);
      }
      while (!out.empty())
        under_way -= execute(std::exchange(out, {}), took);
      if (under_way == 0 && drive_.state.idle())
        return took;
      for (auto& ended : pool_.take()) {
        drive_.state.io_done(ended.token, std::move(ended.bytes), out);
        under_way -= execute(std::exchange(out, {}), took);
      }
    }
  }

  std::vector<run_ref> stored;

private:
  std::size_t execute(block_store_effects effects, std::vector<double>& took) {
    std::size_t answers = 0;
    for (auto& effect : effects)
      if (auto* write = std::get_if<drive_write>(&effect)) {
        pool_.push(std::move(*write));
      } else if (auto* read = std::get_if<drive_read>(&effect)) {
        pool_.push(*read);
      } else if (auto* sync = std::get_if<drive_sync>(&effect)) {
        pool_.push(*sync);
      } else if (auto* reply = std::get_if<drive_reply>(&effect)) {
        if (auto* why = std::get_if<error>(&reply->result))
          stop(*why);
        if (auto* run = std::get_if<run_stored>(&reply->result))
          stored.push_back(run->run);
        auto it = asked_.find(reply->request);
        took.push_back(now() - it->second);
        asked_.erase(it);
        ++answers;
      }
    return answers;
  }

  mounted_drive& drive_;
  io_pool& pool_;
  std::uint64_t next_ = 1;
  std::map<request_token, double> asked_;
};

figure summarise(std::string name, std::vector<double> took, double seconds, std::uint32_t blocks,
                 std::uint64_t syncs) {
  std::sort(took.begin(), took.end());
  auto per_second = static_cast<double>(took.size()) / seconds;
  return {std::move(name),
          per_second,
          per_second * blocks * block_bytes / 1e6,
          static_cast<double>(syncs) / seconds,
          took[took.size() / 2] * 1e3,
          took[took.size() * 99 / 100] * 1e3};
}

std::vector<figure> measure(const options& opt, mounted_drive& drive, io_pool& pool) {
  std::vector<figure> out;
  driver d{drive, pool};
  std::uint64_t next_id = 1;
  for (std::uint32_t blocks : {1u, unit_blocks}) {
    // Kept apart from the timing: a gateway computes checksums once per unit.
    auto sample = make_store(drive.superblock.drive, {client_id{1}, incarnation{1}, {}}, lin{1},
                             shared_bytes{byte_vector(blocks * block_bytes, std::byte{0x5a})});
    auto size = std::to_string(blocks * block_bytes / kib) + " KiB";
    for (std::size_t depth : {1u, 8u, 64u}) {
      d.stored.clear();
      auto syncs = drive.state.report().syncs;
      auto begin = now();
      auto took =
        d.run(depth, opt.seconds, SIZE_MAX, [&](request_token token, block_store_effects& effects) {
          auto what = sample;
          what.key.id = write_id{next_id++};
          drive.state.store(token, what, effects);
        });
      auto seconds = now() - begin;
      out.push_back(summarise("store " + size + " depth " + std::to_string(depth), std::move(took),
                              seconds, blocks, drive.state.report().syncs - syncs));
      auto runs = d.stored;
      std::size_t at = 0;
      begin = now();
      took =
        d.run(depth, opt.seconds, SIZE_MAX, [&](request_token token, block_store_effects& effects) {
          at = (at + 7919) % runs.size();
          drive.state.read(token, {runs[at], 0, blocks}, effects);
        });
      seconds = now() - begin;
      out.push_back(summarise("read " + size + " depth " + std::to_string(depth), std::move(took),
                              seconds, blocks, 0));
      for (std::size_t i = 0; i < runs.size(); i += 4096) {
        free_runs some{
          {runs.begin() + static_cast<std::ptrdiff_t>(i),
           runs.begin() + static_cast<std::ptrdiff_t>(std::min(i + 4096, runs.size()))}};
        d.run(1, 3600, 1, [&](request_token token, block_store_effects& effects) {
          drive.state.free(token, some, effects);
        });
      }
    }
  }
  return out;
}

std::string cpu_model() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(':') + 2);
  return "unknown";
}

void print(const options& opt, const block_format::superblock& drive,
           const std::vector<figure>& figures) {
  utsname os{};
  uname(&os);
  double load = 0;
  getloadavg(&load, 1);
#ifdef NDEBUG
  const char* build = "optimised";
#else
  const char* build = "debug";
#endif
  if (opt.json)
    std::printf("{\"machine\":{\"cpu\":\"%s\",\"cores\":%u,\"kernel\":\"%s\",\"load\":%.2f},"
                "\"configuration\":{\"build\":\"%s\",\"io\":\"%u threads, page cache\","
                "\"drive_bytes\":%llu,\"log_bytes\":%llu,\"seconds\":%.1f},\"figures\":[\n",
                cpu_model().c_str(), std::thread::hardware_concurrency(), os.release, load, build,
                opt.threads, static_cast<unsigned long long>(drive.geometry.file_bytes),
                static_cast<unsigned long long>(drive.geometry.log_bytes), opt.seconds);
  else
    std::printf("# %s, %u cores, Linux %s, load %.2f\n"
                "# build %s, I/O by %u threads through the page cache, drive of %llu MiB, "
                "log %llu MiB, %.1f s each\n",
                cpu_model().c_str(), std::thread::hardware_concurrency(), os.release, load, build,
                opt.threads, static_cast<unsigned long long>(drive.geometry.file_bytes / mib),
                static_cast<unsigned long long>(drive.geometry.log_bytes / mib), opt.seconds);
  for (std::size_t i = 0; i < figures.size(); ++i) {
    const auto& f = figures[i];
    if (opt.json)
      std::printf("{\"name\":\"%s\",\"per_second\":%.1f,\"mb_per_second\":%.2f,"
                  "\"syncs_per_second\":%.1f,\"median_ms\":%.3f,\"p99_ms\":%.3f}%s\n",
                  f.name.c_str(), f.per_second, f.mb_per_second, f.syncs_per_second, f.median_ms,
                  f.worst_ms, i + 1 < figures.size() ? "," : "");
    else
      std::printf("%-28s %9.0f /s %9.1f MB/s %7.0f syncs/s  median %8.3f ms  p99 %8.3f ms\n",
                  f.name.c_str(), f.per_second, f.mb_per_second, f.syncs_per_second, f.median_ms,
                  f.worst_ms);
  }
  if (opt.json)
    std::printf("]}\n");
}

} // namespace

int main(int argc, char** argv) {
  options opt;
  for (int i = 1; i < argc; ++i) {
    auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
    if (is("--json")) {
      opt.json = true;
    } else if (is("--dir") && i + 1 < argc) {
      opt.directory = argv[++i];
    } else if (is("--seconds") && i + 1 < argc) {
      opt.seconds = std::max(0.01, std::strtod(argv[++i], nullptr));
    } else if (is("--threads") && i + 1 < argc) {
      opt.threads = static_cast<unsigned>(std::max(1l, std::strtol(argv[++i], nullptr, 10)));
    } else {
      std::fprintf(stderr, "usage: drive_rate [--dir DIR] [--seconds S] [--threads N] [--json]\n");
      return 2;
    }
  }
  posix_env files;
  auto directory = opt.directory + "/drive_rate." + std::to_string(::getpid());
  cluster_uuid cluster;
  cluster.bytes[0] = 1;
  drive_uuid id;
  id.bytes[0] = 1;
  if (auto done = format_drive(files, directory, {cluster, id, node_id{1}, 4 * gib}); !done)
    stop(done.error());
  std::vector<figure> figures;
  block_format::superblock superblock;
  {
    auto drive = mount_drive(files, directory, {cluster, id});
    if (!drive)
      stop(drive.error());
    superblock = drive->superblock;
    io_pool pool{*drive->blocks, opt.threads};
    figures = measure(opt, *drive, pool);
  }
  print(opt, superblock, figures);
  for (const auto* name : {"/blocks", "/lock"})
    static_cast<void>(files.remove_file(directory + name));
  static_cast<void>(files.remove_directory(directory));
}
