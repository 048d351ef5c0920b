// Knocks at a running cluster as somebody who should not get in, and says what came of it.
// Usage: intruder forge DIR ROLE ID SECONDS OUT [--own-ca]   a certificate that was never asked for
//        intruder enter OUT ROLE ID ADDRESS                  "in", or the error of the refusal
//        intruder roles OUT ROLE ID ADDRESS                  every message that the role may not
//        send intruder data OUT ROLE ID ADDRESS replay|alter|plain intruder garbage ADDRESS COUNT
//        intruder flood ADDRESS COUNT SECONDS                holds connections, half of them in TLS
#include "actors/host/cluster_files.hpp"
#include "actors/security/ca.hpp"
#include "actors/transport/data_channel.hpp"
#include "actors/transport/handshake.hpp"
#include "actors/transport/socket.hpp"
#include "messages/catalogue.hpp"
#include "storage/base/posix_env.hpp"
#include "storage/base/wire.hpp"

#include <openssl/pem.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace troupe;

namespace {

constexpr int wait_ms = 10'000;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "intruder: %s\n", why.c_str());
  std::exit(2);
}

void wait_for(int fd, short events) {
  pollfd p{fd, events, 0};
  if (::poll(&p, 1, wait_ms) == 0)
    give_up("no answer in time");
}

/// What `load_credentials` would refuse, too.
credentials load(const std::string& directory) {
  auto open = [&](const char* name) {
    auto path = directory + "/" + name;
    auto* f = std::fopen(path.c_str(), "r");
    if (!f)
      give_up(path + ": " + std::strerror(errno));
    return f;
  };
  credentials c;
  auto* f = open("own.pem");
  c.certificate.reset(::PEM_read_X509(f, nullptr, nullptr, nullptr));
  std::fclose(f);
  f = open("own.key");
  c.key.reset(::PEM_read_PrivateKey(f, nullptr, nullptr, nullptr));
  std::fclose(f);
  auto bundle = load_authorities(directory + "/ca.pem");
  if (!bundle || !c.certificate || !c.key)
    give_up("no certificate in " + directory);
  c.authorities = std::move(*bundle);
  c.identity = *identity_of(*c.certificate);
  return c;
}

unique_fd dial(const std::string& address) {
  auto fd = start_connect(address);
  if (!fd)
    give_up(describe(fd.error()));
  wait_for(fd->get(), POLLOUT);
  if (auto ok = connect_outcome(fd->get(), address); !ok)
    give_up(describe(ok.error()));
  return std::move(*fd);
}

/// One control connection, frames by hand.
class control {
public:
  control(const credentials& own, const std::string& address)
    : context_(std::move(*tls_context::make(own))), fd_(dial(address)),
      tls_(context_, fd_.get(), tls_stream::side::dialler) {}

