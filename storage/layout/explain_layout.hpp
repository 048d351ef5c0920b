#pragma once

#include "storage/layout/layout_choice.hpp"

#include <string>

namespace troupe {

/// The level column of `get FILE`: the full stripe of such a file, "6+2/2"; "3x" if its files are
/// mirrored. Small files show their file's stripe, not the copies that they happen to be.
std::string layout_column(const layout_choice& x);

/// The explanation of one choice, a sentence per line: which cell or rule, what the level survives,
/// whether and why it was narrowed, mirrored or is at risk, and where table and rule differ.
std::string explain_layout(const layout_choice& x);

/// `explain layout`: the cells where the printed table and its rule differ, one per line.
std::string explain_layout_differences();

} // namespace troupe
