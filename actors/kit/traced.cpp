#include "actors/kit/traced.hpp"

#include <caf/atom.hpp>

#include <cxxabi.h>
#include <map>

namespace troupe {

namespace {

thread_local const char* actor_here = "";

/// "store_run" from what the compiler calls the type.
std::string short_name(const std::type_info& type) {
  int status = 0;
  char* text = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? text : type.name();
  std::free(text);
  auto arguments = name.find('<');
  auto colons = name.rfind("::", arguments);
  return colons == std::string::npos ? name : name.substr(colons + 2);
}

} // namespace

const char* current_actor() {
  return actor_here;
}

actor_scope::actor_scope(const char* path) : before_(std::exchange(actor_here, path)) {}

actor_scope::~actor_scope() {
  actor_here = before_;
}

const char* message_type_name(const caf::type_erased_tuple& content) {
  if (content.empty())
    return "nothing";
  auto [number, type] = content.type(0);
  if (!type) // one of CAF's own types, an atom most of all
    return content.match_element<caf::atom_value>(0)
             ? trace_name(to_string(content.get_as<caf::atom_value>(0)))
             : "caf";
  // By address first: names are asked for with every message.
  static thread_local std::map<const std::type_info*, const char*> names;
  auto& name = names[type];
  if (!name)
    name = trace_name(short_name(*type));
  return name;
}

} // namespace troupe
