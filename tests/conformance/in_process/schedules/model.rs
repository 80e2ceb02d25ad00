//! What a bus within the process may do: a model that is told of every step, and finds the one that breaks a promise.

mod deliveries;
mod end;
mod publications;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::ops::Range;

use eventsource_runtime::bus::Tally;

use super::Seen;

/// The names of the groups, in the order in which the bus keeps them.
pub(super) const GROUPS: [&str; 3] = ["group 0", "group 1", "group 2"];

pub(super) fn group_of(name: &str) -> usize {
    GROUPS.iter().position(|group| *group == name).expect("a group of ours")
}

/// How the bus is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) capacity: usize,
    pub(super) refuses: bool,
    pub(super) dead_letters: usize,
    pub(super) refuses_unroutable: bool,
    pub(super) confirms: bool,
}

/// What became of the publication of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Accepted,
    Refused,
    /// Its publisher does not know.
    Unknown,
}

struct Sent {
    stream: u64,
    call: Range<usize>,
    by_handler: bool,
    begun: u64,
    /// When it was certainly not published yet.
    unpublished: u64,
    /// When its publisher learned of its fate.
    ended: Option<u64>,
    fate: Fate,
    /// The groups that have to get it, since they took messages all the time.
    certain: [bool; GROUPS.len()],
    /// Those that may get it, since they took messages at some time.
    possible: [bool; GROUPS.len()],
}

#[derive(Default)]
struct Group {
    members: usize,
    present: usize,
    takes: bool,
    /// When it last began to take messages, and ceased to.
    rose: u64,
    fell: u64,
    /// Its messages in the order in which they first came.
    firsts: Vec<usize>,
    copies: BTreeMap<usize, Copy>,
    /// The streams of which a message is being handled.
    handling: BTreeSet<u64>,
    letters: Vec<usize>,
    last_stopped: Option<usize>,
}

/// A message as a group has it.
struct Copy {
    holder: Option<usize>,
    phase: Phase,
    failures: u32,
    /// Whether it has failed as one of several.
    batched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    /// It failed, and is due for the dead letters or not.
    Failed(bool),
    Succeeded,
    Parked,
    Unkeepable,
    Settled,
}

#[derive(Default)]
struct Member {
    group: usize,
    retries: u32,
    is_stopped: bool,
    may_abort: bool,
    given_back: u64,
    acknowledged: u64,
    dead_lettered: u64,
    unkeepable: u64,
}

