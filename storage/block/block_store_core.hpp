#pragma once

#include "storage/block/block_store_state.hpp"
#include "storage/block/block_table_cache.hpp"
#include "storage/block/recovered_drive.hpp"

#include <deque>
#include <map>
#include <set>
#include <string>

namespace troupe {

/// " block 8812", for error texts.
inline std::string named_block(std::uint64_t block) {
  return " block " + std::to_string(block);
}

using task_id = strong_id<struct block_task_id_tag, std::uint64_t>;

/// The inside of `block_store_state`. Four parts: accepting requests and working on changes
/// (block_store_tasks.cpp), table pages and reads (block_store_reads.cpp), rounds and the
/// checkpoint (block_store_rounds.cpp), the answers of the device (block_store_state.cpp).
///
/// A task is one store, read, abandon or list, or one run of a `free_runs`:
///
///     queued ─► pages loaded ─► (store: data write ordered) ─► ready ─► in a round ─► answered
///                            └► (read: data read ordered) ─► answered
class block_store_state::core {
public:
  explicit core(recovered_drive from);

  void store(request_token request, const store_run& what, store_class priority);
  void read(request_token request, const read_run& what);
  void free(request_token request, const free_runs& what);
  void abandon(request_token request, const abandon_write& what);
  void list(request_token request, std::uint64_t from_block);
  void forget_client(client_id client, incarnation last);
  void io_done(io_token token, expected<shared_bytes> result);
  drive_report report() const;
  bool idle() const;

  /// Where effects go during a call from outside.
  block_store_effects* out = nullptr;
  /// Starts what can be started; at the end of every call.
  void pump();

private:
  enum class task_kind : std::uint8_t { store, free, abandon, read, list };
  struct task {
    task_kind kind = task_kind::store;
    std::vector<request_token> requests; ///< Who waits; several if a store was repeated.
    run_ref run;                         ///< Store: once placed; its birth once logged.
    std::vector<std::uint64_t> pages;    ///< Pinned, or to be pinned when they arrive.
    std::uint32_t pages_missing = 0;
    error failure; ///< A page could not be read.
    // store, abandon
    write_key key;
    lin owner;
    shared_bytes data;
    std::vector<std::uint32_t> checksums; ///< Also of a read.
    store_class priority = store_class::ordinary;
    io_token data_write; ///< Under way, or none.
    std::uint32_t attempts = 0;
    bool placed = false;    ///< Holds its blocks in the bitmap.
    bool logged = false;    ///< In the round under way.
    bool cancelled = false; ///< Abandoned: waits only for its data write to end.
    // read, list
    std::uint32_t first_block = 0;
    std::uint32_t block_count = 0;
    std::uint64_t from_block = 0;
    bool freed = false; ///< An abandon: its run went with it.
    bool stale = false; ///< Its run was freed while the read was under way.
  };
  /// One `free_runs`: its runs become tasks as there is room.
  struct free_group {
    std::vector<run_ref> runs;
    std::size_t next = 0;
    std::uint32_t under_way = 0;
    std::uint32_t freed_count = 0;
    bool logged = false; ///< Some of it is in a round, or done.
    error failure;
  };
  enum class io_kind : std::uint8_t {
    page_load,
    store_data,
    read_data,
    round_write,
    install,
    sync
  };
  struct io_origin {
    io_kind kind = io_kind::page_load;
    task_id task;           ///< store_data, read_data
    std::uint64_t page = 0; ///< page_load
  };
  /// What one sync will acknowledge. One at a time.
  struct round_info {
    bool active = false;
    bool syncing = false;
    bool has_batch = false;
    bool settles = false; ///< The sync also covers pages installed before it.
    std::set<io_token> writes;
    std::vector<task_id> tasks;
    std::vector<task_id> riders;    ///< Frees of what this round frees: they change nothing.
    std::vector<run_ref> releasing; ///< Blocks that are free once the batch is durable.
    std::uint64_t log_start = 0;    ///< That its batch carries.
    birth first_birth{UINT64_MAX};  ///< This one and later ones are not durable yet.
  };
  /// One checkpoint step: up to 64 dirty pages go to the shadow slots with one round's sync, then
  /// to their places, and the next round's sync makes that durable. No sync of its own.
  enum class checkpoint_stage : std::uint8_t { idle, shadowing, installing, installed };
  struct checkpoint_info {
    checkpoint_stage stage = checkpoint_stage::idle;
    std::vector<block_format::page_id> pages;
    std::vector<shared_bytes> images;
    std::set<io_token> writes;
  };

  // Accepting.
  bool accept(request_token request, const drive_uuid& drive);
  void answer(request_token request, decltype(drive_reply::result) result);
  error refusal() const;
  std::string name() const;

