#include "tests/storage/meta/stripe_maker.hpp"
#include "tests/storage/meta/tree_dump.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// A name space as POSIX has it, in a few maps: what operations must answer and leave behind.
class model {
public:
  struct node {
    file_kind kind = file_kind::regular;
    std::uint32_t links = 0;
    std::map<std::string, lin> entries;
    bool removing = false;
  };
  model() { nodes[root_lin] = {file_kind::directory, 2, {}, false}; }

  errc directory(lin id) const {
    auto it = nodes.find(id);
    if (it == nodes.end())
      return errc::stale_handle;
    return it->second.kind == file_kind::directory ? errc::none : errc::not_directory;
  }
  errc open_directory(lin id) const {
    auto code = directory(id);
    return code == errc::none && nodes.at(id).removing ? errc::not_found : code;
  }
  std::optional<lin> entry(lin id, const std::string& name) const {
    auto it = nodes.find(id);
    if (it == nodes.end() || !it->second.entries.contains(name))
      return {};
    return it->second.entries.at(name);
  }
  bool is_directory(lin id) const { return nodes.at(id).kind == file_kind::directory; }
  void drop(lin id) {
    auto& n = nodes.at(id);
    if (n.kind == file_kind::directory || --n.links == 0)
      nodes.erase(id);
  }

  errc create(lin parent, const std::string& name, file_kind kind) const {
    (void)kind;
    if (auto code = open_directory(parent); code != errc::none)
      return code;
    return entry(parent, name) ? errc::already_exists : errc::none;
  }
  void created(lin parent, const std::string& name, file_kind kind, lin id) {
    REQUIRE_FALSE(ever.contains(id));
    ever.insert(id);
    bool directory = kind == file_kind::directory;
    nodes[id] = {kind, directory ? 2u : 1u, {}, false};
    nodes[parent].entries[name] = id;
    nodes[parent].links += directory ? 1 : 0;
  }
  errc unlink(lin parent, const std::string& name) {
    if (auto code = directory(parent); code != errc::none)
      return code;
    auto child = entry(parent, name);
    if (!child)
      return errc::not_found;
    if (is_directory(*child))
      return errc::is_directory;
    nodes[parent].entries.erase(name);
    drop(*child);
    return errc::none;
  }
  errc rmdir(lin parent, const std::string& name) {
    if (auto code = directory(parent); code != errc::none)
      return code;
    auto child = entry(parent, name);
    if (!child)
      return errc::not_found;
    if (!is_directory(*child))
      return errc::not_directory;
    if (!nodes[*child].entries.empty())
      return errc::not_empty;
    nodes[parent].entries.erase(name);
    --nodes[parent].links;
    drop(*child);
    return errc::none;
  }
  errc link(lin parent, const std::string& name, lin target) {
    if (auto code = open_directory(parent); code != errc::none)
      return code;
    if (!nodes.contains(target))
      return errc::stale_handle;
    if (entry(parent, name))
      return errc::already_exists;
    if (is_directory(target))
      return errc::permission_denied;
    ++nodes[target].links;
    nodes[parent].entries[name] = target;
    return errc::none;
  }
  errc mark(lin id) {
    if (auto code = directory(id); code != errc::none)
      return code;
    if (id == root_lin)
      return errc::invalid_argument;
    if (!nodes[id].entries.empty())
      return errc::not_empty;
    nodes[id].removing = true;
    return errc::none;
  }
  errc rename(const op_rename& op) {
    if (op.no_replace && op.exchange)
      return errc::invalid_argument;
    if (auto code = directory(op.from_directory); code != errc::none)
      return code;
    if (auto code = open_directory(op.to_directory); code != errc::none)
      return code;
    auto from = entry(op.from_directory, op.from_name);
    auto to = entry(op.to_directory, op.to_name);
    if (!from || (!to && op.exchange))
      return errc::not_found;
    if (to && op.no_replace)
      return errc::already_exists;
    if (to == from)
      return errc::none;
    bool other_parent = op.from_directory != op.to_directory;
    if (other_parent && (is_directory(*from) || (op.exchange && is_directory(*to))))
      return errc::cross_partition;
    if (op.exchange) {
      nodes[op.from_directory].entries[op.from_name] = *to;
      nodes[op.to_directory].entries[op.to_name] = *from;
      return errc::none;
    }
    if (to) {
      if (is_directory(*from) && !is_directory(*to))
        return errc::not_directory;
      if (!is_directory(*from) && is_directory(*to))
        return errc::is_directory;
      if (is_directory(*to)) {
        if (!nodes[*to].entries.empty())
          return errc::not_empty;
        --nodes[op.to_directory].links;
      }
      drop(*to);
    }
    nodes[op.from_directory].entries.erase(op.from_name);
    nodes[op.to_directory].entries[op.to_name] = *from;
    return errc::none;
  }

