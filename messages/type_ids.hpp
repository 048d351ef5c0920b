#pragma once

#include "messages/catalogue.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

namespace troupe {

/// True for structs that actors of one process may send each other though they are not in the
/// catalogue. Specialise it beside the struct:
///
///     template <>
///     inline constexpr bool local_message<tick_now> = true;
template <class T>
inline constexpr bool local_message = false;

} // namespace troupe

namespace caf {

/// Nothing of ours is ever serialised by CAF: bytes between processes are ours (`wire_encode`). So
/// every catalogued type, and every type marked as local, is a CAF message as it is: no type id
/// and no CAF inspector, and std::optional or std::variant members do no harm.
template <class T>
requires(troupe::catalogued<T> || troupe::local_message<T>) struct allowed_unsafe_message_type<T>
  : std::true_type {
};

} // namespace caf
