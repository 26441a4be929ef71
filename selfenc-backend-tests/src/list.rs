use crate::Case;

/// The one list of cases. `$then!` gets `[its own arguments]` and every group with its cases.
#[macro_export]
#[doc(hidden)]
macro_rules! cases {
    ($then:ident $($argument:tt)*) => {
        $crate::$then! { [$($argument)*]
            basic {
                fresh_store_is_empty put_then_get get_absent_is_none stat_absent_is_none
                stat_reports_exact_length contains_agrees_with_get put_visible_at_once_to_get_stat_list
                thousand_small_chunks ids_do_not_alias returned_bytes_survive_delete
                returned_bytes_survive_store_drop caller_may_reuse_its_buffer_after_put
            }
            size {
                empty_chunk one_byte boundary_sizes largest_allowed_accepted
                above_largest_rejected_and_not_stored hostile_contents length_is_logical_length
            }
            id {
                extreme_ids shared_31_byte_prefix one_bit_apart no_case_folding_collision
                foreign_entries_ignored
            }
            put {
                twice_is_ok outcome_exact outcome_never_falsely_inserted conflicting_values_never_mix
                after_delete atomic_under_readers does_not_disturb_siblings
                present_of_other_length_is_replaced get_longer_than_max_is_corrupt_unread
                fifty_identical_puts_all_ok
            }
            delete {
                present absent_is_ok twice_is_ok gone_from_get_stat_list leaves_siblings
                last_one_then_put_again concurrent_same_id_all_ok put_and_delete_in_same_shard
                delete_during_get_is_whole_or_none
            }
            list {
                empty exact_set_and_lengths no_duplicates after_is_exclusive after_absent_id
                after_last_is_empty after_all_ff resume_covers_everything_once ordered
                stable_members_seen_during_inserts no_error_during_deletes delete_as_you_list
                early_drop_releases_everything outlives_the_borrow two_streams_are_independent
                slow_consumer_does_not_block_writers get_inside_list poll_after_end_is_none
            }
            batch {
                put_many_equals_puts results_in_input_order duplicates_inside_batch empty_batch
                one_bad_item_does_not_poison_others delete_many_with_absent_in_the_middle
            }
            durability {
                reopen_after_flush reopen_without_flush flush_idempotent_and_concurrent second_open
            }
            concurrency {
                storm current_thread_runtime two_openings_see_each_other five_hundred_in_flight
                does_not_block_the_executor
            }
            cancellation {
                unpolled_put_has_no_effect dropped_put_is_absent_or_whole
                dropped_delete_never_erases_a_later_put dropped_lists_leak_nothing
            }
            errors { names_op_and_id display_is_one_line_without_secrets retry_class_is_consistent }
            corruption {
                truncated trailing_garbage same_length_damage_is_returned_or_reported
                delete_then_put_heals
            }
            honesty { capabilities_are_constant info_is_stable unsupported_is_said_not_faked }
            roots {
                absent_is_none create_if_absent create_conflict_returns_current
                swap_with_current_version swap_with_stale_version_changes_nothing remove_with_version
                remove_absent_is_a_conflict_or_nothing aba_is_detected same_bytes_new_version
                tombstone_then_create ten_workers_hundred_increments one_winner_of_fifty_creates
                never_torn names_lists_all name_rules empty_and_largest_value
                roots_and_chunks_are_separate_namespaces dropped_swap_is_applied_or_not
                roots_survive_reopen
            }
        }
    };
}

/// One `#[test]` for each case.
#[macro_export]
#[doc(hidden)]
macro_rules! expand_tests {
    ([$configuration:ident $harness:expr] $($group:ident { $($case:ident)* })*) => {
        mod $configuration {
            fn harness() -> impl $crate::Harness {
                #[allow(unused_imports)]
                use super::*;
                $harness
            }
            $(mod $group {
                $(#[test]
                fn $case() {
                    let names = (stringify!($configuration), stringify!($group), stringify!($case));
                    $crate::run_test(names.0, names.1, names.2, &super::harness());
                })*
            })*
        }
    };
}

/// The table of the cases.
#[macro_export]
#[doc(hidden)]
macro_rules! expand_table {
    ([] $($group:ident { $($case:ident)* })*) => {
        /// Every case, in the order of the list.
        pub const CASES: &[Case] = &[$($(Case {
            group: stringify!($group),
            name: stringify!($case),
            run: |trial| Box::pin($crate::cases::$group::$case(trial)),
        },)*)*];
    };
}

cases! { expand_table }

/// Makes a module of `#[test]`s, one for each case of the suite, over a store's harness.
///
/// `conformance!(mod NAME = HARNESS);` where `HARNESS` is an expression, evaluated once for each test,
/// whose value implements [`Harness`](crate::Harness).
#[macro_export]
macro_rules! conformance {
    (mod $configuration:ident = $harness:expr) => {
        $crate::cases! { expand_tests $configuration $harness }
    };
}
