#include "tests/actors/transport/transport_fixture.hpp"

#include <csignal>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::test;

namespace {

/// Node 2 in a process of its own: answers free_runs, never answers read_run.
class child_node {
public:
  child_node(test_cluster& cluster, const transport_options& options, const std::string& address,
             std::uint64_t process) {
    auto files = cluster.files(peer_role::node, 2); // issued here: the child only reads
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::close(ends[0]);
      serve(files, options, address, process, ends[1]);
    }
    ::close(ends[1]);
    std::array<char, 100> text{};
    auto n = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    REQUIRE(n > 0);
    address_.assign(text.data(), static_cast<std::size_t>(n));
  }
  ~child_node() { end(); }
  child_node(const child_node&) = delete;
  child_node& operator=(const child_node&) = delete;

  const std::string& address() const { return address_; }
  void signal(int number) { ::kill(pid_, number); }
  void end() {
    if (pid_ <= 0)
      return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

private:
  [[noreturn]] static void serve(const credential_files& files, const transport_options& options,
                                 const std::string& address, std::uint64_t process, int tell) {
    reactor loop;
    auto own = load_credentials(files);
    auto net = transport::make(loop, options, *own, incarnation{process});
    if (!net || !(*net)->listen(address))
      ::_exit(1);
    std::vector<responder<read_run>> kept;
    (*net)->messages().on_request<free_runs>(
      [](const request_context&, free_runs&& m, responder<free_runs> answer) {
        answer(runs_freed{static_cast<std::uint32_t>(m.runs.size())});
      });
    (*net)->messages().on_request<read_run>(
      [&](const request_context&, read_run&&, responder<read_run> answer) {
        kept.push_back(answer);
      });
    const auto& at = (*net)->address();
    if (::write(tell, at.data(), at.size()) < 0)
      ::_exit(1);
    ::close(tell);
    loop.run();
    ::_exit(0);
  }

  pid_t pid_ = 0;
  std::string address_;
};

struct with_child {
  test_cluster cluster;
  transport_options options = quick_options();
  std::unique_ptr<child_node> child =
    std::make_unique<child_node>(cluster, options, "127.0.0.1:0", 1);
  reactor loop;
  member a{loop, cluster, peer_role::node, 1, options};
  node_id to_child{2};
  std::vector<peer_change> changes;

  with_child() {
    a->add_peer_listener([this](const peer_change& c) { changes.push_back(c); });
    a->open_link(to_child, child->address());
    REQUIRE(run_until(loop, [&] { return up(); }));
  }
  bool up() { return a->find_link(to_child)->up(); }
  void ask_for_ever(std::vector<errc>& outcomes, std::uint32_t timeout_ms = 30'000) {
    a->request(to_child, 0, read_run{}, {.timeout_ms = timeout_ms},
               answer_callback<read_run>{[&](expected<run_data> x) {
                 outcomes.push_back(x ? errc::none : x.error().code);
               }});
  }
  std::uint64_t ms_until(const std::function<bool()>& done, std::uint64_t limit_ms = 5000) {
    auto start = system_clock().boot().ns;
    CHECK(run_until(loop, done, limit_ms));
    return (system_clock().boot().ns - start) / 1'000'000;
  }
};

} // namespace

TEST_CASE_METHOD(with_child, "transport: kill -9 of a peer fails what is in flight at once",
                 "[actor][transport]") {
  std::vector<errc> outcomes;
  for (int i = 0; i < 20; ++i)
    ask_for_ever(outcomes);
  run_until(
    loop, [] { return false; }, 100); // they have arrived
  CHECK(outcomes.empty());
  child->end();
  CHECK(ms_until([&] { return outcomes.size() == 20; }) < 300);
  CHECK(std::count(outcomes.begin(), outcomes.end(), errc::may_have_happened) == 20);
  REQUIRE(changes.size() == 2);
  CHECK_FALSE(changes[1].up);
  // After the first dial has failed, requests are refused at once, not after their timeout.
  REQUIRE(run_until(loop, [&] { return a->find_link(to_child)->last_error().code != errc::none; }));
  run_until(
    loop, [] { return false; }, 100);
  outcomes.clear();
  ask_for_ever(outcomes);
  CHECK(ms_until([&] { return outcomes.size() == 1; }) < 100);
  CHECK(outcomes[0] == errc::unavailable);
  // Another process of the same node on the same address: found again, and seen to be new.
  child_node next{cluster, options, child->address(), 2};
  CHECK(run_until(loop, [&] { return up(); }));
  CHECK(changes.back().up);
  CHECK(changes.back().process == incarnation{2});
  CHECK(a->find_link(to_child)->peer_process() == incarnation{2});
}

