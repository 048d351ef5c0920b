#pragma once

namespace troupe {

/// Visits a variant with one lambda per alternative.
template <class... Fs>
struct overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
overload(Fs...) -> overload<Fs...>;

} // namespace troupe
