//! The faults, each with the cases that must reject it and the clause that each must cite.

use selfenc_backend_tests::Clause;

/// A fault, and the cases that must reject it with this clause.
pub(crate) type Row = (Fault, &'static [(&'static str, Clause)]);

macro_rules! faults {
    ($($(#[$doc:meta])+ $fault:ident $test:ident: $($case:literal $clause:ident),+;)+) => {
        /// What is wrong with a store.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            /// Nothing.
            None,
            $($(#[$doc])+ $fault,)+
        }

        pub(crate) const FAULTS: &[Row] = &[$((Fault::$fault, &[$(($case, Clause::$clause)),+]),)+];

        mod rejected {
            $(#[test]
            fn $test() {
                crate::rejects(super::Fault::$fault);
            })+
        }
    };
}

faults! {
    /// Every 100th put is acknowledged and forgotten.
    DropsPuts drops_puts: "basic::thousand_small_chunks" G2;
    /// What is longer than 64 KiB is cut there.
    TruncatesAt64KiB truncates_at_64_kib: "size::boundary_sizes" Bytes;
    /// A chunk of another length counts as present.
    KeepsWrongLength keeps_wrong_length: "put::present_of_other_length_is_replaced" Bytes;
    /// Every put says `Inserted`.
    AlwaysInserted always_inserted:
        "put::outcome_exact" Honesty,
        "put::outcome_never_falsely_inserted" Honesty,
        "put::fifty_identical_puts_all_ok" Honesty;
    /// Every put says `Present`.
    AlwaysPresent always_present: "put::outcome_exact" Honesty, "put::after_delete" Honesty;
    /// A put's temporary is named after the chunk, so two puts of one id write to the same.
    NamesTemporariesById mixes_conflicting_puts: "put::conflicting_values_never_mix" G1;
    /// A put writes where readers read.
    WritesInPlace returns_a_prefix_during_a_put:
        "put::atomic_under_readers" G1,
        "concurrency::readers_see_none_or_whole" G1,
        "list::in_flight_puts_are_invisible" G1;
    /// A dropped put publishes what it has.
    DroppedPutLeavesHalf dropped_put_leaves_half: "cancellation::dropped_put_is_absent_or_whole" G6;
    /// A failed put publishes what it has.
    FailedPutLeavesHalf failed_put_leaves_half: "put::failed_put_is_invisible" G1;
    /// A failed put removes what was there.
    FailedPutRemovesOld failed_put_removes_the_old: "put::failed_second_put_keeps_good_copy" G1;
    /// Temporaries stay when a put is dropped, and when the store is opened again.
    LeavesTemporaries leaves_temporaries: "durability::leftover_temp_files_invisible_and_swept" G1;
    /// An empty chunk is none.
    EmptyIsAbsent empty_is_absent: "size::empty_chunk" G5;
    /// `max_chunk_len` is not enforced.
    LimitNotEnforced limit_not_enforced: "size::above_largest_rejected_and_not_stored" Bound;
    /// What is longer than `max_chunk_len` is read.
    ReadsAboveLimit reads_above_the_limit: "put::get_longer_than_max_is_corrupt_unread" Bound;
    /// `stat` gives the length of the file, header and all.
    StatCountsHeader stat_counts_the_header:
        "size::length_is_logical_length" Honesty,
        "basic::stat_reports_exact_length" G2;
    /// The disk is written where the executor runs.
    Blocks blocks_the_executor: "concurrency::does_not_block_the_executor" G9;
    /// It works only on a runtime of many threads.
    NeedsThreads needs_threads: "concurrency::current_thread_runtime" G9;

    /// Ids are compared as text, without regard to case.
    FoldsCase folds_case: "id::no_case_folding_collision" Bytes;
    /// Ids are compared by their first 31 bytes.
    Ids31Bytes ids_of_31_bytes: "id::shared_31_byte_prefix" Bytes;
    /// Ids are compared by their first 8 bytes.
    Ids8Bytes ids_of_8_bytes: "id::extreme_ids" Bytes, "id::shared_31_byte_prefix" Bytes;

    /// Deleting what is absent is an error.
    DeleteAbsentFails delete_absent_fails:
        "delete::absent_is_ok" G3,
        "batch::delete_many_with_absent_in_the_middle" G3;
    /// A delete takes the folder with it.
    DeleteErasesShard delete_erases_siblings: "delete::leaves_siblings" Bytes;
    /// A dropped delete lands later.
    LateDeletes late_deletes: "cancellation::dropped_delete_never_erases_a_later_put" G6;

    /// `after` is listed once more.
    InclusiveAfter inclusive_after:
        "list::after_is_exclusive" G7,
        "list::resume_covers_everything_once" G7;
    /// The last item of a page is the first of the next.
    RepeatsPageEdge repeats_a_page_edge: "list::no_duplicates" G7, "list::exact_set_and_lengths" G7;
    /// Pages are counted in items, which move when others come and go.
    PagesByOffset pages_by_offset:
        "list::stable_members_seen_during_inserts" G7;
    /// Each page is in the order of the ids' last bytes.
    Unordered unordered_list: "list::ordered" G7, "honesty::list_is_ascending" G7;
    /// All listings move one cursor.
    ListsShareCursor lists_share_a_cursor: "list::two_streams_are_independent" G7;
    /// Writers wait until a listing has been read.
    ListBlocksWriters list_blocks_writers: "list::slow_consumer_does_not_block_writers" G7;
    /// A listing holds the pool's connections.
    ListHoldsPermit list_holds_permits: "list::get_inside_list" G7;
    /// A listing that fails ends early instead.
    ListSwallowsErrors list_swallows_errors: "list::error_surfaces_then_ends" G7;
    /// A listing goes on after an error.
    ListGoesOnAfterError list_goes_on_after_an_error: "list::error_surfaces_then_ends" G7;
    /// An item comes after the end.
    ListNotFused list_not_fused: "list::poll_after_end_is_none" G7;
    /// Temporaries are listed as chunks.
    ListsTemporaries lists_temporaries:
        "id::foreign_entries_ignored" G7,
        "list::in_flight_puts_are_invisible" G1;
    /// A dropped get keeps its permit.
    DroppedGetLeaks dropped_get_leaks: "cancellation::hundred_dropped_gets_leak_nothing" G6;

    /// `put_many` answers in the order in which the puts ended.
    BatchOutOfOrder batch_out_of_order: "batch::results_in_input_order" Honesty;
    /// `put_many` stops at the first error.
    BatchStopsAtError batch_stops_at_an_error: "batch::one_bad_item_does_not_poison_others" G1;
    /// `put_many` refuses two of one id.
    BatchRefusesDuplicates batch_refuses_duplicates: "batch::duplicates_inside_batch" G3;
    /// `delete_many` gives no answer for what was absent.
    BatchSkipsAbsent batch_skips_absent: "batch::delete_many_with_absent_in_the_middle" G3;

    /// It says `OnPut`, and buffers.
    ClaimsOnPut claims_on_put:
        "durability::kill9_keeps_acked_puts" G4,
        "honesty::durability_is_not_overclaimed" Honesty;
    /// A file gets its name before its bytes are safe.
    SkipsFileSync skips_the_file_sync:
        "durability::power_loss_image" G1,
        "durability::sync_order_write_fsync_rename_dirsync" G4;
    /// A file's name is not made safe.
    SkipsFolderSync skips_the_folder_sync:
        "durability::power_loss_image" G4,
        "durability::sync_order_write_fsync_rename_dirsync" G4;
    /// The bytes are made safe after the rename, not before.
    SyncsAfterRename syncs_after_the_rename: "durability::sync_order_write_fsync_rename_dirsync" G4;
    /// `flush` does nothing.
    FlushDoesNothing flush_does_nothing: "durability::kill9_after_flush" G4;
    /// `flush` makes puts safe, not deletes.
    FlushKeepsDeletes flush_keeps_deletes: "durability::delete_is_durable_after_flush" G4;
    /// Deletes are never made safe, though it says `OnPut`.
    ForgetsDeletes forgets_deletes: "durability::delete_is_durable_after_flush" G4;
    /// `flush` makes safe what its own task put.
    FlushesOwnTask flushes_its_own_task: "durability::flush_covers_other_tasks" G4;
    /// `flush` fails while another runs.
    FlushFailsWhenBusy flush_fails_when_busy: "durability::flush_idempotent_and_concurrent" G4;
    /// `flush` says `Ok` when it failed.
    FlushSwallowsErrors flush_swallows_errors: "durability::flush_error_is_reported" G4;
    /// After a failed `flush` the next says `Ok`, with nothing made safe: what a power cut leaves is torn.
    FailedFlushForgets failed_flush_forgets: "durability::after_failed_sync_no_false_durability" G1;
    /// A second opening is an empty store, though it says `shared`.
    SecondIsEmpty second_is_empty:
        "durability::second_open" Honesty,
        "concurrency::two_openings_see_each_other" G2;
    /// A second opening works, though it does not say `shared`.
    OpensTwice opens_twice: "durability::second_open" Honesty;

    /// Every error says that a retry can help.
    AllTransient all_transient: "errors::retry_class_is_consistent" G8, "errors::fault_table" G8;
    /// A full disk is `Other`.
    FullIsOther full_is_other: "errors::fault_table" G8;
    /// Errors do not say which chunk.
    ErrorsNameNoChunk errors_name_no_chunk: "errors::error_names_op_and_id" G8;
    /// Errors tell the whole id.
    ErrorsTellTheId errors_tell_the_id: "errors::display_is_one_line_without_secrets" G8;
    /// Errors are of two lines.
    ErrorsInTwoLines errors_in_two_lines: "errors::display_is_one_line_without_secrets" G8;
    /// Errors have no source.
    ErrorsLoseTheirCause errors_lose_their_cause: "errors::source_chain_kept" G8;
    /// Where the location is missing, everything is absent.
    MissingContainerIsAbsence missing_container_is_absence: "errors::missing_container_is_an_error" G5;
    /// Where nothing can be written, puts are acknowledged.
    ReadOnlyPretends read_only_pretends: "errors::read_only_location" G8;
    /// After one failure it is never well again.
    NeverRecovers never_recovers: "errors::recovers_when_fault_clears" G8;
    /// It panics at a directory where a file should be.
    PanicsOnDamage panics_on_damage: "corruption::replaced_by_directory_or_symlink" G8;
    /// What is no file is absent.
    DamageIsAbsence damage_is_absence: "corruption::replaced_by_directory_or_symlink" G5;

    /// The capabilities depend on what happened.
    CapabilitiesChange capabilities_change: "honesty::capabilities_are_constant" Honesty;
    /// The info depends on what happened.
    InfoCounts info_counts: "honesty::info_is_stable_and_secret_free" Honesty;
    /// Roots are off, and `load` finds none instead of saying so.
    RootsFaked roots_faked: "honesty::unsupported_is_said_not_faked" Honesty;

    /// A root's version is a hash of its value.
    VersionIsHash version_is_hash: "roots::aba_is_detected" Roots, "roots::same_bytes_new_version" Roots;
    /// A root's version is always the same.
    VersionStays version_stays: "roots::swap_with_stale_version_changes_nothing" Roots;
    /// After a removal a root's versions start again.
    VersionsStartAgain versions_start_again: "roots::tombstone_then_create" Roots;
    /// `swap` looks and writes in two steps.
    SwapRaces swap_races:
        "roots::one_winner_of_fifty_creates" Roots,
        "roots::ten_workers_hundred_increments" Roots;
    /// `swap` writes in two steps.
    SwapTears swap_tears: "roots::never_torn" Roots;
    /// A dropped swap lands later.
    LateSwaps late_swaps: "roots::dropped_swap_is_applied_or_not" Roots;
    /// A conflict tells an older value.
    ConflictIsStale conflict_is_stale:
        "roots::create_conflict_returns_current" Roots,
        "roots::swap_with_stale_version_changes_nothing" Roots;
    /// `swap` needs a `flush`.
    SwapNotDurable swap_not_durable: "roots::ok_means_durable" Roots;
    /// `names` gives one page, and one less than there are.
    NamesDropsOne names_drops_one: "roots::names_lists_all" Roots;
    /// Roots' names are compared without regard to case.
    FoldsRootNames folds_root_names: "roots::name_rules" Roots;
    /// A root named like a chunk is that chunk.
    RootsAmongChunks roots_among_chunks: "roots::roots_and_chunks_are_separate_namespaces" Roots;
}
