#include "actors/client/cluster_client.hpp"
#include "storage/layout/layout_choice.hpp"

namespace troupe {

namespace {

constexpr std::uint32_t piece_bytes = 1 << 20;

/// The directory and the last name of a path.
std::pair<std::string, std::string> split(const std::string& path) {
  auto slash = path.rfind('/');
  if (slash == std::string::npos)
    return {"/", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::vector<pool_node> pool_of(const cluster_view& view) {
  std::vector<pool_node> pool;
  for (const auto& node : view.nodes) {
    pool_node p{node.id, 0, 0};
    for (const auto& drive : view.drives)
      if (drive.node == node.id) {
        ++p.drives;
        p.drives_up += node.up && drive.state == drive_state::healthy;
      }
    if (p.drives > 0)
      pool.push_back(p);
  }
  return pool;
}

} // namespace

expected<call_result> cluster_client::call(file_call what) {
  auto gateway = session_->gateway("command");
  if (!gateway)
    return gateway.error();
  std::optional<expected<call_result>> got;
  (*gateway)->call(std::move(what), [&](expected<call_result> result) { got = std::move(result); });
  session_->run_until([&] { return got.has_value(); });
  return std::move(*got);
}

template <class Answer>
expected<Answer> cluster_client::call_for(file_call what) {
  auto result = call(std::move(what));
  if (!result)
    return result.error();
  return std::get<Answer>(std::move(*result));
}

expected<inode_attributes> cluster_client::stat(const std::string& path) {
  auto found = call_for<attributes_are>(call_resolve{path});
  if (!found && found.error().code == errc::not_found)
    return error{errc::not_found, path, trp::path_not_found};
  if (!found)
    return found.error();
  return found->attributes;
}

expected<file_layout> cluster_client::layout(const std::string& path) {
  auto attributes = stat(path);
  if (!attributes)
    return attributes.error();
  file_layout out;
  out.path = path;
  out.attributes = *attributes;
  auto level = static_cast<protection_level>(session_->view().default_level);
  out.level = to_string(level);
  // What a full stripe of this cluster gets; the file's own stripes are listed below.
  auto pool = pool_of(session_->view());
  auto choice = choose_layout(pool, level, unit_blocks * 32);
  if (choice) {
    stripe_notation full = choice->notation();
    full.data_units = choice->full_data_units;
    out.layout = to_string(full);
  } else {
    out.layout = "none";
  }
  if (attributes->kind != file_kind::regular)
    return out;
  auto where = call_for<layout_is>(call_get_layout{attributes->id});
  if (!where)
    return where.error();
  out.inline_bytes = where->inline_data ? where->inline_data->size() : 0;
  out.extents = std::move(where->extents);
  out.stripes = std::move(where->stripes);
  return out;
}

expected<std::vector<listed_entry>> cluster_client::list(const std::string& path) {
  auto directory = stat(path);
  if (!directory)
    return directory.error();
  std::vector<listed_entry> out;
  if (directory->kind != file_kind::directory) {
    out.push_back({split(path).second, *directory});
    return out;
  }
  for (std::uint64_t after = 0;;) {
    auto page = call_for<directory_page>(call_read_directory{directory->id, after, 256, true});
    if (!page)
      return page.error();
    for (auto& e : page->entries) {
      after = e.cookie;
      if (!e.attributes) {
        auto found = call_for<attributes_are>(call_get_attributes{e.child});
        if (!found && found.error().code == errc::not_found)
          continue; // removed meanwhile
        if (!found)
          return found.error();
        e.attributes = found->attributes;
      }
      out.push_back({std::move(e.name), *e.attributes});
    }
    if (page->end)
      return out;
  }
}

expected<std::string> cluster_client::read_symlink(const std::string& path) {
  auto found = stat(path);
  if (!found)
    return found.error();
  auto target = call_for<symlink_target_is>(call_read_symlink{found->id});
  if (!target)
    return target.error();
  return target->target;
}

expected<void> cluster_client::make_directory(const std::string& path, std::uint32_t mode) {
  auto [parent, name] = split(path);
  auto directory = stat(parent);
  if (!directory)
    return directory.error();
  new_inode inode;
  inode.kind = file_kind::directory;
  inode.mode = mode;
  auto made = call(call_make{directory->id, name, inode});
  return made ? expected<void>{} : made.error();
}

expected<void> cluster_client::remove(const std::string& path) {
  auto [parent, name] = split(path);
  auto directory = stat(parent);
  auto found = directory ? stat(path) : expected<inode_attributes>{directory.error()};
  if (!found)
    return found.error();
  auto removed = found->kind == file_kind::directory
                   ? call(call_remove_directory{directory->id, name})
                   : call(call_unlink{directory->id, name});
  return removed ? expected<void>{} : removed.error();
}

expected<void> cluster_client::rename(const std::string& from, const std::string& to) {
  auto [from_parent, from_name] = split(from);
  auto [to_parent, to_name] = split(to);
  auto from_directory = stat(from_parent);
  if (!from_directory)
    return from_directory.error();
  auto to_directory = stat(to_parent);
  if (!to_directory)
    return to_directory.error();
  auto renamed = call(call_rename{from_directory->id, from_name, to_directory->id, to_name});
  return renamed ? expected<void>{} : renamed.error();
}

expected<std::uint64_t> cluster_client::put(const std::string& path, std::uint32_t mode,
                                            const std::function<expected<byte_vector>()>& source) {
  auto [parent, name] = split(path);
  auto directory = stat(parent);
  if (!directory)
    return directory.error();
  call_create create{directory->id, name, {}, {}};
  create.inode.mode = mode;
  create.mode.write = true;
  create.mode.truncate = true;
  auto file = call_for<file_opened>(std::move(create));
  if (!file)
    return file.error();
  std::uint64_t offset = 0;
  expected<void> outcome;
  while (true) {
    auto piece = source();
    if (!piece) {
      outcome = piece.error();
      break;
    }
    if (piece->empty())
      break;
    auto bytes = piece->size();
    call_write write;
    write.handle = file->handle;
    write.offset = offset;
    write.data = shared_bytes{std::move(*piece)};
    auto written = call(std::move(write));
    if (!written) {
      outcome = written.error();
      break;
    }
    offset += bytes;
  }
  auto flushed = call(call_flush{file->handle});
  (void)call(call_release{file->handle});
  if (!outcome)
    return outcome.error();
  if (!flushed)
    return flushed.error();
  return offset;
}

expected<std::uint64_t> cluster_client::cat(const std::string& path,
                                            const std::function<expected<void>(byte_view)>& sink) {
  auto found = stat(path);
  if (!found)
    return found.error();
  if (found->kind == file_kind::directory)
    return error{errc::is_directory, path};
  auto file = call_for<file_opened>(call_open{found->id, {}});
  if (!file)
    return file.error();
  std::uint64_t offset = 0;
  expected<void> outcome;
  while (outcome) {
    auto piece = call_for<bytes_read>(call_read{file->handle, offset, piece_bytes});
    if (!piece) {
      outcome = piece.error();
      break;
    }
    for (const auto& part : piece->parts)
      if (outcome)
        outcome = sink(part.view());
    offset += piece->size();
    if (piece->size() < piece_bytes)
      break;
  }
  (void)call(call_release{file->handle});
  if (!outcome)
    return outcome.error();
  return offset;
}

} // namespace troupe
