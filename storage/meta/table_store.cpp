#include "storage/meta/table_store.hpp"

#include "storage/meta/table_core.hpp"

namespace troupe {

namespace {

class stored_view final : public table_view {
public:
  stored_view(const table_core& core, table_id table) : core_(core), table_(table) {}
  row_lookup get(std::string_view key) const override { return core_.get(table_, key); }
  range_lookup scan(const table_range& range) const override { return core_.scan(table_, range); }

private:
  const table_core& core_;
  table_id table_;
};

} // namespace

table_store::table_store(std::shared_ptr<table_engine> engine, table_store_options options)
  : core_(std::make_shared<table_core>(std::move(engine), options)) {}
table_store::~table_store() = default;

void table_store::open(table_id table, std::uint64_t index) {
  core_->open(table, index);
}
void table_store::close(table_id table) {
  core_->close(table);
}
void table_store::write_behind() {
  core_->write_behind();
}
void table_store::drop(table_id table) {
  core_->drop(table);
}
void table_store::present(on_tables done) {
  core_->present(std::move(done));
}
row_lookup table_store::get(table_id table, std::string_view key) const {
  return core_->get(table, key);
}
range_lookup table_store::scan(table_id table, const table_range& range) const {
  return core_->scan(table, range);
}
std::unique_ptr<table_view> table_store::view(table_id table) const {
  return std::make_unique<stored_view>(*core_, table);
}
void table_store::load(table_id table, row_needs needs, on_done done) {
  core_->load(table, std::move(needs), std::move(done));
}
void table_store::apply(table_id table, table_batch batch, std::uint64_t index) {
  core_->apply(table, std::move(batch), index);
}
std::uint64_t table_store::applied_index(table_id table) const {
  return core_->applied_index(table);
}
bool table_store::overloaded() const {
  return core_->overloaded();
}
void table_store::checkpoint(table_id table, on_index done) {
  core_->checkpoint(table, std::move(done));
}
void table_store::export_begin(table_id table, on_index done) {
  core_->export_begin(table, std::move(done));
}
void table_store::export_chunk(table_id table, on_chunk done) {
  core_->export_chunk(table, std::move(done));
}
void table_store::export_end(table_id table) {
  core_->export_end(table);
}
void table_store::import_begin(table_id table, on_done done) {
  core_->import_begin(table, std::move(done));
}
void table_store::import_chunk(table_id table, byte_vector chunk, on_done done) {
  core_->import_chunk(table, std::move(chunk), std::move(done));
}
void table_store::import_finish(table_id table, std::uint64_t index, on_done done) {
  core_->import_finish(table, index, std::move(done));
}
std::vector<table_job> table_store::take_jobs() {
  return core_->take_jobs();
}
bool table_store::idle() const {
  return core_->idle();
}
const expected<void>& table_store::health() const {
  return core_->health();
}
table_counters table_store::counters() const {
  return core_->counters();
}

} // namespace troupe
