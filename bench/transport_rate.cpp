// Rates of the transport and of actors on the reactor, between two processes of this machine.
// Usage: bench_transport_rate [SECONDS per measurement, default 2]
#include "actors/kit/log.hpp"
#include "actors/kit/reactor_scheduler.hpp"
#include "actors/security/ca.hpp"
#include "actors/transport/transport.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace troupe;

namespace {

std::uint64_t run_ns = 2'000'000'000;

std::uint64_t now_ns() {
  return system_clock().boot().ns;
}

double cpu_seconds(int who) {
  rusage u{};
  ::getrusage(who, &u);
  auto seconds = [](timeval t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

struct files {
  std::string directory = "/tmp/troupe_bench_XXXXXX";
  credential_files one, two;
  files() {
    if (!::mkdtemp(directory.data()))
      std::abort();
    cluster_uuid cluster;
    cluster.bytes.fill(1);
    auto ca = certificate_authority::create(cluster);
    auto at = [&](const char* name) { return directory + "/" + name; };
    one = {at("1.crt"), at("1.key"), at("ca.crt")};
    two = {at("2.crt"), at("2.key"), at("ca.crt")};
    if (!ca || !ca->save(at("ca.crt"), at("ca.key"))
        || !ca->issue(peer_role::node, 1, one.certificate, one.key)
        || !ca->issue(peer_role::node, 2, two.certificate, two.key))
      std::abort();
  }
  ~files() { std::filesystem::remove_all(directory); }
};

[[noreturn]] void serve(const credential_files& who, const transport_options& options, int tell) {
  reactor loop;
  auto own = load_credentials(who);
  auto net = transport::make(loop, options, *own, incarnation{1});
  if (!net || !(*net)->listen("127.0.0.1:0"))
    ::_exit(1);
  shared_bytes data{byte_vector(1 << 20, std::byte{7})};
  auto& messages = (*net)->messages();
  messages.on_request<free_runs>(
    [](const request_context&, free_runs&&, responder<free_runs> answer) { answer(runs_freed{}); });
  messages.on_request<store_run>(
    [](const request_context&, store_run&&, responder<store_run> answer) { answer(run_stored{}); });
  messages.on_request<read_run>(
    [&](const request_context&, read_run&& m, responder<read_run> answer) {
      answer(run_data{{}, data.slice(0, m.block_count * std::size_t{8192})});
    });
  messages.on_request<get_drive_report>( // ends the process
    [&](const request_context&, get_drive_report&&, responder<get_drive_report>) { loop.stop(); });
  const auto& at = (*net)->address();
  if (::write(tell, at.data(), at.size()) < 0)
    ::_exit(1);
  loop.run();
  ::_exit(0);
}

/// A server process and a client in this one.
struct pair_of_nodes {
  reactor loop;
  pid_t child = 0;
  std::unique_ptr<transport> net;
  double child_cpu_before = cpu_seconds(RUSAGE_CHILDREN);

  pair_of_nodes(const files& f, const transport_options& options) {
    int ends[2];
    if (::pipe(ends) != 0)
      std::abort();
    child = ::fork();
    if (child == 0)
      serve(f.two, options, ends[1]);
    std::array<char, 100> text{};
    auto n = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    ::close(ends[1]);
    auto own = load_credentials(f.one);
    net = std::move(*transport::make(loop, options, *own, incarnation{1}));
    net->open_link(node_id{2}, std::string{text.data(), static_cast<std::size_t>(n)});
    while (!net->find_link(node_id{2})->up())
      loop.run_once(10);
    auto end = now_ns() + 100'000'000; // the data connection too
    while (now_ns() < end)
      loop.run_once(10);
  }
  /// CPU seconds that the child used in its life.
  double stop() {
    net->request(node_id{2}, 0, get_drive_report{}, {},
                 answer_callback<get_drive_report>{[](auto) {}});
    while (::waitpid(child, nullptr, WNOHANG) == 0)
      loop.run_once(1);
    return cpu_seconds(RUSAGE_CHILDREN) - child_cpu_before;
  }
};

/// Keeps `window` requests in flight for the time of a run. @returns requests per second.
template <request_message T>
double pump(pair_of_nodes& p, const T& message, std::uint32_t answer_bytes, int window,
            std::vector<double>* latencies_us) {
  auto start = now_ns();
  auto end = start + run_ns;
  std::uint64_t done = 0;
  int in_flight = 0;
  std::function<void()> ask = [&] {
    ++in_flight;
    auto sent = now_ns();
    p.net->request(node_id{2}, 0, message, {.answer_bytes = answer_bytes, .trace = {}},
                   answer_callback<T>{[&, sent](expected<answer_of<T>> x) {
                     if (!x) {
                       std::fprintf(stderr, "%s\n", describe(x.error()).c_str());
                       std::exit(1);
                     }
                     --in_flight;
                     ++done;
                     if (latencies_us)
                       latencies_us->push_back(static_cast<double>(now_ns() - sent) / 1000);
                     if (now_ns() < end)
                       ask();
                   }});
  };
  for (int i = 0; i < window; ++i)
    ask();
  while (in_flight > 0)
    p.loop.run_once(100);
  return static_cast<double>(done) / (static_cast<double>(now_ns() - start) / 1e9);
}

void small_requests(const files& f) {
  pair_of_nodes p{f, {}};
  for (int window : {1, 16, 256}) {
    std::vector<double> us;
    auto rate = pump(p, free_runs{}, 0, window, &us);
    std::sort(us.begin(), us.end());
    std::printf("small request   window %-4d  %9.0f/s   p50 %7.1f us   p99 %7.1f us\n", window,
                rate, us[us.size() / 2], us[us.size() * 99 / 100]);
  }
  p.stop();
}

void bulk(const files& f, bool store, std::uint32_t bytes, bool encrypt) {
  transport_options options;
  options.encryption = encrypt ? backend_encryption::always : backend_encryption::never;
  pair_of_nodes p{f, options};
  auto cpu = cpu_seconds(RUSAGE_SELF);
  double rate = 0;
  if (store) {
    store_run m;
    m.data = shared_bytes{byte_vector(bytes, std::byte{5})};
    rate = pump(p, m, 0, 8, nullptr);
  } else {
    read_run m;
    m.block_count = bytes / 8192;
    rate = pump(p, m, bytes + 4096, 8, nullptr);
  }
  cpu = cpu_seconds(RUSAGE_SELF) - cpu;
  auto peer_cpu = p.stop();
  auto mb_s = rate * bytes / 1e6;
  auto gib = rate * bytes * (static_cast<double>(run_ns) / 1e9) / (1 << 30);
  std::printf("%s %7u bytes %s  %7.0f MB/s   CPU s/GiB: here %.2f, there %.2f\n",
              store ? "store" : "read ", bytes, encrypt ? "AES-256-GCM" : "signed only", mb_s,
              cpu / gib, peer_cpu / gib);
}

using echo_actor = caf::typed_actor<caf::replies_to<int>::with<int>>;

void local_actors() {
  reactor loop;
  caf::actor_system_config cfg;
  reactor_scheduler::install(cfg, loop);
  caf::actor_system sys{cfg};
  sys.await_actors_before_shutdown(false);
  auto echo = sys.spawn([]() -> echo_actor::behavior_type { return {[](int x) { return x; }}; });
  std::uint64_t count = 0;
  auto end = now_ns() + run_ns;
  auto start = now_ns();
  auto asker = sys.spawn([&, echo](caf::event_based_actor* self) -> caf::behavior {
    return {[&, self, echo](caf::tick_atom) {
      self->request(echo, std::chrono::seconds{1}, 1).then([&, self](int) {
        ++count;
        if (now_ns() < end)
          self->send(self, caf::tick_atom_v);
      });
    }};
  });
  caf::anon_send(asker, caf::tick_atom_v);
  while (now_ns() < end)
    loop.run_once(10);
  std::printf("actor to actor request with timeout and back: %.2f us\n",
              static_cast<double>(now_ns() - start) / 1000 / static_cast<double>(count));
  caf::anon_send_exit(asker, caf::exit_reason::kill);
  caf::anon_send_exit(echo, caf::exit_reason::kill);
  asker = nullptr;
  echo = nullptr;
}

void wake_up() {
  reactor loop;
  std::vector<double> us;
  std::atomic<bool> asked{false};
  std::thread other{[&] {
    for (int i = 0; i < 2000; ++i) {
      ::usleep(300);
      asked = true;
      auto sent = now_ns();
      loop.post([&, sent] {
        us.push_back(static_cast<double>(now_ns() - sent) / 1000);
        asked = false;
      });
      while (asked)
        ::usleep(50);
    }
    loop.stop();
  }};
  loop.run();
  other.join();
  std::sort(us.begin(), us.end());
  std::printf("post from another thread to a sleeping loop: p50 %.1f us, p99 %.1f us\n",
              us[us.size() / 2], us[us.size() * 99 / 100]);
}

void idle() {
  reactor loop;
  caf::actor_system_config cfg;
  reactor_scheduler::install(cfg, loop);
  caf::actor_system sys{cfg};
  auto cpu = cpu_seconds(RUSAGE_SELF);
  auto end = now_ns() + run_ns;
  while (now_ns() < end)
    loop.run_once(1000);
  std::printf("idle: %.3f %% of a core\n",
              (cpu_seconds(RUSAGE_SELF) - cpu) / (static_cast<double>(run_ns) / 1e9) * 100);
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 1)
    run_ns = static_cast<std::uint64_t>(std::atof(argv[1]) * 1e9);
  files f;
  small_requests(f);
  for (bool encrypt : {false, true})
    for (bool store : {true, false})
      for (std::uint32_t bytes : {128u * 1024, 1024u * 1024})
        bulk(f, store, bytes, encrypt);
  local_actors();
  wake_up();
  idle();
}
