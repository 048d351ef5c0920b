#pragma once

#include "sim/cluster/data_checker.hpp"
#include "sim/cluster/name_checker.hpp"
#include "sim/cluster/sim_client.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe {

/// What the clients of a simulated cluster do: a few files that all of them write, read, cut and
/// make durable, and a few directories whose names all of them change. Decides what to ask and
/// tells the checkers; judges nothing itself.
class workload {
public:
  workload(surroundings& world, const sim_options& options);

  /// Makes directories and files through `client`, trying until it is done; then `ready`.
  void prepare(sim_client& client, std::function<void()> ready);
  /// Workers of this client begin: one for files, one for names.
  void work(sim_client& client);
  /// No new calls. Calls under way come to their end.
  void stop() { stopped_ = true; }
  /// Calls that are not answered.
  std::uint64_t under_way() const { return under_way_; }
  /// The client is gone, with all that it had not made durable.
  void client_died(endpoint client);

  /// Reads everything through a client that was never there, and asks again until it is answered.
  void read_all(sim_client& client, std::function<void()> done);
  void judge() { data_.judge(); }

private:
  struct data_file {
    std::string name;
    lin id;
    std::map<endpoint, file_handle> handles;
  };
  struct space {
    std::string name;
    lin directory;
    std::unique_ptr<name_checker> checker;
    std::vector<lin> seen; ///< LINs that were met here, for links.
  };
  using callback = sim_client::callback;

  void ask(sim_client& client, file_call what, callback done);
  /// Asks again until there is an answer other than "may have happened".
  void insist(sim_client& client, std::function<file_call()> make, callback done);
  void prepare_next(sim_client& client, std::function<void()> ready);
  void next_data_call(sim_client& client);
  void next_name_call(sim_client& client);
  void pause(sim_client& client, bool names);
  void with_handle(sim_client& client, std::size_t file, std::function<void(file_handle)> then);
  void write(sim_client& client, std::size_t file, file_handle handle);
  void read(sim_client& client, std::size_t file, file_handle handle);
  void fsync(sim_client& client, std::size_t file, file_handle handle);
  void close(sim_client& client, std::size_t file, file_handle handle);
  void truncate(sim_client& client, std::size_t file);
  void ask_names(sim_client& client, std::size_t which, const name_op& op,
                 std::function<void(bool sure)> then);
  file_call to_call(const space& at, const name_op& op) const;
  void read_file(sim_client& client, std::size_t file, std::function<void()> done);
  void read_space(sim_client& client, std::size_t which, std::function<void()> done);

  surroundings& world_;
  const sim_options& options_;
  random_source& random_;
  data_checker data_;
  std::vector<data_file> files_;
  std::vector<space> spaces_;
  bool stopped_ = false;
  std::uint64_t under_way_ = 0;
  std::map<endpoint, std::uint64_t> under_way_of_;
  std::map<endpoint, std::shared_ptr<bool>> alive_;
};

} // namespace troupe
