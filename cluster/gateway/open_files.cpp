#include "cluster/gateway/open_files.hpp"

namespace troupe {

file_ptr open_files::record(lin id) {
  auto& record = records_[id];
  if (!record)
    record = std::make_shared<file_record>(id, cached_extents_max_);
  return record;
}

file_ptr open_files::find(lin id) const {
  auto it = records_.find(id);
  return it == records_.end() ? nullptr : it->second;
}

void open_files::forget(lin id) {
  auto it = records_.find(id);
  TROUPE_ASSERT(it != records_.end());
  TROUPE_ASSERT(it->second->handles == 0);
  records_.erase(it);
}

file_handle open_files::open(const file_ptr& file, handle_mode mode) {
  file_handle handle{++handle_count_};
  ++file->handles;
  handles_[handle] = {file, mode, std::make_shared<read_position>(), file->error_count};
  return handle;
}

open_handle* open_files::find(file_handle handle) {
  auto it = handles_.find(handle);
  return it == handles_.end() ? nullptr : &it->second;
}

file_ptr open_files::close(file_handle handle) {
  auto it = handles_.find(handle);
  if (it == handles_.end())
    return nullptr;
  auto file = it->second.file;
  handles_.erase(it);
  TROUPE_ASSERT(file->handles > 0);
  --file->handles;
  return file;
}

} // namespace troupe