  // Tasks.
  task& at(task_id id) { return tasks_.at(id); }
  task_id add(task t);
  void start_reads();
  void start_changes();
  void next_free_task();
  void start_store(task_id id);
  void start_abandon(task_id id);
  void start_read(task_id id);
  /// Loads and pins the table pages of these blocks, then calls `pages_ready`.
  void need_pages(task_id id, std::uint64_t first_block, std::uint64_t block_count);
  void page_loaded(std::uint64_t page, expected<shared_bytes> result);
  void pages_ready(task_id id);
  bool heal_page(std::uint64_t page, std::span<std::byte> bytes, block_format::page_state found);
  void drop_pages(task& t);
  void pages_ready_store(task_id id);
  void pages_ready_read(task_id id);
  void pages_ready_list(task_id id);
  void read_done(task_id id, expected<shared_bytes> result);
  void cancel_store(task_id id);
  void unplace(task& t);
  void end(task_id id);
  void end_all(task_id id, const decltype(drive_reply::result)& result);
  void end_free(task_id id, bool freed, error failure);
  void finish_group(request_token request);
  /// Ends a free whose run is not there: now, or with the round that frees it.
  void pass_over(task_id id);
  /// What the table says of a run whose pages are here: none, errc::stale or errc::corrupt.
  error look_up(const run_ref& run);
  block_format::block_descriptor descriptor(std::uint64_t block);
  void note_damage();

  // Rounds.
  void start_round();
  bool wants_checkpoint() const;
  std::uint64_t log_needed_from() const;
  std::uint64_t log_room() const;
  struct batch_builder {
    std::uint64_t lsn = 0;
    std::size_t room = 0; ///< Bytes that the payload may have.
    byte_vector payload;
    std::uint32_t count = 0;
    bool fits(const block_format::log_record& record) const;
    void put(const block_format::log_record& record);
  };
  void build_records(batch_builder& batch);
  /// False if there is no room for them: then nothing changed.
  bool add_records(task_id id, batch_builder& batch);
  bool add_stored(task_id id, batch_builder& batch);
  bool add_freed(task_id id, batch_builder& batch);
  bool add_abandoned(task_id id, batch_builder& batch);
  bool room_for_dirty(const run_ref& run) const;
  void write_batch(const batch_builder& batch);
  void sync_round_if_written();
  void pick_pages();
  shared_bytes image(block_format::page_id page);
  void apply_stored(const task& t, std::uint64_t lsn);
  void apply_freed(const run_ref& run, std::uint64_t lsn);
  void touch_blocks(const run_ref& run, std::uint64_t lsn);
  void round_write_done(io_token token);
  void sync_done();
  void install_pages();
  void install_done(io_token token);
  void settle_pages();

  void die(const error& why);

  // Effects.
  io_token order(io_origin origin);
  io_token order_write(io_origin origin, std::uint64_t offset, std::vector<shared_bytes> pieces);
  io_token order_read(io_origin origin, std::uint64_t offset, std::uint64_t bytes);

  block_format::superblock superblock_;
  std::uint64_t tag_;
  block_store_options options_;
  std::uint64_t reserve_blocks_;
  block_bitmap bitmap_;
  block_write_keys keys_;
  block_table_cache cache_;
  block_dirty_pages dirty_;
  drive_report report_;
  bool dead_ = false;

  birth next_birth_;
  std::uint64_t log_end_;
  std::uint64_t log_start_; ///< Of the newest durable batch: behind it the ring may be reused.
  std::uint64_t last_lsn_;  ///< Of the newest batch whose records are applied.

  std::uint64_t next_token_ = 1;
  std::uint64_t next_task_ = 1;
  std::uint32_t request_count_ = 0;
  std::uint32_t changes_active_ = 0;
  std::uint32_t reads_active_ = 0;
  std::uint64_t read_bytes_active_ = 0;
  bool starved_ = false; ///< A change waits for room in log or cache.
  bool take_free_next_ = false;

  std::map<io_token, io_origin> ios_;
  std::map<task_id, task> tasks_;
  std::deque<task_id> change_queue_;
  std::deque<task_id> read_queue_;
  std::map<request_token, free_group> free_groups_;
  std::deque<request_token> free_queue_;
  std::map<task_id, request_token> free_request_; ///< Of the free tasks under way.
  std::deque<task_id> ready_;                     ///< Wait for a round.
  std::vector<task_id> after_round_;              ///< Abandons of a run in the round under way.
  std::map<write_key, task_id> pending_;          ///< Stores under way.
  std::map<std::uint64_t, std::vector<task_id>> loading_; ///< Table pages under way, who waits.
  std::map<std::uint64_t, std::uint32_t> reserved_;       ///< Placed, not logged: start, count.
  std::multimap<std::uint64_t, task_id> reading_;         ///< Data reads by start of their run.
  round_info round_;
  checkpoint_info checkpoint_;
};

} // namespace troupe
