#include "storage/meta/extents.hpp"
#include "tests/storage/meta/stripe_maker.hpp"
#include "tests/storage/meta/tree_dump.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

/// One inode as a reader sees it.
struct model_file {
  file_kind kind = file_kind::regular;
  std::uint32_t mode = 0644;
  std::uint32_t links = 0;
  std::uint64_t size = 0;
  std::string bytes; ///< Inline data, or the target of a symlink.
  /// Which block of which stripe (by the birth of its first unit) each block comes from.
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> blocks;

  std::string text() const {
    auto out = std::to_string(static_cast<int>(kind)) + " mode " + std::to_string(mode) + " links "
               + std::to_string(links) + " size " + std::to_string(size) + " '" + bytes + "'";
    for (const auto& [at, source] : blocks)
      out += " " + std::to_string(at) + ":" + std::to_string(source.first) + "/"
             + std::to_string(source.second);
    return out;
  }
};

/// A small tree in a few maps: what every snapshot must go on showing.
struct model_tree {
  std::map<lin, std::map<std::string, lin>> names;
  std::map<lin, model_file> files;

  void drop(lin id) {
    if (--files.at(id).links == 0)
      files.erase(id);
  }
  void rename(const op_rename& op) {
    auto& from = names[op.from_directory];
    auto& to = names[op.to_directory];
    auto moved = from.at(op.from_name);
    auto there = to.find(op.to_name);
    if (there != to.end() && there->second == moved)
      return;
    if (op.exchange) {
      std::swap(from.at(op.from_name), there->second);
      return;
    }
    if (there != to.end())
      drop(there->second);
    from.erase(op.from_name);
    to[op.to_name] = moved;
  }
  std::string text() const {
    std::string out;
    for (const auto& [directory, entries] : names)
      for (const auto& [name, id] : entries)
        out += to_string(directory) + "/" + name + " " + to_string(id) + " " + files.at(id).text()
               + "\n";
    return out;
  }
};

/// Random changes in three directories, made in the partition and in the model.
struct modelled_tree : meta_harness {
  explicit modelled_tree(std::uint64_t seed) : random(seed) {
    drives = stripe_maker::drives();
    context.limits.clean_extents_max = 2; // big cuts and unlinks go on in later epochs
    forgetful_every = 7;
    context.epoch = snapshot_epoch{1};
    for (lin id : {root_lin, mkdir(root_lin, "d1"), mkdir(root_lin, "d2")})
      model.names[id]; // d1 and d2 stay; as entries they are left out of the model
  }

  std::string name() { return "n" + std::to_string(random(7)); }
  lin directory() { return std::next(model.names.begin(), random(model.names.size()))->first; }
  std::optional<lin> a_file(file_kind kind) {
    std::vector<lin> found;
    for (const auto& [id, file] : model.files)
      if (file.kind == kind)
        found.push_back(id);
    if (found.empty())
      return {};
    return found[random(found.size())];
  }

  void step() {
    switch (random(16)) {
    case 0:
    case 1:
    case 14:
    case 15: create_one(file_kind::regular); break;
    case 2: create_one(file_kind::symlink); break;
    case 3:
    case 4: {
      op_unlink op{directory(), name(), {}};
      if (refused(op) == errc::none) {
        auto& entries = model.names[op.directory];
        model.drop(entries.at(op.name));
        entries.erase(op.name);
      }
      break;
    }
    case 5:
    case 6: {
      op_rename op{directory(), name(), directory(), name(), random(5) == 0, false};
      op.exchange = !op.no_replace && random(3) == 0;
      if (refused(op) == errc::none)
        model.rename(op);
      break;
    }
    case 7:
      if (auto id = a_file(random(2) ? file_kind::regular : file_kind::symlink)) {
        op_link op{directory(), name(), *id};
        if (refused(op) == errc::none) {
          model.names[op.directory][op.name] = *id;
          ++model.files[*id].links;
        }
      }
      break;
    case 8:
      if (auto id = a_file(file_kind::regular)) {
        op_set_attributes op{*id, static_cast<std::uint32_t>(random(01000)), {}, {}, {}, {}};
        must<attributes_are>(op);
        model.files[*id].mode = *op.mode;
      }
      break;
    case 9:
      if (auto item = first_clean_item())
        clean(*item);
      break;
    default:
      if (auto id = a_file(file_kind::regular))
        write(*id);
    }
  }
  void create_one(file_kind kind) {
    op_create op{directory(), name(), {kind, 0644, 1, 2, 0, ""}, false};
    if (kind == file_kind::symlink)
      op.inode.symlink_target = "to " + std::to_string(random(1000));
    auto outcome = call(op);
    auto* result = std::get_if<meta_result>(&outcome);
    if (result == nullptr)
      return;
    auto id = std::get<entry_found>(*result).child;
    REQUIRE(born.emplace(id, context.epoch.value).second);
    model.names[op.directory][op.name] = id;
    model.files[id] = {kind, 0644, 1, op.inode.symlink_target.size(), op.inode.symlink_target, {}};
  }
  /// A truncate, inline data, or one stripe somewhere; a refused one changes nothing.
  void write(lin id) {
    op_commit_write op;
    op.id = id;
    switch (random(5)) {
    case 0: op.truncate_to = random(10) * block_bytes; break;
    case 1: {
      op.truncate_to = 0;
      auto text = "inline " + std::to_string(random(1000));
      auto bytes = as_bytes(text);
      op.inline_data.emplace(bytes.begin(), bytes.end());
      break;
    }
    default: op = commit_of(maker, id, random(10) * block_bytes, (1 + random(5)) * block_bytes);
    }
    if (refused(op) != errc::none)
      return;
    auto& file = model.files[id];
    if (op.truncate_to) {
      file.size = std::min(file.size, *op.truncate_to);
      file.blocks.erase(file.blocks.lower_bound(round_up_to_block(file.size) / block_bytes),
                        file.blocks.end());
      file.bytes.resize(std::min<std::uint64_t>(file.bytes.size(), file.size));
    }
    if (op.inline_data) {
      file.bytes = as_text(*op.inline_data);
      file.size = file.bytes.size();
    }
    for (const auto& e : op.extents) {
      for (std::uint64_t b = 0; b < e.bytes / block_bytes; ++b)
        file.blocks[e.file_offset / block_bytes + b] = {op.stripes[0].units[0].run.born.value, b};
      if (e.file_offset == 0)
        file.bytes.clear();
    }
    file.size = std::max(file.size, op.size_at_least);
  }

