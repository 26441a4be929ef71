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
                above_largest_rejected_and_not_stored sixty_four_mib hostile_contents
                length_is_logical_length
            }
            id {
                extreme_ids shared_31_byte_prefix one_bit_apart no_case_folding_collision
                foreign_entries_ignored hundred_thousand_ids
            }
            put {
                twice_is_ok outcome_exact outcome_never_falsely_inserted conflicting_values_never_mix
                after_delete atomic_under_readers does_not_disturb_siblings
                present_of_other_length_is_replaced get_longer_than_max_is_corrupt_unread
                fifty_identical_puts_all_ok racing_puts_insert_once failed_put_is_invisible
                failed_second_put_keeps_good_copy
            }
            delete {
                present absent_is_ok twice_is_ok gone_from_get_stat_list leaves_siblings
                last_one_then_put_again concurrent_same_id_all_ok put_and_delete_in_same_shard_directory
                delete_during_get_is_whole_or_none
            }
            list {
                empty exact_set_and_lengths no_duplicates many_pages page_boundary
                after_is_exclusive after_absent_id after_last_is_empty after_all_ff
                resume_covers_everything_once ordered
                stable_members_seen_during_inserts no_error_during_deletes delete_as_you_list
                early_drop_releases_everything outlives_the_borrow two_streams_are_independent
                slow_consumer_does_not_block_writers error_surfaces_then_ends
                in_flight_puts_are_invisible get_inside_list poll_after_end_is_none
            }
            batch {
                put_many_equals_puts results_in_input_order duplicates_inside_batch empty_batch
                mixed_new_and_present one_bad_item_does_not_poison_others
                delete_many_with_absent_in_the_middle more_than_native_limit
                get_many_order_and_misses batch_during_single_ops
            }
            durability {
                reopen_after_flush reopen_without_flush kill9_after_flush
                kill9_mid_put_leaves_no_partial kill9_keeps_acked_puts
                leftover_temp_files_invisible_and_swept
                delete_is_durable_after_flush flush_idempotent_and_concurrent
                flush_covers_other_tasks flush_error_is_reported
                after_failed_sync_no_false_durability power_loss_image
                sync_order_write_fsync_rename_dirsync second_open
            }
            concurrency {
                storm readers_see_none_or_whole multi_thread_runtime current_thread_runtime
                shared_handles_share_state two_openings_see_each_other five_hundred_in_flight
                does_not_block_the_executor
            }
            cancellation {
                unpolled_put_has_no_effect dropped_put_is_absent_or_whole retry_after_dropped_put
                dropped_delete_never_erases_a_later_put hundred_dropped_gets_leak_nothing
                dropped_list_leaks_nothing
            }
            errors {
                fault_table retry_class_is_consistent error_names_op_and_id
                source_chain_kept display_is_one_line_without_secrets
                missing_container_is_an_error read_only_location
                recovers_when_fault_clears full_disk_keeps_old_chunks
                error_is_small_send_sync_static
            }
            corruption {
                truncated bit_flip_caught_by_verified zero_filled contents_swapped
                trailing_garbage same_length_damage_is_returned_or_reported
                replaced_by_directory_or_symlink
                database_page_damage_is_error_not_panic delete_then_put_heals
            }
            honesty {
                capabilities_are_constant info_is_stable_and_secret_free
                max_len_is_true list_is_ascending durability_is_not_overclaimed
                drop_ordered_is_true unsupported_is_said_not_faked
            }
            roots {
                absent_is_none create_if_absent create_conflict_returns_current
                swap_with_current_version swap_with_stale_version_changes_nothing remove_with_version
                remove_absent_is_a_conflict_or_nothing aba_is_detected same_bytes_new_version
                tombstone_then_create ten_workers_hundred_increments one_winner_of_fifty_creates
                never_torn names_lists_all name_rules longest_name empty_and_largest_value
                roots_and_chunks_are_separate_namespaces dropped_swap_is_applied_or_not
                roots_survive_reopen racing_swaps_lose_nothing versions_never_repeat
                ok_means_durable root_never_points_past_flush
            }
            model {
                model engine_round_trip no_fd_thread_or_tempfile_growth drop_releases_locks
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
