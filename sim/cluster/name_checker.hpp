#pragma once

#include "messages/error.hpp"
#include "messages/metadata.hpp"
#include "sim/cluster/surroundings.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace troupe {

/// What may be asked of the names in one directory.
enum class name_call : std::uint8_t { make, unlink, remove_directory, rename, link, lookup, list };

/// One call on the names of a space; names are numbers.
struct name_op {
  name_call what = name_call::lookup;
  std::size_t name = 0;
  std::size_t to_name = 0;             ///< rename
  bool no_replace = false;             ///< rename
  file_kind kind = file_kind::regular; ///< make
  lin target;                          ///< link
};

/// What came of a call: a code, and what it named.
struct name_outcome {
  errc code = errc::none;
  lin found;                       ///< make, link, lookup
  std::map<std::size_t, lin> list; ///< list
};

/// The checker of invariants 1 and 2 for names: linearizable, with calls of which nobody knows what
/// came, which may take effect at any later time or never. One for each directory; a directory has
/// few names, so all worlds that are still possible are kept. Source: Lowe, "Testing for
/// Linearizability", 2017 (just-in-time linearization).
class name_checker {
public:
  static constexpr std::size_t name_count = 4;
  using op_number = std::uint64_t;

  name_checker(surroundings& world, std::string directory)
    : world_(world), directory_(std::move(directory)), worlds_{possible{}} {}

  op_number begins(const name_op& op);
  void done(op_number op, const name_outcome& outcome);
  /// Nobody knows.
  void unsure(op_number op);
  /// So much is unsure that it is better to ask elsewhere.
  bool tired() const { return given_up_ || unsure_ >= 3; }

private:
  /// An inode as the checker names it: the call that made it, counted from 1; 0: no entry.
  using node = op_number;
  struct prediction {
    op_number op = 0;
    errc code = errc::none;
    node found = 0;
    std::array<node, name_count> list{};
    auto operator<=>(const prediction&) const = default;
  };
  /// One way in which things may be.
  struct possible {
    std::array<node, name_count> names{};
    std::vector<prediction> taken; ///< Under way and in effect already; ascending by op.
    std::map<node, lin> lins;      ///< Of inodes whose maker did not answer (yet).
    auto operator<=>(const possible&) const = default;
  };

  bool is_pending(op_number op) const { return pending_.contains(op); }
  prediction apply(op_number number, possible& at) const;
  /// Do prediction and outcome agree? Binds LINs that were not known.
  bool agree(const prediction& said, const name_outcome& outcome, possible& at) const;
  bool same(node n, lin id, possible& at) const;
  std::optional<lin> lin_of(node n, const possible& at) const;
  std::string describe(op_number op, const name_outcome& outcome) const;

  surroundings& world_;
  std::string directory_;
  std::vector<name_op> ops_{name_op{}}; ///< By number; 0 is not used.
  std::vector<std::uint64_t> begun_{0}; ///< By number.
  std::map<node, lin> known_;           ///< Makers that answered.
  std::set<op_number> pending_;         ///< Under way, or nobody knows.
  std::set<op_number> unanswered_;      ///< Of those: nobody knows.
  std::set<possible> worlds_;
  std::size_t unsure_ = 0;
  bool given_up_ = false;
};

/// Errors that say what is, other than those after which anything may be.
bool is_refusal(errc code);

} // namespace troupe
