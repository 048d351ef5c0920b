// Measures what three replicas commit with real journals: three nodes in one process, each with a
// thread that thinks for its replicas and one that writes and syncs (fdatasync) the journal they
// share. Messages pass coded through memory; there is no network and no state machine. One
// outstanding command per client, which asks again as soon as it is answered.
// Usage: consensus_rate [--directory D] [--seconds S] [--json]   the journals lie in D (default .)
// and are removed afterwards; all three share D's device.
#include "storage/base/posix_env.hpp"

#include "bench/consensus_node.hpp"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sys/resource.h>
#include <sys/utsname.h>

using namespace troupe;

namespace {

struct options {
  std::string directory = ".";
  double seconds = 5;
  bool json = false;
};

struct figure {
  std::string name;
  double value = 0;
  const char* unit = "";
};

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "consensus_rate: %s\n", why.c_str());
  std::exit(1);
}

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double percentile(std::vector<std::uint64_t>& sorted, double p) {
  if (sorted.empty())
    return 0;
  auto at = static_cast<std::size_t>(p * static_cast<double>(sorted.size() - 1));
  return static_cast<double>(sorted[at]) / 1e6;
}

/// Microseconds of one fdatasync of one page in a file whose pages were written before: what the
/// disk does without any code of ours. @returns all samples in nanoseconds, sorted.
std::vector<std::uint64_t> raw_syncs(const std::string& path, double seconds) {
  posix_env env;
  auto file = env.open(path, open_mode::create_new);
  if (!file)
    give_up(file.error().context);
  constexpr std::uint64_t bytes = 16 * mib;
  byte_vector page(4096, std::byte{1});
  if (!(*file)->preallocate(bytes) || !(*file)->write_zeros(0, bytes) || !(*file)->sync())
    give_up("cannot write " + path);
  std::vector<std::uint64_t> samples;
  auto end = bench_now().ns + static_cast<std::uint64_t>(seconds * 1e9);
  for (std::uint64_t offset = 0; bench_now().ns < end; offset = (offset + 4096) % bytes) {
    auto begin = bench_now().ns;
    if (!(*file)->write_at(offset, page) || !(*file)->sync())
      give_up("cannot sync " + path);
    samples.push_back(bench_now().ns - begin);
  }
  static_cast<void>(env.remove_file(path));
  std::sort(samples.begin(), samples.end());
  return samples;
}

void measure_disk(const options& opt, std::vector<figure>& out) {
  auto alone = raw_syncs(opt.directory + "/raw-sync", 2);
  out.push_back({"disk: 4 KiB write and fdatasync, one writer, p50", percentile(alone, 0.5), "ms"});
  out.push_back({"disk: one writer, p99", percentile(alone, 0.99), "ms"});
  std::array<std::vector<std::uint64_t>, 3> beside;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < beside.size(); ++i)
    threads.emplace_back(
      [&, i] { beside[i] = raw_syncs(opt.directory + "/raw-sync-" + std::to_string(i), 2); });
  for (auto& thread : threads)
    thread.join();
  std::vector<std::uint64_t> all;
  for (const auto& samples : beside)
    all.insert(all.end(), samples.begin(), samples.end());
  std::sort(all.begin(), all.end());
  out.push_back({"disk: three writers side by side, p50", percentile(all, 0.5), "ms"});
  out.push_back({"disk: three writers side by side, p99", percentile(all, 0.99), "ms"});
}

