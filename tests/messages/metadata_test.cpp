#include "messages/metadata.hpp"

#include <catch2/catch.hpp>

using namespace troupe;

TEST_CASE("metadata: an operation goes to the slot of its directory or inode", "[unit][metadata]") {
  lin in_slot_7{7ull << 48 | 12};
  CHECK(slot_of(meta_operation{op_lookup{in_slot_7, "a"}}) == slot_id{7});
  CHECK(slot_of(meta_operation{op_get_attributes{in_slot_7}}) == slot_id{7});
  CHECK(slot_of(meta_operation{op_rename{in_slot_7, "a", root_lin, "b"}}) == slot_id{7});
  CHECK(slot_of(meta_operation{op_register_client{slot_id{9}}}) == slot_id{9});
  CHECK(slot_of(meta_operation{op_repair_unit{stripe_id{5ull << 48 | 3}, 0, 0, {}}}) == slot_id{5});
  CHECK(slot_of(meta_operation{op_create_detached_directory{slot_id{4095}, root_lin, {}}})
        == slot_id{4095});
}

TEST_CASE("metadata: changes are told from reads", "[unit][metadata]") {
  CHECK(is_read_only(meta_operation{op_lookup{}}));
  CHECK_FALSE(is_read_only(meta_operation{op_create{}}));
  CHECK_FALSE(is_read_only(meta_operation{op_commit_write{}}));
  CHECK(is_read_only(meta_operation{op_get_stripe{}}));
  CHECK_FALSE(is_read_only(meta_operation{op_repair_unit{}}));
  CHECK(std::string{name_of(meta_operation{op_release_lease{}})} == "release_lease");
}

TEST_CASE("metadata: the drive that a partition does not take is read out of the refusal",
          "[unit][metadata]") {
  drive_uuid drive;
  drive.bytes[3] = 0xab;
  auto refusal = takes_no_data(drive);
  CHECK(refusal.code == errc::below_floor);
  CHECK(drive_that_takes_no_data(refusal) == drive);
  refusal.code = errc::stale;
  CHECK_FALSE(drive_that_takes_no_data(refusal));
  CHECK_FALSE(drive_that_takes_no_data({errc::below_floor, "as answered before"}));
  CHECK_FALSE(drive_that_takes_no_data({errc::below_floor, "drive 1 takes no data"}));
  CHECK_FALSE(drive_that_takes_no_data({errc::below_floor, ""}));
}