TEST_CASE_METHOD(with_child, "transport: a stopped peer is noticed, and welcome when it goes on",
                 "[actor][transport]") {
  std::vector<errc> outcomes;
  for (int i = 0; i < 5; ++i)
    ask_for_ever(outcomes);
  run_until(
    loop, [] { return false; }, 100);
  child->signal(SIGSTOP);
  auto ms = ms_until([&] { return outcomes.size() == 5; });
  CHECK(ms >= options.dead_peer_ms - options.heartbeat_ms);
  CHECK(ms < 10 * options.dead_peer_ms);
  CHECK(std::count(outcomes.begin(), outcomes.end(), errc::may_have_happened) == 5);
  CHECK_FALSE(up());
  // A dial to it is accepted by its kernel and answered by nobody: it does not hang.
  run_until(
    loop, [] { return false; }, options.connect_timeout_ms + options.handshake_timeout_ms);
  CHECK_FALSE(up());
  child->signal(SIGCONT);
  CHECK(run_until(loop, [&] { return up(); }));
  outcomes.clear();
  std::optional<bool> answered;
  a->request(to_child, 0, free_runs{}, {},
             answer_callback<free_runs>{[&](auto x) { answered = bool{x}; }});
  CHECK(run_until(loop, [&] { return answered.has_value(); }));
  CHECK(*answered);
}

TEST_CASE("transport: credits bound what waits for a peer that does not take it",
          "[actor][transport]") {
  test_cluster cluster;
  auto options = quick_options();
  options.dead_peer_ms = 600'000; // it is stopped, and nobody shall notice
  options.request_window_bytes = 8 << 20;
  options.queue_bytes_max = 16 << 20;
  child_node child{cluster, options, "127.0.0.1:0", 1};
  reactor loop;
  member a{loop, cluster, peer_role::node, 1, options};
  a->open_link(node_id{2}, child.address());
  REQUIRE(run_until(loop, [&] { return a->find_link(node_id{2})->up(); }));
  run_until(
    loop, [] { return false; }, 100);
  child.signal(SIGSTOP);
  std::map<errc, int> outcomes;
  int alive_buffers = 0;
  for (int i = 0; i < 200; ++i) {
    // Each of its own memory, so that what the transport holds on to is counted.
    auto* bytes = new byte_vector(1 << 20);
    ++alive_buffers;
    shared_bytes data{std::shared_ptr<const void>{bytes,
                                                  [&](byte_vector* b) {
                                                    delete b;
                                                    --alive_buffers;
                                                  }},
                      *bytes};
    store_run m;
    m.data = std::move(data);
    a->request(node_id{2}, 0, m, {.timeout_ms = 500}, answer_callback<store_run>{[&](auto x) {
                 ++outcomes[x ? errc::none : x.error().code];
               }});
    loop.run_once(0);
  }
  CHECK(a->find_link(node_id{2})->in_flight_bytes() <= options.request_window_bytes);
  CHECK(alive_buffers <= 8 + 16);
  CHECK(outcomes[errc::busy] >= 200 - 8 - 16);
  // All others are told something too, each once.
  auto total = [&] {
    int sum = 0;
    for (auto& [code, count] : outcomes)
      sum += count;
    return sum;
  };
  CHECK(run_until(loop, [&] { return total() == 200; }));
  CHECK(outcomes[errc::none] == 0);
  CHECK(outcomes[errc::timeout] <= 8);
  CHECK(outcomes[errc::unavailable] >= 8); // never sent
}