/// `groups` groups with `depth` clients each.
void measure_groups(const options& opt, std::uint64_t groups, std::uint64_t depth,
                    std::vector<figure>& out) {
  bench_plan plan;
  plan.groups = groups;
  plan.depth = depth;
  std::vector<std::unique_ptr<bench_node>> nodes;
  for (std::uint64_t i = 0; i < bench_plan::node_count; ++i) {
    nodes.push_back(std::make_unique<bench_node>(plan, i, opt.directory));
    if (auto made = nodes.back()->open(); !made)
      give_up(made.error().context);
  }
  for (auto& node : nodes)
    node->start({nodes[0].get(), nodes[1].get(), nodes[2].get()});
  auto sleep = [](double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  };
  auto settled = [&] {
    std::uint64_t home = 0;
    for (auto& node : nodes)
      home += node->leaders_at_home();
    return home == groups;
  };
  for (int i = 0; !settled(); ++i) {
    if (i == 600)
      give_up("the groups found no leaders within a minute");
    sleep(0.1);
  }
  sleep(1); // warm
  auto sums = [&] {
    bench_counts sum;
    for (auto& node : nodes)
      sum += node->counts();
    return sum;
  };
  for (auto& node : nodes)
    node->record(true);
  auto before = sums();
  auto cpu_before = cpu_seconds();
  auto begin = bench_now().ns;
  sleep(opt.seconds);
  auto after = sums();
  auto cpu = cpu_seconds() - cpu_before;
  auto elapsed = static_cast<double>(bench_now().ns - begin) / 1e9;
  for (auto& node : nodes)
    node->record(false);
  std::vector<std::uint64_t> latencies;
  for (auto& node : nodes)
    node->stop(latencies);
  std::sort(latencies.begin(), latencies.end());
  auto entries = static_cast<double>(after.entries - before.entries);
  auto syncs = static_cast<double>(after.syncs - before.syncs);
  if (entries == 0 || syncs == 0)
    give_up("nothing was committed");
  auto name = std::to_string(groups) + " x " + std::to_string(depth);
  out.push_back({name + ": committed", entries / elapsed, "entries/s"});
  out.push_back({name + ": answered, p50", percentile(latencies, 0.5), "ms"});
  out.push_back({name + ": answered, p99", percentile(latencies, 0.99), "ms"});
  out.push_back({name + ": syncs of all three journals", syncs / elapsed, "syncs/s"});
  out.push_back({name + ": one sync of a journal, mean",
                 static_cast<double>(after.sync_ns - before.sync_ns) / syncs / 1e6, "ms"});
  out.push_back({name + ": entries per sync and replica", 3 * entries / syncs, ""});
  out.push_back({name + ": processor time, all replicas", cpu * 1e6 / entries, "us/entry"});
  out.push_back({name + ": cores busy", cpu / elapsed, ""});
  out.push_back(
    {name + ": leaders that moved", static_cast<double>(after.moved - before.moved), ""});
}

std::string cpu_model() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(':') + 2);
  return "unknown";
}

void print(const options& opt, const std::vector<figure>& figures) {
  utsname os{};
  uname(&os);
  double load = 0;
  static_cast<void>(getloadavg(&load, 1));
#ifdef NDEBUG
  const char* build = "optimised";
#else
  const char* build = "debug";
#endif
  std::printf(opt.json
                ? "{\"machine\":{\"cpu\":\"%s\",\"cores\":%u,\"kernel\":\"%s\",\"load\":%.2f},"
                  "\"configuration\":{\"build\":\"%s\",\"entry_bytes\":%zu,\"seconds\":%.1f},"
                  "\"figures\":[\n"
                : "# %s, %u cores, Linux %s, load %.2f\n"
                  "# %s build, entries of %zu bytes, %.1f s per measurement, three journals "
                  "on one device\n# \"g x d\": g groups with d clients each\n",
              cpu_model().c_str(), std::thread::hardware_concurrency(), os.release, load, build,
              bench_plan::entry_bytes, opt.seconds);
  for (std::size_t i = 0; i < figures.size(); ++i)
    std::printf(opt.json ? "{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}%s\n"
                         : "%-50s %12.2f %s%s\n",
                figures[i].name.c_str(), figures[i].value, figures[i].unit,
                opt.json && i + 1 < figures.size() ? "," : "");
  if (opt.json)
    std::printf("]}\n");
}

} // namespace

int main(int argc, char** argv) {
  options opt;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0)
      opt.json = true;
    else if (std::strcmp(argv[i], "--directory") == 0 && i + 1 < argc)
      opt.directory = argv[++i];
    else if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc && std::atof(argv[i + 1]) > 0)
      opt.seconds = std::atof(argv[++i]);
    else {
      std::fprintf(stderr, "usage: consensus_rate [--directory D] [--seconds S] [--json]\n");
      return 2;
    }
  }
  std::vector<figure> figures;
  measure_disk(opt, figures);
  measure_groups(opt, 1, 1, figures);
  measure_groups(opt, 1, 16, figures);
  measure_groups(opt, 16, 16, figures);
  print(opt, figures);
}