  /// The tree as reads at `context.read_epoch` show it.
  model_tree read_tree() {
    model_tree out;
    for (const auto& [directory, entries] : model.names) {
      auto& names = out.names[directory];
      std::uint64_t cookie = 0;
      for (bool end = false; !end;) {
        auto page = must<directory_page>(op_read_directory{directory, cookie, 2, true});
        for (const auto& e : page.entries) {
          cookie = e.cookie;
          if (e.kind == file_kind::directory)
            continue;
          names[e.name] = e.child;
          REQUIRE(e.attributes);
          if (!out.files.contains(e.child))
            out.files[e.child] = read_file(*e.attributes);
        }
        end = page.end;
      }
    }
    return out;
  }
  model_file read_file(const inode_attributes& listed) {
    CHECK(stat(listed.id) == listed);
    model_file out{listed.kind, listed.mode, listed.link_count, listed.size, {}, {}};
    if (listed.kind == file_kind::symlink) {
      out.bytes = must<symlink_target_is>(op_read_symlink{listed.id}).target;
      return out;
    }
    std::uint64_t offset = 0;
    for (bool more = true; more;) {
      auto page = must<layout_is>(op_get_layout{listed.id, offset, ~0ull, 2});
      if (page.inline_data)
        out.bytes = as_text(*page.inline_data);
      std::map<stripe_id, std::uint64_t> births;
      for (const auto& s : page.stripes)
        births[s.id] = s.layout.units[0].run.born.value;
      for (const auto& e : page.extents) {
        offset = e.file_offset + e.bytes;
        for (std::uint64_t b = 0; b < e.bytes / block_bytes; ++b)
          out.blocks[e.file_offset / block_bytes + b] = {births.at(e.stripe),
                                                         e.stripe_offset / block_bytes + b};
      }
      more = page.more;
    }
    return out;
  }
  /// Names one by one, and inodes that are not there: gone, or not born yet.
  void check_names_and_absence(std::uint64_t epoch, const model_tree& expected) {
    for (const auto& [directory, entries] : expected.names)
      for (int i = 0; i < 7; ++i) {
        auto one = "n" + std::to_string(i);
        if (auto it = entries.find(one); it != entries.end())
          CHECK(lookup(directory, one) == it->second);
        else
          CHECK(refused(op_lookup{directory, one}) == errc::not_found);
      }
    for (const auto& [id, born_in] : born) {
      if (expected.files.contains(id))
        continue;
      auto outcome = call(op_get_attributes{id});
      auto* gone = std::get_if<error>(&outcome);
      if (gone != nullptr)
        CHECK(gone->code == errc::stale_handle);
      else // unlinked by then, but not cleaned yet
        CHECK(std::get<attributes_are>(std::get<meta_result>(outcome)).attributes.link_count == 0);
      if (epoch < born_in)
        CHECK(gone != nullptr);
    }
  }

  test_random random;
  stripe_maker maker;
  model_tree model;
  std::map<lin, std::uint64_t> born; ///< In which epoch.
};

} // namespace

TEST_CASE("meta_versions: names, inodes and data written at epochs 1 to 5 read back at each",
          "[unit][meta_versions]") {
  // Goal: hazards F12, before anybody can take a snapshot. Method: random creates, links, renames,
  // unlinks, writes, truncates and cleaning in epochs 1 to 5, in the partition and in a model that
  // is copied at the end of each. All epochs, or only some, have a snapshot. From then on every
  // read at one of them shows its copy: after each later epoch, after more changes in epoch 6, and
  // when the cleaner is through.
  auto seed = GENERATE(range(1u, 9u));
  INFO("seed " << seed);
  modelled_tree tree{seed};
  std::vector<snapshot_epoch> snapshots;
  std::map<std::uint64_t, model_tree> copies;
  auto compare_all = [&] {
    for (const auto& [epoch, copy] : copies) {
      INFO("read at " << epoch << " in epoch " << tree.context.epoch.value);
      tree.context.read_epoch = snapshot_epoch{epoch};
      CHECK(tree.read_tree().text() == copy.text());
      tree.check_names_and_absence(epoch, copy);
    }
    tree.context.read_epoch = {};
    CHECK(tree.read_tree().text() == tree.model.text());
    CHECK(tree.findings() == "");
  };
  for (std::uint64_t epoch = 1; epoch <= 6; ++epoch) {
    tree.context.epoch = snapshot_epoch{epoch};
    tree.context.snapshots = snapshots;
    for (int i = 0; i < 50; ++i)
      tree.step();
    compare_all();
    if (epoch <= 5 && (seed % 2 == 1 || epoch % 2 == 1)) {
      copies[epoch] = tree.model;
      snapshots.push_back(snapshot_epoch{epoch});
    }
  }
  std::size_t files_seen = 0;
  for (const auto& [epoch, copy] : copies)
    files_seen += copy.files.size();
  REQUIRE(copies.size() >= 3);
  REQUIRE(files_seen >= 15); // else the seed shows little
  tree.clean_all();
  compare_all();
}
