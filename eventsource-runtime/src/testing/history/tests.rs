//! Tests the checker on histories of a correct store and of twenty wrong ones.

use super::*;
use crate::testing::suite::event_store::Random;

macro_rules! bugs {
    ($($bug:ident)*) => {
        /// What may be wrong with a store of lists.
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Bug {
            None,
            $($bug,)*
        }

        const BUGS: [Bug; 20] = [$(Bug::$bug),*];
    };
}

bugs! {
    LosesAnAcknowledgedAppend
    StoresTwice
    StoresAPart
    StoresInReverse
    StoresBeforeTheEnd
    StoresWhatItRefused
    ReadsTheStateOfEarlier
    ReadsWithoutTheLast
    ReadsWhatWasNeverAppended
    ReadsInReverse
    ReadsAHole
    ForgetsAfterAcknowledging
    AdmitsAStaleVersion
    AdmitsNoStreamOfAStream
    RefusesARightVersion
    ReturnsTheVersionBefore
    ReturnsAnOlderActualVersion
    DecidesOnTheStateOfEarlier
    RepeatedReturnsTheEnd
    RepeatedIsAConflict
}

/// A store with a bug, which shows at about every third opportunity.
struct Store {
    bug: Bug,
    state: Vec<Uuid>,
    /// As it was before each call.
    past: Vec<Vec<Uuid>>,
}

impl Store {
    fn call(&mut self, what: &What, random: &mut Random) -> Seen {
        self.past.push(self.state.clone());
        if random.below(3) == 0 { self.wrong(what) } else { apply(&mut self.state, what) }
    }

    /// So long ago that no overlap of calls explains it.
    fn earlier(&self) -> Vec<Uuid> {
        self.past.iter().rev().nth(8).cloned().unwrap_or_default()
    }

    fn wrong(&mut self, what: &What) -> Seen {
        match what {
            What::Read => self.wrong_read(),
            What::Append { expected, ids } => self.wrong_append(what, *expected, ids),
        }
    }

    fn wrong_read(&mut self) -> Seen {
        let mut events = self.state.clone();
        match self.bug {
            Bug::ReadsTheStateOfEarlier => events = self.earlier(),
            Bug::ReadsWithoutTheLast => drop(events.pop()),
            Bug::ReadsWhatWasNeverAppended => events.push(Uuid::now_v7()),
            Bug::ReadsInReverse => events.reverse(),
            Bug::ReadsAHole if events.len() > 2 => drop(events.remove(1)),
            _ => {}
        }
        Seen::Events(events)
    }

    fn wrong_append(&mut self, what: &What, expected: ExpectedVersion, ids: &[Uuid]) -> Seen {
        let before = self.state.clone();
        let seen = match self.bug {
            Bug::DecidesOnTheStateOfEarlier => {
                let mut earlier = self.earlier();
                let seen = apply(&mut earlier, what);
                if let Seen::Made { .. } = seen {
                    self.state.extend_from_slice(ids);
                }
                return seen;
            }
            Bug::AdmitsAStaleVersion if matches!(expected, ExpectedVersion::Exact(_)) => self.anyhow(ids),
            Bug::AdmitsNoStreamOfAStream if expected == ExpectedVersion::NoStream => self.anyhow(ids),
            _ => apply(&mut self.state, what),
        };
        match (self.bug, &seen) {
            (Bug::LosesAnAcknowledgedAppend, Seen::Made { .. }) => self.state = before,
            (Bug::StoresAPart, Seen::Made { .. }) if ids.len() > 1 => drop(self.state.pop()),
            (Bug::StoresInReverse, Seen::Made { .. }) => {
                self.state.truncate(before.len());
                self.state.extend(ids.iter().rev());
            }
            (Bug::StoresBeforeTheEnd, Seen::Made { .. }) => self.state.rotate_right(ids.len()),
            (Bug::StoresTwice, Seen::Made { .. }) | (Bug::StoresWhatItRefused, Seen::Conflict { .. }) => {
                self.state.extend_from_slice(ids);
            }
            (Bug::ForgetsAfterAcknowledging, Seen::Made { .. }) => self.state.clear(),
            (Bug::RefusesARightVersion, Seen::Made { .. }) => {
                self.state = before;
                return Seen::Conflict { actual: self.state.len() };
            }
            (Bug::ReturnsTheVersionBefore, Seen::Made { version }) => return Seen::Made { version: version - 1 },
            (Bug::ReturnsAnOlderActualVersion, Seen::Conflict { actual }) => {
                return Seen::Conflict { actual: actual.saturating_sub(1) };
            }
            (Bug::RepeatedReturnsTheEnd, Seen::Repeated { .. }) => {
                return Seen::Repeated { version: self.state.len() };
            }
            (Bug::RepeatedIsAConflict, Seen::Repeated { .. }) => return Seen::Conflict { actual: self.state.len() },
            _ => {}
        }
        seen
    }

