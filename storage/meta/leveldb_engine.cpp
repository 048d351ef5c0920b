#include "storage/meta/leveldb_engine.hpp"

#include "storage/base/posix_env.hpp"
#include "storage/meta/leveldb_env.hpp"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

namespace troupe {

namespace {

error to_error(const leveldb::Status& status, const std::string& directory) {
  auto text = "tables in " + directory + ": " + status.ToString();
  return {status.IsCorruption() ? errc::corrupt : errc::io_error, std::move(text)};
}

class snapshot_handle final : public engine_snapshot {
public:
  explicit snapshot_handle(leveldb::DB& db) : db_(db), snapshot_(db.GetSnapshot()) {}
  ~snapshot_handle() override { db_.ReleaseSnapshot(snapshot_); }
  const leveldb::Snapshot* get() const { return snapshot_; }

private:
  leveldb::DB& db_;
  const leveldb::Snapshot* snapshot_;
};

class leveldb_engine_impl final : public leveldb_engine {
public:
  leveldb_engine_impl(std::string directory, const leveldb_options& options)
    : directory_(std::move(directory)), cache_(leveldb::NewLRUCache(options.block_cache_bytes)),
      filter_(leveldb::NewBloomFilterPolicy(options.bloom_bits)) {
    if (options.files)
      files_ = std::make_unique<leveldb_env>(*options.files);
    settings_.write_buffer_size = options.write_buffer_bytes;
    settings_.compression = leveldb::kNoCompression; // costs more than it saves: rows are short
    settings_.max_open_files = options.open_files_max;
    settings_.max_file_size = options.file_bytes_max;
    settings_.block_cache = cache_.get();
    settings_.filter_policy = filter_.get();
    if (files_)
      settings_.env = files_.get();
  }

  expected<void> open(bool create) {
    settings_.create_if_missing = create;
    settings_.error_if_exists = create;
    if (bool there = settings_.env->FileExists(directory_ + "/CURRENT"); there == create)
      return error{create ? errc::already_exists : errc::not_found, "tables in " + directory_};
    leveldb::DB* db = nullptr;
    auto status = leveldb::DB::Open(settings_, directory_, &db);
    if (!status.ok()) {
      bool locked = status.ToString().find("lock") != std::string::npos;
      auto why = to_error(status, directory_);
      return locked ? error{errc::busy, why.context} : why;
    }
    db_.reset(db);
    return {};
  }

  expected<void> write(std::span<const engine_batch> batches) override {
    leveldb::WriteBatch all;
    for (const auto& batch : batches)
      for (const auto& change : batch.changes) {
        auto key = engine_key(batch.table, change.key);
        if (change.value)
          all.Put(key, *change.value);
        else
          all.Delete(key);
      }
    return result(db_->Write({}, &all));
  }

  expected<void> flush() override {
    // Compacting a key behind all data writes the memtable out, synced, and waits for it; it
    // reports no error, but the next write does.
    const std::string beyond(engine_prefix_bytes + 1, '\xff');
    leveldb::Slice key{beyond};
    db_->CompactRange(&key, &key);
    leveldb::WriteBatch nothing;
    return result(db_->Write({}, &nothing));
  }

  expected<std::optional<std::string>> get(table_id table, std::string_view key) override {
    std::string value;
    auto status = db_->Get(reading(nullptr), engine_key(table, key), &value);
    if (status.IsNotFound())
      return std::optional<std::string>{};
    if (!status.ok())
      return to_error(status, directory_);
    return std::optional{std::move(value)};
  }

  expected<engine_rows> scan(table_id table, const table_range& range, std::uint64_t bytes_max,
                             const engine_snapshot* snapshot) override {
    engine_rows out;
    out.complete = true;
    if (!range.end.empty() && range.begin >= range.end)
      return out;
    auto begin = engine_key(table, range.begin);
    auto end = range.end.empty() ? engine_end(table) : engine_key(table, range.end);
    std::unique_ptr<leveldb::Iterator> at{db_->NewIterator(reading(snapshot))};
    if (range.reverse) {
      at->Seek(end);
      if (at->Valid())
        at->Prev();
      else
        at->SeekToLast();
    } else {
      at->Seek(begin);
    }
    std::uint64_t bytes = 0;
    while (at->Valid()
           && (range.reverse ? at->key().compare(begin) >= 0 : at->key().compare(end) < 0)) {
      if (out.rows.size() == range.rows_max || (!out.rows.empty() && bytes >= bytes_max)) {
        out.complete = false;
        break;
      }
      bytes += at->key().size() + at->value().size();
      auto key = at->key();
      key.remove_prefix(engine_prefix_bytes);
      out.rows.push_back({key.ToString(), at->value().ToString()});
      range.reverse ? at->Prev() : at->Next();
    }
    if (!at->status().ok())
      return to_error(at->status(), directory_);
    return out;
  }

  std::shared_ptr<engine_snapshot> snapshot() override {
    return std::make_shared<snapshot_handle>(*db_);
  }

  expected<std::vector<table_id>> tables() override {
    std::vector<table_id> out;
    std::unique_ptr<leveldb::Iterator> at{db_->NewIterator(reading(nullptr))};
    for (at->SeekToFirst(); at->Valid(); at->Seek(engine_end(out.back())))
      out.push_back(engine_table({at->key().data(), at->key().size()}));
    if (!at->status().ok())
      return to_error(at->status(), directory_);
    return out;
  }

  expected<engine_room> room() override {
    std::vector<std::string> names;
    if (auto listed = settings_.env->GetChildren(directory_, &names); !listed.ok())
      return to_error(listed, directory_);
    engine_room out;
    for (const auto& name : names) {
      std::uint64_t bytes = 0; // a file that went away meanwhile counts nothing
      if (settings_.env->GetFileSize(directory_ + "/" + name, &bytes).ok())
        out.used_bytes += bytes;
    }
    auto left = device_.free_bytes(directory_);
    if (!left)
      return left.error();
    out.free_bytes = *left;
    return out;
  }

  void compact() override { db_->CompactRange(nullptr, nullptr); }

  std::string statistics() override {
    std::string text;
    db_->GetProperty("leveldb.stats", &text);
    return text;
  }

private:
  expected<void> result(const leveldb::Status& status) const {
    if (status.ok())
      return {};
    return to_error(status, directory_);
  }
  static leveldb::ReadOptions reading(const engine_snapshot* snapshot) {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    if (snapshot) {
      options.snapshot = static_cast<const snapshot_handle*>(snapshot)->get();
      options.fill_cache = false; // an export reads everything once
    }
    return options;
  }

  // In the order in which they must outlive each other.
  std::string directory_;
  posix_env device_; ///< Stateless: to ask for its free room.
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  std::unique_ptr<leveldb_env> files_;
  leveldb::Options settings_;
  std::unique_ptr<leveldb::DB> db_;
};

} // namespace

expected<std::shared_ptr<leveldb_engine>>
leveldb_engine::open(const std::string& directory, bool create, leveldb_options options) {
  auto engine = std::make_shared<leveldb_engine_impl>(directory, options);
  if (auto opened = engine->open(create); !opened)
    return opened.error();
  return std::shared_ptr<leveldb_engine>{std::move(engine)};
}

} // namespace troupe
