//! The suite of stores that projections run on notices what is wrong: for each case a store that fails it.

mod flawed;
mod posing;

use eventsource_runtime::testing::suite::projection_store as suite;
use flawed::Flawed;

use super::broken::notices;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    SetsUpEachTime,
    BeginsAtTheStart,
    FailedSetUpCounts,
    OpensByItself,
    ReversesBatches,
    IgnoresEmptyBatches,
    TakesBatchesFromAnywhere,
    FaultsAreNobodys,
    PanicsAreNobodys,
    ResetDoesNothing,
    FailedResetMovesBack,
    OneLeaseForAll,
    OneLeaseForAllParts,
    KeepsTheNumberOfParts,
    ChangesAnyNumberOfParts,
    EverybodyHasTheLease,
    TellsWaitersTheStart,
    NeverRenews,
    NeverGivesUp,
    AnybodyGivesUp,
    NeverExpires,
    ExpiredIsLost,
    IgnoresForce,
    TakesLateBatches,
    TakesLateResets,
    BatchesDoNotRenew,
    LooksBeforeItTakes,
    ForgetsRetries,
    PagesAreWhole,
    StreamsAreNotTold,
    ParksInSilence,
    RetriedIsNotApplied,
    FailedRetryRemoves,
    ResolvingClearsTheStream,
    SettlesWhatIsNotThere,
    ParksForEver,
    SetsAsideBeforeItChecks,
    KeepsLettersAtReset,
    LettersAreEverybodys,
    PositionsAreFloats,
    NamesIgnoreCase,
    CutsReasons,
    LosesLettersWithTheParts,
    ParksTheNextBatchAlone,
    TellsTheFirstOwner,
    GivesUpAfterTwo,
    ChecksBeforeItsTurn,
    KeepsALock,
}

eventsource_runtime::projection_suite!(without_a_flaw, || async { Flawed::with(Flaw::None) });

macro_rules! each_case_notices {
    ($($case:ident: $flaw:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                let noticed = notices(|| suite::$case(async || Flawed::with(Flaw::$flaw)));
                assert!(noticed, "{:?} goes unnoticed", Flaw::$flaw);
            }
        )*
    };
}

each_case_notices! {
    a_projection_is_set_up_once: SetsUpEachTime,
    a_new_projection_begins_where_it_is_told: BeginsAtTheStart,
    a_set_up_that_fails_is_made_again: FailedSetUpCounts,
    what_is_not_open_is_refused: OpensByItself,
    a_batch_moves_the_checkpoint: ReversesBatches,
    a_batch_without_events_moves_the_checkpoint: IgnoresEmptyBatches,
    a_batch_from_elsewhere_is_refused: TakesBatchesFromAnywhere,
    a_failing_step_names_its_event: FaultsAreNobodys,
    a_panicking_step_names_its_event: PanicsAreNobodys,
    a_reset_begins_again: ResetDoesNothing,
    a_reset_that_fails_changes_nothing: FailedResetMovesBack,
    projections_stand_each_for_itself: OneLeaseForAll,
    parts_stand_each_for_itself: OneLeaseForAllParts,
    the_number_of_parts_changes_where_all_stand_alike: KeepsTheNumberOfParts,
    the_number_of_parts_stays_where_they_do_not: ChangesAnyNumberOfParts,
    a_lease_is_had_by_one: EverybodyHasTheLease,
    a_lease_tells_where_the_part_stands: TellsWaitersTheStart,
    a_lease_is_renewed_by_its_holder: NeverRenews,
    a_lease_that_is_given_up_is_free: NeverGivesUp,
    nobody_gives_up_the_lease_of_another: AnybodyGivesUp,
    a_lease_that_has_expired_is_free: NeverExpires,
    a_lease_that_has_expired_and_that_nobody_took_still_holds: ExpiredIsLost,
    a_lease_is_taken_by_force: IgnoresForce,
    a_late_batch_after_a_takeover_is_refused: TakesLateBatches,
    a_late_reset_after_a_takeover_is_refused: TakesLateResets,
    a_batch_renews_its_lease: BatchesDoNotRenew,
    one_of_many_claims_is_granted: LooksBeforeItTakes,
    an_event_that_is_set_aside_is_a_dead_letter: ForgetsRetries,
    letters_are_listed_in_order_and_in_pages: PagesAreWhole,
    letters_of_one_stream_are_listed_alone: StreamsAreNotTold,
    later_events_of_a_stream_are_parked_and_others_go_on: ParksInSilence,
    a_letter_that_is_retried_is_applied_and_removed: RetriedIsNotApplied,
    a_retry_that_fails_leaves_the_letter: FailedRetryRemoves,
    a_letter_that_is_resolved_is_removed_unapplied: ResolvingClearsTheStream,
    settling_what_is_not_there_does_nothing: SettlesWhatIsNotThere,
    a_stream_without_letters_goes_on: ParksForEver,
    a_refused_batch_sets_nothing_aside: SetsAsideBeforeItChecks,
    a_reset_removes_the_letters: KeepsLettersAtReset,
    letters_of_another_projection_are_none_of_ours: LettersAreEverybodys,
    a_checkpoint_is_kept_to_the_last_bit: PositionsAreFloats,
    names_differ_to_the_last_character: NamesIgnoreCase,
    what_a_letter_says_is_kept: CutsReasons,
    letters_survive_a_change_of_parts: LosesLettersWithTheParts,
    a_letter_parks_its_stream_in_every_later_batch: ParksTheNextBatchAlone,
    a_lease_tells_who_has_it_now: TellsTheFirstOwner,
    a_step_that_failed_is_applied_when_it_is_mended: GivesUpAfterTwo,
    a_batch_that_is_sent_twice_at_once_is_applied_once: ChecksBeforeItsTurn,
    dropped_batches_leave_the_projection_usable: KeepsALock,
}
