#pragma once

#include "storage/base/env.hpp"
#include "storage/block/recovered_drive.hpp"

namespace troupe {

/// Brings a drive's block file to the state that its log says and begins a new mount: torn pages
/// are made whole, the log is replayed onto bitmap and table, both are put in place, and a batch
/// with the next incarnation is made durable. Safe to be interrupted and repeated at any point.
/// Blocks; reads log and bitmap as a whole, and the table pages that the log names.
/// @param drive   the superblock of this file.
/// @param options must fit (`check`).
/// @returns errc::quarantined for a damaged log (trp::drive_damaged), or the error of an I/O; then
/// nothing was changed except that torn pages may have been made whole.
expected<recovered_drive> recover_drive(file& blocks, const block_format::superblock& drive,
                                        const block_store_options& options);

} // namespace troupe
