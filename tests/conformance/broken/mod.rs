//! Whether the suite is worth its time: for each case there is a broken store that passes all the others.

mod append;
mod defect;
mod read;
mod store;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::time::Duration;

use defect::{DEFECTS, Defect};
use eventsource_runtime::testing::suite::event_store;
use store::Broken;

/// Cases that meet what nobody thought of. They may find any defect, so that others need not be found by one case
/// alone.
const GENERAL: [&str; 2] = ["histories_are_linearizable", "random_calls_do_what_the_model_does"];
/// How long a case may take that is to pass, and one that is to fail, which it may do by never ending.
const PASSES_WITHIN: Duration = Duration::from_mins(2);
const FAILS_WITHIN: Duration = Duration::from_secs(3);

/// What a case says of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    No,
    /// It does not end: where this is what a defect does, the case waits for what never comes.
    Nothing,
}

type Case = (&'static str, fn(Defect, Duration) -> Said);

macro_rules! cases {
    (@ [] $($case:ident)*) => {
        const CASES: &[Case] = &[
            $((stringify!($case), |defect, time| {
                said(time, Box::pin(event_store::$case(async || Broken::new(defect))))
            }),)*
        ];
    };
}
eventsource_runtime::event_store_suite! { @cases [cases] [] }

/// What runs a case is compiled once, rather than for each one's type.
fn said(time: Duration, case: Pin<Box<dyn Future<Output = ()> + '_>>) -> Said {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name(QUIET).enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    let said = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { tokio::time::timeout(time, case).await })));
    runtime.shutdown_background();
    match said {
        Ok(Ok(())) => Said::Yes,
        Ok(Err(_)) => Said::Nothing,
        Err(_) => Said::No,
    }
}

/// The name of threads whose panics are the point of the test.
const QUIET: &str = "broken";

fn silence_quiet_threads() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(QUIET) {
                told(panic);
            }
        }));
    });
}

/// Runs something in a thread whose panics are not told.
fn quietly<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    silence_quiet_threads();
    let thread = std::thread::Builder::new().name(QUIET.to_owned()).spawn(run).expect("a thread can be started");
    thread.join().expect("what panics is caught")
}

/// What a case says of something broken, which it has to do within a time.
pub(super) fn verdict_within<F: Future<Output = ()>>(
    time: Duration,
    case: impl FnOnce() -> F + Send + 'static,
) -> Said {
    let says: Box<dyn FnOnce() -> Said + Send> = Box::new(move || said(time, Box::pin(async { case().await })));
    quietly(says)
}

/// What a case says of something broken at which it ends.
pub(super) fn verdict<F: Future<Output = ()>>(case: impl FnOnce() -> F + Send + 'static) -> Said {
    verdict_within(PASSES_WITHIN, case)
}

/// What it says within a time in which it says that what is sound is so: what never ends is told from what a busy
/// machine takes long for.
fn told_apart(says: impl Fn(Duration) -> Said, of_the_sound: impl Fn(Duration) -> Said) -> Said {
    let mut time = FAILS_WITHIN;
    loop {
        let said = says(time);
        if said != Said::Nothing || of_the_sound(time) == Said::Yes {
            return said;
        }
        time *= 2;
        assert!(time <= PASSES_WITHIN, "what is sound passes in time");
    }
}

/// What it says in the end of something that it is there to find broken: some flaws are seen only where things happen at
/// once, which on a busy machine they may not the first time. Whether it ends is looked at where it is not to.
pub(super) fn verdict_at_last<F: Copy>(expected: Said, says: fn(F, Duration) -> Said, flaw: F, sound: F) -> Said {
    let once = || match expected {
        Said::Nothing => told_apart(|time| says(flaw, time), |time| says(sound, time)),
        Said::Yes | Said::No => says(flaw, PASSES_WITHIN),
    };
    (0..100).map(|_| once()).find(|said| *said != Said::Yes).unwrap_or(Said::Yes)
}

