#include "actors/transport/certificate_keeper.hpp"

#include "actors/kit/log.hpp"

#include <sys/stat.h>

namespace troupe {

namespace {

constexpr std::int64_t day_ns = std::int64_t{86'400} * 1'000'000'000;

} // namespace

certificate_keeper::certificate_keeper(reactor& loop, network& net, credential_files files,
                                       cluster_uuid cluster, certificate_keeper_options options)
  : loop_(loop), net_(net), files_(std::move(files)), cluster_(cluster), options_(options),
    known_(look(files_)) {
  timer_ = loop_.call_after_ms(options_.look_every_ms, [this] { on_timer(); });
}

certificate_keeper::~certificate_keeper() {
  loop_.cancel(timer_);
}

certificate_keeper::fingerprint certificate_keeper::look(const credential_files& files) {
  fingerprint out{};
  std::size_t at = 0;
  for (const auto& path : {files.certificate, files.key, files.ca}) {
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0) {
      out[at] = static_cast<std::int64_t>(st.st_ino);
      out[at + 1] = static_cast<std::int64_t>(st.st_size);
      out[at + 2] = static_cast<std::int64_t>(st.st_mtim.tv_sec);
      out[at + 3] = static_cast<std::int64_t>(st.st_mtim.tv_nsec);
    }
    at += 4;
  }
  return out;
}

expected<void> certificate_keeper::reload() {
  auto seen = look(files_); // before reading: what changes meanwhile is looked at again
  if (seen == known_)
    return {};
  auto found = load_credentials(files_, cluster_);
  if (!found)
    return found.error();
  if (auto fine = net_.renew(*found); !fine)
    return fine;
  known_ = seen;
  told_.clear();
  suspected_.clear();
  auto info = info_of(*found->certificate);
  log_event(event_severity::info, "certificates_reloaded",
            {{"serial", info.serial.hex},
             {"days_left", days_left(*found->certificate)},
             {"authorities", found->authorities.size()}});
  return {};
}

void certificate_keeper::on_timer() {
  timer_ = loop_.call_after_ms(options_.look_every_ms, [this] { on_timer(); });
  warn_of_end();
  auto fine = reload();
  if (fine)
    return;
  auto why = describe(fine.error());
  if (why == suspected_ && why != told_) {
    told_ = why;
    log_event(event_severity::error, "certificates_not_reloaded",
              {{"file", files_.certificate}, {"why", fine.error()}});
  }
  suspected_ = why;
}

void certificate_keeper::warn_of_end() {
  auto now = loop_.time().wall();
  const auto& own = net_.own_certificate();
  auto left = (own.not_after.ns - now.ns) / day_ns;
  if (left >= options_.warn_days || now.ns / day_ns == warned_day_)
    return;
  warned_day_ = now.ns / day_ns;
  log_event(event_severity::warn, "certificate_ends_soon",
            {{"file", files_.certificate}, {"serial", own.serial.hex}, {"days_left", left}});
}

} // namespace troupe