    /// Appends whatever is expected.
    fn anyhow(&mut self, ids: &[Uuid]) -> Seen {
        apply(&mut self.state, &What::Append { expected: ExpectedVersion::Any, ids: ids.to_vec() })
    }
}

/// What four tasks call, each call with a begin, a moment of effect and an end that overlap with those of the others.
fn history(bug: Bug, seed: u64) -> Vec<Call> {
    let mut random = Random(seed);
    let mut store = Store { bug, state: Vec::new(), past: Vec::new() };
    let mut begins = [0_usize; 4];
    let mut planned = Vec::new();
    for number in 0..20 {
        let task = number % begins.len();
        let begun = begins[task] + 1 + random.below(5);
        let effect = begun + 1 + random.below(5);
        let end = effect + 1 + random.below(5);
        begins[task] = end;
        planned.push((effect, begun, end));
    }
    planned.sort_unstable();
    let (mut batches, mut calls) = (Vec::new(), Vec::new());
    for (_, begun, end) in planned {
        let what = what(&store.state, &mut batches, &mut random);
        let answered = random.below(8) != 0;
        let returned = store.call(&what, &mut random);
        calls.push(Call {
            begun,
            ended: answered.then_some(end),
            what,
            seen: if answered { returned } else { Seen::Unknown },
        });
    }
    calls
}

fn what(state: &[Uuid], batches: &mut Vec<Vec<Uuid>>, random: &mut Random) -> What {
    let version = Version::new(state.len() as u64);
    let expected = match random.below(6) {
        0 | 1 => return What::Read,
        2 => ExpectedVersion::Any,
        3 => ExpectedVersion::NoStream,
        4 => ExpectedVersion::Exact(Version::new(version.get().saturating_sub(1))),
        _ => ExpectedVersion::Exact(version),
    };
    if batches.is_empty() || random.below(4) != 0 {
        batches.push((0..=random.below(3)).map(|_| Uuid::now_v7()).collect());
        return What::Append { expected, ids: batches[batches.len() - 1].clone() };
    }
    What::Append { expected, ids: batches[random.below(batches.len())].clone() }
}

#[test]
fn histories_of_a_right_store_are_linearizable() {
    for seed in 0..500 {
        let calls = history(Bug::None, seed);
        assert!(is_linearizable(&calls), "seed {seed}: {calls:#?}");
    }
}

#[test]
fn each_of_twenty_bugs_is_found() {
    for bug in BUGS {
        let found = (0..100).filter(|seed| !is_linearizable(&history(bug, *seed))).count();
        assert!(found > 0, "{bug:?} was not found in 100 histories");
    }
}

#[test]
fn an_append_that_nobody_got_an_answer_to_may_or_may_not_be_made() {
    let ids = vec![Uuid::now_v7()];
    let what = What::Append { expected: ExpectedVersion::Any, ids: ids.clone() };
    let lost = Call { begun: 1, ended: None, what, seen: Seen::Unknown };
    let read = |begun, events: &[Uuid]| Call {
        begun,
        ended: Some(begun + 1),
        what: What::Read,
        seen: Seen::Events(events.to_vec()),
    };
    assert!(is_linearizable(&[lost.clone(), read(2, &[]), read(4, &ids)]));
    assert!(is_linearizable(&[lost.clone(), read(2, &[]), read(4, &[])]));
    assert!(!is_linearizable(&[lost, read(2, &ids), read(4, &[])]));
}