pub(super) struct Model {
    limits: Limits,
    now: u64,
    /// Since when the bus is being shut down, and since when it is.
    closing: Option<u64>,
    closed: Option<u64>,
    groups: [Group; GROUPS.len()],
    members: Vec<Member>,
    sent: Vec<Sent>,
    /// The promise that was broken first.
    pub(super) broken: Option<String>,
    /// What has happened.
    pub(super) steps: Vec<String>,
    pub(super) seen: Seen,
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        let (groups, seen) = Default::default();
        let (members, sent) = (Vec::new(), Vec::new());
        Self {
            limits,
            now: 0,
            closing: None,
            closed: None,
            groups,
            members,
            sent,
            broken: None,
            steps: Vec::new(),
            seen,
        }
    }

    pub(super) fn require(&mut self, holds: bool, promise: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(promise());
        }
    }

    fn step(&mut self, what: Arguments) -> u64 {
        self.now += 1;
        self.steps.push(format!("{} {what}", self.now));
        self.now
    }

    pub(super) fn sent(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether somebody may wait without end: for a group that is gone, or for room among dead letters.
    pub(super) fn may_wait(&self) -> bool {
        let is_stuck = |group: &Group| group.takes && (group.present == 0 || self.is_full_of_letters(group));
        self.limits.confirms && self.groups.iter().any(is_stuck)
    }

    fn is_full_of_letters(&self, group: &Group) -> bool {
        group.letters.len() >= self.limits.dead_letters
    }

    pub(super) fn joined(&mut self, group: usize) -> usize {
        let now = self.step(format_args!("member {} joins group {group}", self.members.len()));
        self.require(self.closing.is_none(), || "a member joined a bus that was shut down".into());
        for number in 0..self.sent.len() {
            if self.waits(number) {
                self.sent[number].unpublished = now;
            }
        }
        let joined = &mut self.groups[group];
        joined.members += 1;
        joined.present += 1;
        if !joined.takes {
            (joined.takes, joined.rose) = (true, now);
        }
        self.members.push(Member { group, ..Member::default() });
        self.members.len() - 1
    }

    /// What the member that has just joined asked for.
    pub(super) fn set_up_newest(&mut self, retries: u32) -> usize {
        let newest = self.members.len() - 1;
        self.members[newest].retries = retries;
        newest
    }

    pub(super) fn may_abort(&mut self, member: usize) {
        self.members[member].may_abort = true;
    }

    pub(super) fn stopped(&mut self, member: usize) {
        let confirms = self.limits.confirms;
        if !std::mem::replace(&mut self.members[member].is_stopped, true) {
            let now = self.step(format_args!("member {member} stops"));
            let left = &mut self.groups[self.members[member].group];
            left.members -= 1;
            left.last_stopped = Some(member);
            if left.members == 0 && !confirms {
                (left.takes, left.fell) = (false, now);
            }
        }
    }

    pub(super) fn gone(&mut self, member: usize) {
        self.stopped(member);
        self.step(format_args!("member {member} is gone"));
        let group = &mut self.groups[self.members[member].group];
        group.present -= 1;
        let holds = group.copies.iter().find(|(_, copy)| copy.holder == Some(member)).map(|(number, _)| *number);
        self.require(holds.is_none(), || format!("member {member} is gone with message {holds:?}"));
    }

    /// A member has ended as it says, with all that it took done.
    pub(super) fn ended(&mut self, member: usize, tally: &Tally) {
        let Member { acknowledged, dead_lettered, unkeepable, given_back, .. } = self.members[member];
        let told = (tally.acknowledged, tally.dead_lettered, tally.unkeepable);
        let counted = (acknowledged, dead_lettered, unkeepable);
        self.require(told == counted && given_back == 0, || {
            format!("member {member} tells {told:?}, it was {counted:?}, and {given_back} came back")
        });
    }

    /// A member was aborted; what it was about to settle together it counts as left.
    pub(super) fn aborted(&mut self, member: usize, left: u64) {
        let Member { may_abort, given_back, .. } = self.members[member];
        self.require(may_abort && left >= given_back, || {
            format!("member {member} was aborted ({may_abort}) with {left} left, {given_back} came back")
        });
    }

    /// Whether any group has got a message.
    fn has_come(&self, number: usize) -> bool {
        self.groups.iter().any(|group| group.copies.contains_key(&number))
    }

    fn phase(&self, number: usize, group: usize) -> Option<Phase> {
        self.groups[group].copies.get(&number).map(|copy| copy.phase)
    }

    /// Whether a group has got a message, or is going to.
    fn is_in(&self, number: usize, group: usize) -> bool {
        let sent = &self.sent[number];
        sent.fate == Fate::Accepted && sent.certain[group] || self.phase(number, group).is_some()
    }

    fn is_there(&self, number: usize, group: usize) -> bool {
        self.is_in(number, group) && self.phase(number, group) != Some(Phase::Settled)
    }

    /// How many messages of a group are not settled, at least and at most.
    fn unsettled(&self, group: usize) -> (usize, usize) {
        let takes_since = |begun| self.groups[group].takes || self.groups[group].fell >= begun;
        let may_be = |sent: &Sent| match sent.fate {
            Fate::UnderWay => takes_since(sent.begun),
            Fate::Accepted | Fate::Unknown => sent.possible[group],
            Fate::Refused => false,
        };
        let all = 0..self.sent.len();
        let least = all.clone().filter(|number| self.is_there(*number, group)).count();
        let perhaps = |number: &usize| !self.is_in(*number, group) && may_be(&self.sent[*number]);
        (least, least + all.filter(perhaps).count())
    }

    /// Whether it is known that one message of a stream was published before another.
    fn is_before(&self, earlier: usize, later: usize) -> bool {
        let (first, second) = (&self.sent[earlier], &self.sent[later]);
        let is_before = || {
            if first.call == second.call {
                earlier < later
            } else {
                first.ended.is_some_and(|ended| ended < second.begun)
            }
        };
        first.stream == second.stream && is_before()
    }
}
