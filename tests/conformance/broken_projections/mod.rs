//! The suite of stores that projections run on notices what is wrong: for each case a store that fails it and no other.

mod batches;
mod flawed;
mod leases;
mod posing;

use eventsource_runtime::testing::suite::projection_store as suite;
use flawed::Flawed;

use super::broken::{Notices, Said, found_by_others, names, unflawed, verdict_at_last, verdict_within};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    SetsUpEachTime,
    BeginsAtTheStart,
    FailedSetUpCounts,
    IgnoresWhatIsNotOpen,
    ReversesLaterBatches,
    PutsOffShortMoves,
    LeavesGaps,
    FaultsAreNobodys,
    PanicsAreNobodys,
    ResetKeepsTheCheckpoint,
    ResetMovesTheFirstPartBack,
    FailedResetMovesBack,
    MovesAllThatStandThere,
    ResetAsksTheFirstPart,
    IgnoresBatchesOfOldParts,
    ChangesAnyNumberOfParts,
    RoundsUpWhatIsLeft,
    TellsWaitersTheStart,
    NeverRenews,
    NeverGivesUp,
    AnybodyGivesUp,
    NeverExpiresWithoutEvents,
    ExpiredIsLost,
    ForceIsNotTold,
    TakesLateBatches,
    TakesLateResets,
    BatchesDoNotRenew,
    LooksBeforeItTakes,
    CountsAttempts,
    PagesAreWhole,
    StreamsAreNotTold,
    TellsOneParked,
    RefusesKnownLetters,
    ListsWhatWasRetried,
    FailedRetryRemoves,
    RetriesOutOfOrder,
    ResolvingClearsTheStream,
    RetriesWhatIsNotThere,
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

/// What a case says of a store with the flaw that it is there for.
macro_rules! each_case_says {
    ($($case:ident: $flaw:ident $said:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                let case = || suite::$case(async || Flawed::with(Flaw::$flaw));
                let said = verdict_at_last(Said::$said, case, || suite::$case(async || Flawed::with(Flaw::None)));
                assert_eq!(said, Said::$said, "of {:?}", Flaw::$flaw);
            }
        )*

        const CASES: &[Notices<Flaw>] = &[$((stringify!($case), Flaw::$flaw, |flaw, time| {
            verdict_within(time, move || suite::$case(async move || Flawed::with(flaw)))
        }),)*];
    };
}

each_case_says! {
    a_projection_is_set_up_once: SetsUpEachTime No,
    a_new_projection_begins_where_it_is_told: BeginsAtTheStart No,
    a_set_up_that_fails_is_made_again: FailedSetUpCounts No,
    what_is_not_open_is_refused: IgnoresWhatIsNotOpen No,
    a_batch_moves_the_checkpoint: ReversesLaterBatches No,
    a_batch_without_events_moves_the_checkpoint: PutsOffShortMoves No,
    a_batch_from_elsewhere_is_refused: LeavesGaps No,
    a_failing_step_names_its_event: FaultsAreNobodys No,
    a_panicking_step_names_its_event: PanicsAreNobodys No,
    a_reset_begins_again: ResetKeepsTheCheckpoint No,
    a_reset_begins_again_in_every_part: ResetMovesTheFirstPartBack No,
    a_reset_that_fails_changes_nothing: FailedResetMovesBack No,
    projections_stand_each_for_itself: MovesAllThatStandThere No,
    parts_stand_each_for_itself: ResetAsksTheFirstPart No,
    the_number_of_parts_changes_where_all_stand_alike: IgnoresBatchesOfOldParts No,
    the_number_of_parts_stays_where_they_do_not: ChangesAnyNumberOfParts No,
    a_lease_is_had_by_one: RoundsUpWhatIsLeft No,
    a_lease_tells_where_the_part_stands: TellsWaitersTheStart No,
    a_lease_is_renewed_by_its_holder: NeverRenews No,
    a_lease_that_is_given_up_is_free: NeverGivesUp No,
    nobody_gives_up_the_lease_of_another: AnybodyGivesUp No,
    a_lease_that_has_expired_is_free: NeverExpiresWithoutEvents Nothing,
    a_lease_that_has_expired_and_that_nobody_took_still_holds: ExpiredIsLost No,
    a_lease_is_taken_by_force: ForceIsNotTold No,
    a_late_batch_after_a_takeover_is_refused: TakesLateBatches No,
    a_late_reset_after_a_takeover_is_refused: TakesLateResets No,
    a_batch_renews_its_lease: BatchesDoNotRenew No,
    one_of_many_claims_is_granted: LooksBeforeItTakes No,
    an_event_that_is_set_aside_is_a_dead_letter: CountsAttempts No,
    letters_are_listed_in_order_and_in_pages: PagesAreWhole No,
    letters_of_one_stream_are_listed_alone: StreamsAreNotTold No,
    later_events_of_a_stream_are_parked_and_others_go_on: TellsOneParked No,
    a_letter_that_is_there_already_is_no_trouble: RefusesKnownLetters No,
    a_letter_that_is_retried_is_applied_and_removed: ListsWhatWasRetried No,
    a_retry_that_fails_leaves_the_letter: FailedRetryRemoves No,
    letters_of_a_stream_are_applied_in_order: RetriesOutOfOrder No,
    a_letter_that_is_resolved_is_removed_unapplied: ResolvingClearsTheStream No,
    settling_what_is_not_there_does_nothing: RetriesWhatIsNotThere No,
    a_stream_without_letters_goes_on: ParksForEver No,
    a_refused_batch_sets_nothing_aside: SetsAsideBeforeItChecks No,
    a_reset_removes_the_letters: KeepsLettersAtReset No,
    letters_of_another_projection_are_none_of_ours: LettersAreEverybodys No,
    a_checkpoint_is_kept_to_the_last_bit: PositionsAreFloats No,
    names_differ_to_the_last_character: NamesIgnoreCase No,
    what_a_letter_says_is_kept: CutsReasons No,
    letters_survive_a_change_of_parts: LosesLettersWithTheParts No,
    a_letter_parks_its_stream_in_every_later_batch: ParksTheNextBatchAlone No,
    a_lease_tells_who_has_it_now: TellsTheFirstOwner No,
    a_step_that_failed_is_applied_when_it_is_mended: GivesUpAfterTwo No,
    a_batch_that_is_sent_twice_at_once_is_applied_once: ChecksBeforeItsTurn No,
    dropped_batches_leave_the_projection_usable: KeepsALock Nothing,
}

#[test]
fn each_case_has_a_flaw() {
    let all: &[&str] = eventsource_runtime::projection_suite! { @cases [names] [] };
    assert_eq!(unflawed(all, CASES), [""; 0]);
}

#[test]
fn each_flaw_is_found_by_its_case_alone() {
    let found = found_by_others(CASES);
    assert!(found.is_empty(), "found by other cases as well: {found:#?}");
}