  std::map<lin, node> nodes;
  std::set<lin> ever;
};

struct random_names : meta_harness {
  explicit random_names(std::uint64_t seed) : random(seed) {
    drives = stripe_maker::drives();
    known.push_back(root_lin);
  }
  lin any() { return known[random(known.size())]; }
  lin parent() { return random(3) == 0 ? any() : root_lin; }
  std::string name() { return "n" + std::to_string(random(8)); }

  /// What the partition answered; errc::none for a result.
  errc answer(const meta_operation& op) { return refused(op); }

  void step() {
    switch (random(14)) {
    case 0:
    case 1:
    case 2: create_one(file_kind::directory); break;
    case 3:
    case 4: create_one(random(2) ? file_kind::regular : file_kind::symlink); break;
    case 5: {
      op_unlink op{parent(), name(), {}};
      CHECK(answer(op) == expected.unlink(op.directory, op.name));
      break;
    }
    case 6: {
      op_remove_directory op{parent(), name()};
      CHECK(answer(op) == expected.rmdir(op.directory, op.name));
      break;
    }
    case 7: {
      op_link op{parent(), name(), any()};
      CHECK(answer(op) == expected.link(op.directory, op.name, op.target));
      break;
    }
    case 8:
      if (random(5) == 0) {
        auto id = any();
        CHECK(answer(op_mark_removing{id}) == expected.mark(id));
      }
      break;
    default: {
      op_rename op{parent(), name(), parent(), name(), random(5) == 0, random(4) == 0};
      CHECK(answer(op) == expected.rename(op));
    }
    }
  }
  void create_one(file_kind kind) {
    op_create op{parent(), name(), {kind}, false};
    if (kind == file_kind::symlink)
      op.inode.symlink_target = "t";
    auto wanted = expected.create(op.directory, op.name, kind);
    auto outcome = call(op);
    auto* e = std::get_if<error>(&outcome);
    CHECK((e ? e->code : errc::none) == wanted);
    if (e == nullptr) {
      auto id = std::get<entry_found>(std::get<meta_result>(outcome)).child;
      expected.created(op.directory, op.name, kind, id);
      known.push_back(id);
    }
  }
  /// Names, kinds and link counts of everything are those of the model.
  void compare() {
    for (auto id : known) {
      auto it = expected.nodes.find(id);
      if (it == expected.nodes.end()) {
        CHECK(answer(op_get_attributes{id}) == errc::stale_handle);
        continue;
      }
      auto a = stat(id);
      CHECK(a.kind == it->second.kind);
      CHECK(a.link_count == it->second.links);
      if (a.kind != file_kind::directory)
        continue;
      CHECK(a.size == it->second.entries.size());
      std::map<std::string, lin> seen;
      for (const auto& e : must<directory_page>(op_read_directory{id, 0, 100, false}).entries)
        seen[e.name] = e.child;
      CHECK(seen == it->second.entries);
    }
  }
  test_random random;
  std::vector<lin> known;
  model expected;
};

} // namespace

TEST_CASE("meta_model: a random name space is what a simple model says, step by step",
          "[unit][meta_model]") {
  auto seed = GENERATE(range(1u, 11u));
  INFO("seed " << seed);
  random_names m{seed};
  for (int i = 0; i < 250; ++i) {
    INFO("step " << i);
    m.step();
    if (i % 10 == 9)
      m.compare();
    REQUIRE(m.findings() == "");
  }
}