  bool turn(tls_stream::state what) {
    if (what == tls_stream::state::want_read)
      wait_for(fd_.get(), POLLIN);
    else if (what == tls_stream::state::want_write)
      wait_for(fd_.get(), POLLOUT);
    return what == tls_stream::state::want_read || what == tls_stream::state::want_write;
  }
  bool handshake() {
    auto what = tls_.handshake();
    while (turn(what))
      what = tls_.handshake();
    return what == tls_stream::state::done;
  }
  bool send(frame_header header, const byte_vector& body) {
    header.body_bytes = static_cast<std::uint32_t>(body.size());
    header.sequence = next_++;
    header.payload_crc = payload_crc(body, {});
    byte_vector out(frame_header_bytes);
    encode_frame_header(header, out.data());
    out.insert(out.end(), body.begin(), body.end());
    for (std::size_t at = 0; at < out.size();) {
      auto [what, n] = tls_.write(byte_view{out}.subspan(at));
      if (what == tls_stream::state::done)
        at += n;
      else if (!turn(what))
        return false;
    }
    return true;
  }
  /// The next frame; nothing if the other side closed.
  std::optional<std::pair<frame_header, byte_vector>> receive() {
    for (;;) {
      if (in_.size() >= frame_header_bytes) {
        auto header = decode_frame_header(in_.data(), {});
        if (!header)
          give_up("bad frame");
        auto bytes = frame_header_bytes + header->payload_bytes();
        if (in_.size() >= bytes) {
          auto end = in_.begin() + static_cast<std::ptrdiff_t>(bytes);
          byte_vector body{in_.begin() + frame_header_bytes, end};
          in_.erase(in_.begin(), end);
          return std::pair{*header, std::move(body)};
        }
      }
      std::array<std::byte, 16384> chunk;
      auto [what, n] = tls_.read(chunk);
      if (what == tls_stream::state::done)
        in_.insert(in_.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
      else if (!turn(what))
        return std::nullopt;
    }
  }
  /// Enters; the error of a refusal otherwise.
  expected<hello_answer> enter(const certified_identity& who) {
    if (!handshake())
      return tls_.failure();
    frame_header header;
    header.kind = frame_kind::hello;
    own_identity me{who, incarnation{1}};
    me.machine = this_machine();
    if (!send(header, wire_encode(make_hello(me, {}, true)).body))
      return tls_.failure();
    auto frame = receive();
    if (!frame)
      return tls_.failure().code == errc::none ? error{errc::unavailable, "closed"}
                                               : tls_.failure();
    auto answer = wire_decode<hello_answer>(frame->second);
    if (!answer)
      return answer.error();
    if (answer->refused)
      return *answer->refused;
    return *answer;
  }
  tls_stream& tls() { return tls_; }

private:
  tls_context context_;
  unique_fd fd_;
  tls_stream tls_;
  std::uint64_t next_ = 0;
  byte_vector in_;
};

int forge(const std::string& directory, peer_role role, std::uint64_t id, std::int64_t seconds,
          const std::string& out, bool own_ca) {
  cluster_files paths{directory};
  certificate_lifetime lifetime;
  lifetime.leaf_days = 0;
  lifetime.leaf_seconds = seconds;
  auto real = certificate_authority::load(paths.ca_certificate(), paths.ca_key(), lifetime);
  if (!real)
    give_up(describe(real.error()));
  auto made = certificate_authority::create(real->cluster(), lifetime); // it names this cluster
  const auto& by = own_ca ? *made : *real;
  std::filesystem::create_directory(out);
  ::chmod(out.c_str(), 0700);
  if (auto issued = by.issue(role, id, out + "/own.pem", out + "/own.key"); !issued)
    give_up(describe(issued.error()));
  std::filesystem::copy_file(paths.ca_certificate(), out + "/ca.pem");
  return 0;
}

int enter(const std::string& from, const certified_identity& who, const std::string& address) {
  control c{load(from), address};
  auto in = c.enter(who);
  std::printf("%s\n", in ? "in" : describe(in.error()).c_str());
  return in ? 0 : 1;
}

int roles(const std::string& from, const certified_identity& who, const std::string& address) {
  control c{load(from), address};
  if (auto in = c.enter(who); !in)
    give_up(describe(in.error()));
  int refused = 0;
  int accepted = 0;
  for (const auto& row : message_catalogue()) {
    if (row.answer[0] == '\0' || row.answer[0] == '-' || row.senders.has(who.role))
      continue;
    frame_header header;
    header.kind = frame_kind::request;
    header.message = row.number;
    header.request = row.number;
    header.timeout_ms = 1000;
    if (!c.send(header, byte_vector(64)))
      give_up("closed");
    auto frame = c.receive();
    if (!frame)
      give_up("closed");
    auto why = wire_decode<refusal>(frame->second);
    bool good = (frame->first.flags & frame_failed) && why && why->why.id == trp::role_not_allowed;
    ++(good ? refused : accepted);
  }
  // And what the role may send, but not say.
  std::vector<cluster_request> speak_for_others = {
    register_node{node_id{1}, incarnation{99}, "x", {}, "x"},
    renew_node_lease{node_id{1}, incarnation{99}, {}}, set_drive_state{}, revoke_certificate{}};
  for (const auto& request : speak_for_others) {
    frame_header header;
    header.kind = frame_kind::request;
    header.message = message_number<cluster_request>;
    header.request = 1000;
    header.timeout_ms = 1000;
    if (!c.send(header, wire_encode(request).body))
      give_up("closed");
    auto frame = c.receive();
    if (!frame)
      give_up("closed");
    auto why = wire_decode<refusal>(frame->second);
    bool good = (frame->first.flags & frame_failed) && why && why->why.id == trp::role_not_allowed;
    ++(good ? refused : accepted);
  }
  std::printf("refused %d, not refused %d\n", refused, accepted);
  return accepted == 0 && refused > 0 ? 0 : 1;
}

void write_all(int fd, byte_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN)
      wait_for(fd, POLLOUT);
    else if (n < 0)
      return;
    else
      bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

/// A frame as the data connection carries it.
byte_vector sealed(frame_cipher& cipher, frame_header header, std::uint64_t sequence,
                   byte_vector body) {
  header.sequence = sequence;
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  header.payload_crc = payload_crc(body, {});
  byte_vector out(frame_header_bytes + frame_tag_bytes);
  encode_frame_header(header, out.data());
  byte_view head{out.data(), frame_header_bytes};
  std::array<byte_view, 1> parts{body};
  frame_tag tag;
  byte_vector cipher_text(body.size());
  if (cipher.encrypts()) {
    tag = cipher.seal(sequence, head, parts, cipher_text);
    body = cipher_text;
  } else {
    tag = cipher.sign(sequence, head, parts);
  }
  std::copy(tag.begin(), tag.end(), out.begin() + frame_header_bytes);
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

/// Counts answers on the control connection until it is closed.
int data(const std::string& from, const certified_identity& who, const std::string& address,
         const std::string& trick) {
  control c{load(from), address};
  auto in = c.enter(who);
  if (!in)
    give_up(describe(in.error()));
  auto keys = derive_data_keys(c.tls());
  if (!keys)
    give_up("no keys");
  frame_cipher cipher{frame_cipher::direction::seal, keys->to_acceptor, in->encrypt_data};
  auto fd = dial(address);
  frame_header hello;
  hello.kind = frame_kind::data_hello;
  hello.request = keys->token.first;
  hello.target = keys->token.second;
  if (trick == "plain") { // the right token, which is no secret, and no key
    byte_vector bytes(frame_header_bytes + frame_tag_bytes);
    encode_frame_header(hello, bytes.data());
    write_all(fd.get(), bytes);
  } else {
    write_all(fd.get(), sealed(cipher, hello, 0, {}));
    frame_header request;
    request.kind = frame_kind::request;
    request.message = message_number<free_runs>;
    request.request = 7;
    request.timeout_ms = 5000;
    auto good = sealed(cipher, request, 1, wire_encode(free_runs{}).body);
    auto frame = good;
    if (trick == "alter") {
      frame.back() ^= std::byte{1};
    } else {
      write_all(fd.get(), good);
      auto answer = c.receive();
      if (!answer || answer->first.request != 7 || (answer->first.flags & frame_failed))
        give_up("the good frame was not answered");
    }
    write_all(fd.get(), frame);
  }
  int answers = 0;
  while (auto more = c.receive())
    answers += more->first.kind == frame_kind::response;
  std::printf("%d answers, then closed\n", answers);
  return answers == 0 ? 0 : 1;
}

int garbage(const std::string& address, int count) {
  std::srand(1);
  for (int i = 0; i < count; ++i) {
    auto fd = dial(address);
    byte_vector bytes(static_cast<std::size_t>(std::rand() % 3000 + 1));
    for (auto& b : bytes)
      b = static_cast<std::byte>(std::rand());
    if (i % 3 == 1)
      std::memcpy(bytes.data(), "\x16\x03\x01", std::min<std::size_t>(3, bytes.size()));
    if (i % 3 == 2)
      std::memcpy(bytes.data(), "TRPF", std::min<std::size_t>(4, bytes.size()));
    write_all(fd.get(), bytes);
    if (i % 2 == 0) {
      ::shutdown(fd.get(), SHUT_WR);
      char byte = 0;
      wait_for(fd.get(), POLLIN);
      while (::recv(fd.get(), &byte, 1, 0) > 0) {
      }
    }
  }
  std::printf("sent %d\n", count);
  return 0;
}

int flood(const std::string& address, int count, int seconds) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::vector<unique_fd> held;
  int opened = 0;
  int failed = 0;
  auto end = ::time(nullptr) + seconds;
  while (::time(nullptr) < end) {
    auto fd = start_connect(address);
    if (!fd) {
      ++failed;
      ::usleep(10'000);
      continue;
    }
    ++opened;
    if (opened % 2 == 0) {
      pollfd p{fd->get(), POLLOUT, 0};
      ::poll(&p, 1, 100);
      (void)!::send(fd->get(), "\x16\x03\x01\x02", 4, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    held.push_back(std::move(*fd));
    if (held.size() >= static_cast<std::size_t>(count)) {
      ::usleep(20'000);
      held.erase(held.begin(), held.begin() + count / 10);
    }
  }
  std::printf("opened %d, failed %d, held %zu\n", opened, failed, held.size());
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<std::string> a{argv + 1, argv + argc};
  auto number = [&](std::size_t i) { return std::strtoll(a.at(i).c_str(), nullptr, 10); };
  auto role_of = [&](const std::string& name) {
    for (auto r : {peer_role::node, peer_role::client, peer_role::admin})
      if (name == to_string(r))
        return r;
    give_up("no role " + name);
  };
  if (a.size() < 3)
    give_up("see the usage in intruder.cpp");
  if (a[0] == "forge" && a.size() >= 6)
    return forge(a[1], role_of(a[2]), static_cast<std::uint64_t>(number(3)), number(4), a[5],
                 a.size() > 6);
  if (a[0] == "garbage")
    return garbage(a[1], static_cast<int>(number(2)));
  if (a[0] == "flood" && a.size() >= 4)
    return flood(a[1], static_cast<int>(number(2)), static_cast<int>(number(3)));
  if (a.size() < 5)
    give_up("see the usage in intruder.cpp");
  certified_identity who{load(a[1]).identity.cluster, role_of(a[2]),
                         static_cast<std::uint64_t>(number(3))};
  if (a[0] == "enter")
    return enter(a[1], who, a[4]);
  if (a[0] == "roles")
    return roles(a[1], who, a[4]);
  if (a[0] == "data" && a.size() >= 6)
    return data(a[1], who, a[4], a[5]);
  give_up("see the usage in intruder.cpp");
}