/// A case, the flaw that it is there for, and what it says within a time of something with some flaw.
pub(super) type Notices<F> = (&'static str, F, fn(F, Duration) -> Said);

/// The names of all cases of a suite.
macro_rules! names {
    (@ [] $($case:ident)*) => {
        &[$(stringify!($case)),*]
    };
}
pub(super) use names;

/// The cases of a suite for which there is no flaw.
pub(super) fn unflawed<F>(all: &[&'static str], cases: &[Notices<F>]) -> Vec<&'static str> {
    all.iter().copied().filter(|case| cases.iter().all(|(known, ..)| known != case)).collect()
}

/// The flaws that other cases find as well, each with such a case.
pub(super) fn found_by_others<F: Copy>(cases: &[Notices<F>]) -> Vec<(F, &'static str)> {
    let (mut found, mut time) = (Vec::new(), PASSES_WITHIN);
    for (own, flaw, _) in cases {
        for (case, _, says) in cases.iter().filter(|(case, ..)| case != own) {
            let said = says(*flaw, time);
            if said == Said::Nothing {
                // It is found, and no longer worth the patience that a busy machine may need.
                time = FAILS_WITHIN;
            }
            if said != Said::Yes {
                found.push((*flaw, *case));
            }
        }
    }
    found
}

/// A test for each case of a suite, which fails what has the flaw that it is there for; that each case has one; and
/// that no other case finds it. The flaws are those of the caller's `Flaw`, whose `None` is sound.
macro_rules! each_case_notices {
    ($suite:ident, $made:path, [$($names:expr),+ $(,)?]; $($case:ident: $flaw:ident $said:ident),* $(,)?) => {
        $(
            #[test]
            fn $case() {
                let expected = $crate::broken::Said::$said;
                assert_eq!(says_at_last(stringify!($case), Flaw::$flaw, expected), expected, "of {:?}", Flaw::$flaw);
            }
        )*

        /// What a case says in the end of what has a flaw.
        fn says_at_last(case: &str, flaw: Flaw, expected: $crate::broken::Said) -> $crate::broken::Said {
            let (.., says) = CASES.iter().find(|(known, ..)| *known == case).expect("the case is one of those here");
            $crate::broken::verdict_at_last(expected, *says, flaw, Flaw::None)
        }

        const CASES: &[$crate::broken::Notices<Flaw>] = &[$((stringify!($case), Flaw::$flaw, |flaw, time| {
            $crate::broken::verdict_within(time, move || $suite::$case(async move || $made(flaw)))
        }),)*];

        #[test]
        fn each_case_has_a_flaw() {
            let all: &[&[&str]] = &[$($names),+];
            assert_eq!($crate::broken::unflawed(&all.concat(), CASES), [""; 0]);
        }

        #[test]
        fn each_flaw_is_found_by_its_case_alone() {
            let found = $crate::broken::found_by_others(CASES);
            assert!(found.is_empty(), "found by other cases as well: {found:#?}");
        }
    };
}
pub(super) use each_case_notices;

#[test]
fn each_case_has_a_defect_and_each_defect_a_case() {
    let named: Vec<_> = DEFECTS.iter().map(|(_, case)| *case).collect();
    for (case, _) in CASES {
        assert!(named.contains(case), "no defect is found by `{case}`");
    }
    for case in named {
        assert!(CASES.iter().any(|(known, _)| *known == case), "there is no case `{case}`");
    }
}

#[test]
fn each_defect_is_found_by_its_case() {
    let missed = quietly(|| {
        let missed = DEFECTS.iter().filter(|(defect, name)| {
            let is_found = |says: &fn(Defect, Duration) -> Said| {
                told_apart(|time| says(*defect, time), |time| says(Defect::None, time)) != Said::Yes
            };
            // Some are seen only where things happen at once, which on a busy machine they may not the first time.
            CASES.iter().any(|(case, says)| case == name && !(0..100).any(|_| is_found(says)))
        });
        missed.collect::<Vec<_>>()
    });
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[test]
fn each_defect_is_found_by_its_case_alone() {
    let found = quietly(|| {
        let mut found = Vec::new();
        for (defect, name) in DEFECTS {
            let others = CASES.iter().filter(|(case, _)| case != name && !GENERAL.contains(case));
            let by = others.filter(|(_, said)| said(*defect, PASSES_WITHIN) != Said::Yes).map(|(case, _)| *case);
            found.extend(by.map(|case| (*defect, case)));
        }
        found
    });
    assert!(found.is_empty(), "found by other cases as well: {found:#?}");
}
