#include "actors/host/certificate_store.hpp"

#include "actors/node/node_config.hpp"

#include <algorithm>

namespace troupe {

expected<certificate_authority> certificate_store::authority(certificate_lifetime lifetime) const {
  return certificate_authority::load(paths_.ca_certificate(), paths_.ca_key(), lifetime);
}

expected<std::vector<certificate_holder>> certificate_store::holders() const {
  auto description = load_description(files_, paths_);
  if (!description)
    return description.error();
  std::vector<certificate_holder> out;
  for (std::uint32_t n = 1; n <= description->node_addresses.size(); ++n)
    out.push_back(
      {peer_role::node, n, paths_.node_certificate(node_id{n}), paths_.node_key(node_id{n})});
  // Their ids are those of the certificates that are there: another machine's may be any.
  for (auto [role, certificate, key] :
       {std::tuple{peer_role::client, paths_.client_certificate(), paths_.client_key()},
        std::tuple{peer_role::admin, paths_.admin_certificate(), paths_.admin_key()}}) {
    auto there = load_authorities(certificate);
    auto id = there ? info_of(*there->front()).who.id : 1;
    out.push_back({role, id, certificate, key});
  }
  return out;
}

expected<void> certificate_store::keep_copy(const issued_certificate& what) {
  if (auto made = files_.make_directory(paths_.issued()); !made)
    return made;
  return files_.replace_file(paths_.issued() + "/" + what.info.serial.hex + ".pem",
                             as_bytes(what.certificate));
}

expected<certificate_info> certificate_store::issue(const certificate_authority& by,
                                                    const certificate_holder& who) {
  auto made = by.issue(who.role, who.id);
  if (!made)
    return made.error();
  // The copy first: what is in use is always on record. Between the two replacements the pair does
  // not fit; who loads it then keeps what he has and looks again.
  if (auto kept = keep_copy(*made); !kept)
    return kept.error();
  if (auto saved = files_.replace_file(who.key_path, as_bytes(made->key)); !saved)
    return saved.error();
  if (auto saved = files_.replace_file(who.certificate_path, as_bytes(made->certificate)); !saved)
    return saved.error();
  return made->info;
}

expected<std::vector<certificate_record>> certificate_store::records() const {
  auto bundle = load_authorities(paths_.ca_certificate());
  if (!bundle)
    return bundle.error();
  std::vector<certificate_record> out;
  for (const auto& ca : *bundle)
    out.push_back({info_of(*ca), paths_.ca_certificate(), false});
  auto holders_here = holders();
  if (!holders_here)
    return holders_here.error();
  auto add = [&](const std::string& path, bool current) {
    auto found = load_authorities(path);
    if (!found)
      return;
    auto info = info_of(*found->front());
    auto same = [&](const certificate_record& x) { return x.info.serial == info.serial; };
    if (std::none_of(out.begin(), out.end(), same))
      out.push_back({std::move(info), path, current});
  };
  for (const auto& holder : *holders_here)
    add(holder.certificate_path, true);
  if (auto names = files_.list(paths_.issued()); names)
    for (const auto& name : *names)
      add(paths_.issued() + "/" + name, false);
  return out;
}

expected<void> certificate_store::write_bundle(const authority_list& bundle) {
  std::string text;
  for (const auto& ca : bundle)
    text += to_pem(*ca);
  return files_.replace_file(paths_.ca_certificate(), as_bytes(text));
}

expected<void> certificate_store::make_next_authority() {
  if (auto there = files_.exists(paths_.next_ca_certificate()); !there)
    return there.error();
  else if (*there)
    return {};
  auto now = authority();
  if (!now)
    return now.error();
  auto next = certificate_authority::create(now->cluster());
  if (!next)
    return next.error();
  auto key = next->key_pem();
  if (!key)
    return key.error();
  if (auto saved = files_.replace_file(paths_.next_ca_key(), as_bytes(*key)); !saved)
    return saved;
  return files_.replace_file(paths_.next_ca_certificate(), as_bytes(to_pem(next->certificate())));
}

expected<std::string> certificate_store::newest_authority() const {
  auto there = files_.exists(paths_.next_ca_certificate());
  if (!there)
    return there.error();
  if (*there) {
    auto next = load_authorities(paths_.next_ca_certificate());
    return next ? expected<std::string>{authority_id(*next->front())} : next.error();
  }
  auto now = authority();
  return now ? expected<std::string>{authority_id(now->certificate())} : now.error();
}

expected<void> certificate_store::trust_next_authority() {
  auto next = load_authorities(paths_.next_ca_certificate());
  auto bundle = load_authorities(paths_.ca_certificate());
  if (!next)
    return next.error();
  if (!bundle)
    return bundle.error();
  for (const auto& ca : *bundle)
    if (authority_id(*ca) == authority_id(*next->front()))
      return {};
  bundle->push_back(std::move(next->front()));
  return write_bundle(*bundle);
}

expected<void> certificate_store::use_next_authority() {
  auto there = files_.exists(paths_.next_ca_key());
  if (!there)
    return there.error();
  if (*there)
    if (auto moved = files_.rename(paths_.next_ca_key(), paths_.ca_key()); !moved)
      return moved;
  if (auto left = files_.exists(paths_.next_ca_certificate()); left && *left)
    if (auto removed = files_.remove_file(paths_.next_ca_certificate()); !removed)
      return removed;
  return files_.sync_directory(paths_.root() + "/ca");
}

expected<bool> certificate_store::has_old_authorities() const {
  auto bundle = load_authorities(paths_.ca_certificate());
  return bundle ? expected<bool>{bundle->size() > 1} : bundle.error();
}

expected<void> certificate_store::drop_old_authorities() {
  auto now = authority();
  if (!now)
    return now.error();
  auto text = to_pem(now->certificate());
  return files_.replace_file(paths_.ca_certificate(), as_bytes(text));
}

} // namespace troupe