namespace {

/// Passes bytes between a dialler and a target, and flips one bit of the second connection (the
/// data connection) once it has passed `flip_at` bytes.
class tampering_proxy {
public:
  tampering_proxy(reactor& loop, std::string target) : loop_(loop), target_(std::move(target)) {
    auto fd = listen_on("127.0.0.1:0");
    REQUIRE(fd);
    listener_ = std::move(*fd);
    loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
  }
  ~tampering_proxy() {
    loop_.unwatch(listener_.get());
    for (auto& p : pairs_)
      p->close(loop_);
  }
  std::string address() const { return *local_address(listener_.get()); }
  std::size_t flip_at = 0;
  bool flipped = false;

private:
  struct pair {
    unique_fd left, right;
    bool data = false;
    std::size_t passed = 0;
    void close(reactor& loop) {
      if (left)
        loop.unwatch(left.get());
      if (right)
        loop.unwatch(right.get());
      left.reset();
      right.reset();
    }
  };
  void accept() {
    auto p = std::make_shared<pair>();
    bool no_descriptors = false;
    p->left = accept_one(listener_.get(), no_descriptors);
    auto right = start_connect(target_);
    REQUIRE(right);
    p->right = std::move(*right);
    p->data = pairs_.size() % 2 == 1;
    pairs_.push_back(p);
    loop_.watch(p->left.get(), EPOLLIN, [this, p](std::uint32_t) { pump(*p, true); });
    loop_.watch(p->right.get(), EPOLLIN, [this, p](std::uint32_t) { pump(*p, false); });
  }
  void pump(pair& p, bool to_right) {
    std::array<std::byte, 32768> chunk;
    auto& from = to_right ? p.left : p.right;
    auto& to = to_right ? p.right : p.left;
    auto n = ::recv(from.get(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n <= 0)
      return p.close(loop_);
    auto count = static_cast<std::size_t>(n);
    if (p.data && to_right && flip_at > 0 && !flipped && p.passed + count > flip_at) {
      chunk[flip_at - p.passed] ^= std::byte{16};
      flipped = true;
    }
    if (p.data && to_right)
      p.passed += count;
    for (std::size_t at = 0; at < count;) { // loopback: it takes it soon
      auto sent = ::send(to.get(), chunk.data() + at, count - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && errno != EAGAIN && errno != EINPROGRESS && errno != ENOTCONN)
        return p.close(loop_);
      if (sent > 0)
        at += static_cast<std::size_t>(sent);
      else
        ::usleep(100);
    }
  }

  reactor& loop_;
  std::string target_;
  unique_fd listener_;
  std::vector<std::shared_ptr<pair>> pairs_;
};

} // namespace

TEST_CASE("transport: one flipped bit on the data connection is seen, counted and survived",
          "[actor][transport]") {
  reactor loop;
  test_cluster cluster;
  member b{loop, cluster, peer_role::node, 2};
  tampering_proxy proxy{loop, b->address()};
  proxy.flip_at = GENERATE(150, 200, 5000, 130'000); // head, tag or body, bulk, bulk
  int stored = 0;
  b->messages().on_request<store_run>(
    [&](const request_context&, store_run&& m, responder<store_run> answer) {
      ++stored;
      CHECK(
        std::equal(m.data.view().begin(), m.data.view().end(), pattern(m.data.size(), 3).begin()));
      answer(run_stored{});
    });
  member a{loop, cluster, peer_role::node, 1};
  a->open_link(node_id{2}, proxy.address());
  REQUIRE(run_until(loop, [&] { return a->find_link(node_id{2})->up(); }));
  run_until(
    loop, [] { return false; }, 100); // the data connection too
  std::optional<errc> got;
  store_run m;
  m.data = shared_bytes{pattern(128 * 1024, 3)};
  auto ask = [&] {
    got.reset();
    a->request(node_id{2}, 0, m, {},
               answer_callback<store_run>{[&](auto x) { got = x ? errc::none : x.error().code; }});
    return run_until(loop, [&] { return got.has_value(); });
  };
  REQUIRE(ask());
  CHECK(proxy.flipped);
  CHECK(*got == errc::may_have_happened);
  CHECK(stored == 0);
  // Connected anew, and the same request goes through.
  REQUIRE(run_until(loop, [&] { return a->find_link(node_id{2})->up(); }));
  run_until(
    loop, [] { return false; }, 100);
  REQUIRE(ask());
  CHECK(*got == errc::none);
  CHECK(stored == 1);
  std::uint64_t errors = 0;
  for (const auto& r : b->report())
    errors = std::max(errors, r.checksum_errors);
  CHECK(errors == 1);
}
