//! What several tasks called on one stream and saw of it, and whether one order of the calls explains it.
//!
//! The check is that of Wing, Gong and Lowe: it looks for an order in which each call happens at one moment between its
//! begin and its end, and in which a list with compare-and-append returns what was returned.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::store::{AppendError, Appended, ExpectedVersion, Version};
use crate::sync::Mutex;

#[cfg(test)]
mod tests;

/// How many calls a history may have: each is a bit of a word.
const MAX_CALLS: usize = 64;

/// Calls as they are made. A clone is another handle to the same history.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    moment: usize,
    calls: Vec<Call>,
}

/// A call, when it was made, and its result.
#[derive(Clone, Debug)]
pub(super) struct Call {
    begun: usize,
    /// `None`: it is unknown whether and when it took effect.
    ended: Option<usize>,
    what: What,
    seen: Seen,
}

#[derive(Clone, Debug)]
enum What {
    Read,
    Append { expected: ExpectedVersion, ids: Vec<Uuid> },
}

/// What a call returned.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Unknown,
    Events(Vec<Uuid>),
    Made { version: usize },
    Repeated { version: usize },
    Conflict { actual: usize },
    Mismatch,
}

/// A call in progress. If dropped without an answer it has no end: it may take effect at any later moment, or never.
#[derive(Debug)]
pub(super) struct UnderWay {
    history: History,
    number: usize,
}

impl History {
    fn begin(&self, what: What) -> UnderWay {
        let mut notes = self.0.lock();
        notes.moment += 1;
        let call = Call { begun: notes.moment, ended: None, what, seen: Seen::Unknown };
        notes.calls.push(call);
        UnderWay { history: self.clone(), number: notes.calls.len() - 1 }
    }

    pub(super) fn begin_read(&self) -> UnderWay {
        self.begin(What::Read)
    }

    pub(super) fn begin_append(&self, expected: ExpectedVersion, ids: impl Iterator<Item = Uuid>) -> UnderWay {
        self.begin(What::Append { expected, ids: ids.collect() })
    }

    pub(super) fn into_calls(self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().calls)
    }
}

impl UnderWay {
    fn end(self, seen: Seen) {
        let mut notes = self.history.0.lock();
        notes.moment += 1;
        let moment = notes.moment;
        if let Some(call) = notes.calls.get_mut(self.number) {
            (call.ended, call.seen) = (Some(moment), seen);
        }
    }

    pub(super) fn read(self, ids: impl Iterator<Item = Uuid>) {
        self.end(Seen::Events(ids.collect()));
    }

    pub(super) fn appended(self, result: &Result<Appended, AppendError>) {
        match Seen::of(result) {
            // It may have taken effect before it failed.
            Seen::Unknown => drop(self),
            seen => self.end(seen),
        }
    }
}

impl Seen {
    pub(super) fn of(result: &Result<Appended, AppendError>) -> Self {
        let number = |version: Version| usize::try_from(version.get()).unwrap_or(usize::MAX);
        match result {
            Ok(appended) if appended.repeated => Self::Repeated { version: number(appended.version) },
            Ok(appended) => Self::Made { version: number(appended.version) },
            Err(AppendError::Conflict(conflict)) => Self::Conflict { actual: number(conflict.actual) },
            Err(AppendError::IdempotencyMismatch { .. }) => Self::Mismatch,
            Err(_) => Self::Unknown,
        }
    }
}

/// Applies a call to a list of events, and returns what the call returns.
fn apply(state: &mut Vec<Uuid>, what: &What) -> Seen {
    match what {
        What::Read => Seen::Events(state.clone()),
        What::Append { expected, ids } => append(state, *expected, ids),
    }
}

/// What a stream should do that is a list.
pub(super) fn append(state: &mut Vec<Uuid>, expected: ExpectedVersion, ids: &[Uuid]) -> Seen {
    let found = ids.first().and_then(|first| state.iter().position(|id| id == first));
    if let Some(first) = found {
        let same = state.get(first..first + ids.len()) == Some(ids);
        return if same { Seen::Repeated { version: first + ids.len() } } else { Seen::Mismatch };
    }
    if ids.iter().any(|id| state.contains(id)) {
        return Seen::Mismatch;
    }
    let actual = state.len();
    if !expected.admits(Version::new(actual as u64)) {
        return Seen::Conflict { actual };
    }
    state.extend_from_slice(ids);
    Seen::Made { version: state.len() }
}

/// Whether one order of the calls explains what they returned.
///
/// # Panics
/// There are more than 64 calls.
pub(super) fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= MAX_CALLS, "a history has at most {MAX_CALLS} calls");
    let answered = (0..calls.len()).filter(|number| calls[*number].ended.is_some());
    let wanted = answered.fold(0, |done, number| done | 1 << number);
    let mut tried = HashSet::new();
    let mut open = vec![(0_u64, Vec::new())];
    while let Some((done, state)) = open.pop() {
        if done & wanted == wanted {
            return true;
        }
        for (number, call) in calls.iter().enumerate().filter(|(number, _)| may_be_next(calls, done, *number)) {
            let mut after = state.clone();
            let seen = apply(&mut after, &call.what);
            let next = (done | 1 << number, after);
            if (call.seen == Seen::Unknown || seen == call.seen) && tried.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    false
}

/// A call may be next if it is still open and no other open one had ended before it began.
fn may_be_next(calls: &[Call], done: u64, number: usize) -> bool {
    let is_open = |number: usize| done & (1 << number) == 0;
    let begun = calls[number].begun;
    is_open(number)
        && !calls
            .iter()
            .enumerate()
            .any(|(other, call)| is_open(other) && call.ended.is_some_and(|ended| ended < begun))
}
