#include "storage/block/block_store_options.hpp"

#include "storage/block/block_format.hpp"

namespace troupe {

expected<void> check(const block_store_options& options, std::uint64_t log_bytes) {
  using namespace block_format;
  auto bad = [](const char* what) {
    return error{errc::invalid_argument, std::string{"block store options: "} + what};
  };
  constexpr auto run_pages_max = run_blocks_max / table_page_blocks + 2;
  constexpr auto record_bytes_max = 2 * 1024;
  if (options.requests_max == 0 || options.tasks_max == 0 || options.free_runs_max == 0)
    return bad("a limit is zero");
  if (options.dirty_pages_max < 2 * (run_pages_max + 1))
    return bad("dirty_pages_max is too small for one run");
  if (options.cache_pages_max < options.dirty_pages_max + 2 * run_pages_max * options.tasks_max)
    return bad("cache_pages_max does not hold the dirty pages and those in use");
  if (options.batch_bytes_max < page_bytes || options.batch_bytes_max > batch_bytes_max
      || options.batch_bytes_max % page_bytes != 0)
    return bad("batch_bytes_max must be whole pages, 4 KiB to 1 MiB");
  if (options.abandoned_keys_max * 32ull + record_bytes_max + batch_header_bytes
      > options.batch_bytes_max)
    return bad("one batch does not hold all abandoned_keys_max");
  if (log_bytes < 16ull * options.batch_bytes_max)
    return bad("the allocation log is smaller than sixteen batches");
  if (options.reserve_permille > 500)
    return bad("reserve_permille above 500");
  return {};
}

} // namespace troupe
