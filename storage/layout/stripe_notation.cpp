#include "storage/layout/stripe_notation.hpp"

namespace troupe {

namespace {

constexpr std::uint32_t layout_drives_max = 65535;

/// Takes the notation apart from left to right; the first mistake sticks.
class notation_reader {
public:
  explicit notation_reader(std::string_view text) : text_(text) {}

  bool ok() const { return problem_.empty(); }
  bool at_end() const { return pos_ == text_.size(); }
  error failure() const {
    return {errc::invalid_argument, "layout \"" + std::string{text_} + "\": " + problem_
                                      + "; the form is n+m/b@r, e.g. 8+2/2"};
  }
  /// Takes `c` if it is next.
  bool accept(char c) {
    if (!ok() || at_end() || text_[pos_] != c)
      return false;
    ++pos_;
    return true;
  }
  void complain(const std::string& problem) {
    if (ok())
      problem_ = problem;
  }
  void complain_here(const std::string& wanted) {
    complain(wanted + " expected at position " + std::to_string(pos_ + 1));
  }
  /// A number in [1, max] called `name`.
  std::uint32_t number(const char* name, std::uint32_t max) {
    auto begin = pos_;
    std::uint32_t value = 0;
    while (!at_end() && text_[pos_] >= '0' && text_[pos_] <= '9' && value <= max)
      value = value * 10 + static_cast<std::uint32_t>(text_[pos_++] - '0');
    if (begin == pos_)
      complain_here(std::string{"a number for "} + name);
    else if (text_[begin] == '0')
      complain(std::string{name} + " starts with 0");
    else if (value > max)
      complain(std::string{name} + " is above " + std::to_string(max));
    return value;
  }

private:
  std::string_view text_;
  std::size_t pos_ = 0;
  std::string problem_;
};

} // namespace

std::string to_string(const stripe_notation& x) {
  auto out = std::to_string(x.data_units) + "+" + std::to_string(x.parity_units);
  if (x.units_per_node_max != 1)
    out += "/" + std::to_string(x.units_per_node_max);
  if (x.layout_drives != 1)
    out += "@" + std::to_string(x.layout_drives);
  return out;
}

expected<stripe_notation> parse_stripe_notation(std::string_view text) {
  notation_reader in{text};
  stripe_notation out;
  out.data_units = in.number("n (data units)", stripe_units_max);
  if (!in.accept('+'))
    in.complain_here("'+'");
  else
    out.parity_units = in.number("m (parity units)", stripe_units_max);
  if (in.accept('/'))
    out.units_per_node_max = in.number("b (units per node)", stripe_units_max);
  if (in.accept('@'))
    out.layout_drives = in.number("r (drives in the layout)", layout_drives_max);
  if (in.ok() && !in.at_end())
    in.complain_here("'/', '@' or the end");
  auto units = out.data_units + out.parity_units;
  if (units > stripe_units_max)
    in.complain("n+m is " + std::to_string(units) + ", above " + std::to_string(stripe_units_max));
  if (out.units_per_node_max > units)
    in.complain("b is above n+m");
  if (!in.ok())
    return in.failure();
  return out;
}

} // namespace troupe
