#pragma once

#include "tests/storage/meta/meta_harness.hpp"

namespace troupe::test {

/// Everything that reads show of a partition's tree, from the root on, as text: names, attributes,
/// targets, inline data, extents and stripes. At `context.read_epoch`, or live.
class tree_dump {
public:
  tree_dump(const table_view& view, const evaluation_context& context)
    : view_(view), context_(context) {}

  std::string text() {
    dump_directory(root_lin, "");
    return std::move(out_);
  }

private:
  meta_result read(const meta_operation& op) {
    auto out = std::get<evaluation>(evaluate(op, context_, view_));
    if (auto* e = std::get_if<error>(&out.outcome)) {
      INFO(name_of(op) << " " << describe(*e));
      REQUIRE(e == nullptr);
    }
    return std::get<meta_result>(out.outcome);
  }
  static std::string hex_of(const meta_result& result) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (auto b : outcome_bytes(result)) {
      out += digits[static_cast<std::uint8_t>(b) >> 4];
      out += digits[static_cast<std::uint8_t>(b) & 15];
    }
    return out;
  }
  void dump_directory(lin id, const std::string& path) {
    out_ += path + "/ " + hex_of(read(op_get_attributes{id})) + "\n";
    std::uint64_t cookie = 0;
    for (bool end = false; !end;) {
      auto page = std::get<directory_page>(read(op_read_directory{id, cookie, 3, true}));
      for (const auto& e : page.entries) {
        cookie = e.cookie;
        dump_entry(e, path + "/" + e.name);
      }
      end = page.end;
    }
  }
  void dump_entry(const directory_entry& e, const std::string& path) {
    if (e.kind == file_kind::directory) {
      dump_directory(e.child, path);
      return;
    }
    out_ += path + " " + hex_of(read(op_get_attributes{e.child}));
    if (e.kind == file_kind::symlink)
      out_ += " " + hex_of(read(op_read_symlink{e.child}));
    if (e.kind == file_kind::regular)
      out_ += " " + hex_of(read(op_get_layout{e.child, 0, ~0ull, 1000}));
    out_ += "\n";
  }

  const table_view& view_;
  const evaluation_context& context_;
  std::string out_;
};

inline std::string dump_tree(const table_view& view, const evaluation_context& context) {
  return tree_dump{view, context}.text();
}

/// Numbers that are the same on every machine. Source: SplitMix64.
class test_random {
public:
  explicit test_random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t operator()(std::uint64_t below) {
    state_ += 0x9e3779b97f4a7c15;
    auto z = state_;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
  }

private:
  std::uint64_t state_;
};

} // namespace troupe::test
