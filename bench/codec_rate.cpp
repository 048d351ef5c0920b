// Measures what one core does with storage/codec: encoding, rebuilding, checksums.
// Usage: codec_rate [--seconds S] [--json]   each figure is the median of 3 runs of about S
// seconds. Rates count the file's data (n units), in GB/s (10^9 bytes), as a user's writes and
// reads would.
#include "messages/units.hpp"
#include "storage/codec/stripe_codec.hpp"
#include "storage/codec/unit_checksum.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <sys/utsname.h>
#include <thread>
#include <vector>

using namespace troupe;

namespace {

struct options {
  double seconds = 0.3;
  bool json = false;
};

struct figure {
  std::string name;
  double rate = 0;
  const char* unit = "GB/s";
};

/// Processor time of this thread: what one core does, also while others use the machine.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

/// Runs `body`, which handles `bytes`, for the wanted time, three times. @returns bytes per second.
double median_rate(const options& opt, std::size_t bytes, const std::function<void()>& body) {
  body(); // tables and page faults
  std::array<double, 3> rates{};
  for (auto& rate : rates) {
    auto begin = cpu_seconds();
    std::size_t rounds = 0;
    do {
      body();
      ++rounds;
    } while ((cpu_seconds() - begin) < opt.seconds);
    rate = static_cast<double>(rounds) * static_cast<double>(bytes) / (cpu_seconds() - begin);
  }
  std::sort(rates.begin(), rates.end());
  return rates[1];
}

void must(const expected<void>& result) {
  if (!result) {
    std::fprintf(stderr, "codec_rate: %s\n", describe(result.error()).c_str());
    std::exit(1);
  }
}

/// Stripes side by side in memory: so many that they do not fit into a cache, or just one.
class stripe_memory {
public:
  stripe_memory(code_shape shape, std::size_t stripes)
    : units_(shape.data_units + shape.parity_units), stripes_(stripes),
      bytes_(stripes * units_ * unit_bytes) {
    std::uint32_t x = 12345;
    for (auto& b : bytes_)
      b = static_cast<std::byte>((x = x * 1103515245u + 12345u) >> 16);
  }
  /// Moves on to the next stripe, round and round.
  void next() { at_ = (at_ + 1) % stripes_; }
  std::span<std::byte> unit(std::uint32_t index) {
    return std::span{bytes_}.subspan((at_ * units_ + index) * unit_bytes, unit_bytes);
  }

private:
  std::uint32_t units_;
  std::size_t stripes_;
  std::size_t at_ = 0;
  byte_vector bytes_;
};

void measure_shape(const options& opt, code_shape shape, bool from_memory,
                   std::vector<figure>& out) {
  auto n = shape.data_units;
  auto units = n + shape.parity_units;
  std::size_t stripes = from_memory ? (256 * mib) / (units * unit_bytes) : 1;
  stripe_memory memory{shape, stripes};
  auto name = std::to_string(n) + "+" + std::to_string(shape.parity_units)
              + (from_memory ? " from memory" : " in cache");
  auto encode = [&] {
    memory.next();
    std::vector<std::span<const std::byte>> data;
    std::vector<std::span<std::byte>> parity;
    for (std::uint32_t i = 0; i < units; ++i) {
      if (i < n)
        data.emplace_back(memory.unit(i));
      else
        parity.push_back(memory.unit(i));
    }
    must(encode_parity(shape, data, parity));
  };
  for (std::size_t i = 0; i < stripes; ++i) // so that every stripe can be rebuilt
    encode();
  out.push_back({"encode " + name, median_rate(opt, std::size_t{n} * unit_bytes, encode) / 1e9});
  for (auto lost : {1u, shape.parity_units}) {
    std::vector<byte_vector> made(lost, byte_vector(unit_bytes));
    auto rebuild = [&] { // the first data units are gone
      memory.next();
      std::vector<unit_source> have;
      std::vector<unit_target> want;
      for (std::uint32_t i = 0; i < lost; ++i)
        want.push_back({i, made[i]});
      for (std::uint32_t i = lost; have.size() < n; ++i)
        have.push_back({i, memory.unit(i)});
      must(rebuild_units(shape, have, want));
    };
    out.push_back({"rebuild " + std::to_string(lost) + " lost of " + name,
                   median_rate(opt, std::size_t{n} * unit_bytes, rebuild) / 1e9});
    for (std::uint32_t i = 0; i < lost; ++i)
      if (std::memcmp(made[i].data(), memory.unit(i).data(), unit_bytes) != 0) {
        std::fprintf(stderr, "codec_rate: %s rebuilt wrong bytes\n", name.c_str());
        std::exit(1);
      }
    if (shape.parity_units == 1 || n == 1)
      break;
  }
}

/// A degraded read of one block: 8 KiB of a lost unit from 8 KiB of n others.
void measure_small_read(const options& opt, std::vector<figure>& out) {
  code_shape shape{8, 2};
  stripe_memory memory{shape, 1};
  byte_vector made(block_bytes);
  auto read = [&] {
    std::array<unit_source, 8> have;
    for (std::uint32_t i = 0; i < 8; ++i)
      have[i] = {i + 1, memory.unit(i + 1).first(block_bytes)};
    unit_target want{0, made};
    must(rebuild_units(shape, have, {&want, 1}));
  };
  out.push_back({"degraded 8 KiB reads of 8+2", median_rate(opt, 1, read), "reads/s"});
}

void measure_checksums(const options& opt, std::vector<figure>& out) {
  for (bool from_memory : {false, true}) {
    stripe_memory memory{{1, 1}, from_memory ? 1024u : 1u};
    std::uint32_t sum = 0;
    auto check = [&] {
      memory.next();
      sum ^= unit_checksum(block_checksums(memory.unit(0)));
    };
    out.push_back({std::string{"checksum of a unit "} + (from_memory ? "from memory" : "in cache"),
                   median_rate(opt, unit_bytes, check) / 1e9});
    if (sum == 1) // keeps the work from being optimised away
      std::fputc(' ', stderr);
  }
}

std::string cpu_model() {
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0)
      return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string load_average() {
  double load = 0;
  char text[32];
  if (getloadavg(&load, 1) != 1)
    return "unknown";
  std::snprintf(text, sizeof text, "%.2f", load);
  return text;
}

void print(const options& opt, const std::vector<figure>& figures) {
  utsname os{};
  uname(&os);
#ifdef NDEBUG
  const char* build = "optimised";
#else
  const char* build = "debug";
#endif
  if (opt.json)
    std::printf("{\"machine\":{\"cpu\":\"%s\",\"cores\":%u,\"kernel\":\"%s\",\"load\":\"%s\"},"
                "\"configuration\":{\"build\":\"%s\",\"unit_bytes\":%u,\"threads\":1,"
                "\"cpu_seconds\":%.2f},\"figures\":[\n",
                cpu_model().c_str(), std::thread::hardware_concurrency(), os.release,
                load_average().c_str(), build, unit_bytes, opt.seconds);
  else
    std::printf("# %s, %u cores, Linux %s, load %s\n"
                "# %s build, units of %u bytes, one thread, %.2f s of processor time per run\n",
                cpu_model().c_str(), std::thread::hardware_concurrency(), os.release,
                load_average().c_str(), build, unit_bytes, opt.seconds);
  for (std::size_t i = 0; i < figures.size(); ++i)
    std::printf(opt.json ? "{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}%s\n"
                         : "%-40s %12.2f %s%s\n",
                figures[i].name.c_str(), figures[i].rate, figures[i].unit,
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
    else if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc && std::atof(argv[i + 1]) > 0)
      opt.seconds = std::atof(argv[++i]);
    else {
      std::fprintf(stderr, "usage: codec_rate [--seconds S] [--json]\n");
      return 2;
    }
  }
  std::vector<figure> figures;
  for (auto shape : {code_shape{4, 2}, code_shape{8, 2}, code_shape{12, 3}, code_shape{16, 4}})
    for (bool from_memory : {false, true})
      measure_shape(opt, shape, from_memory, figures);
  measure_shape(opt, {1, 2}, true, figures); // copies
  measure_small_read(opt, figures);
  measure_checksums(opt, figures);
  print(opt, figures);
}
