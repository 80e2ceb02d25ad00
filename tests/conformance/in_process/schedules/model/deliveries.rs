//! What may become of a message that was delivered.

use eventsource_runtime::bus::BusError;

use super::{Copy, Fate, Model, Phase};

impl Model {
    fn copy(&mut self, number: usize, group: usize) -> &mut Copy {
        let new = || Copy { holder: None, phase: Phase::Waiting, failures: 0, batched: false };
        self.groups[group].copies.entry(number).or_insert_with(new)
    }

    fn group_of(&self, member: usize) -> usize {
        self.members[member].group
    }

    /// The bus has given a member a message.
    pub(in crate::in_process::schedules) fn taken(&mut self, member: usize, number: usize) {
        self.step(format_args!("member {member} takes message {number}"));
        let group = self.group_of(member);
        self.require(self.closed.is_none(), || format!("message {number} came after the bus was shut down"));
        self.require(self.sent[number].fate != Fate::Refused, || {
            format!("message {number} was refused, and delivered")
        });
        if self.phase(number, group).is_none() {
            self.groups[group].firsts.push(number);
            self.seen.deliveries += 1;
        }
        let (holder, phase) = (self.copy(number, group).holder, self.copy(number, group).phase);
        self.require(holder.is_none() && phase == Phase::Waiting, || {
            format!("message {number} came to member {member} of group {group} while it was {phase:?} at {holder:?}")
        });
        self.copy(number, group).holder = Some(member);
        let passes = self.unfinished_before(number, group, |copy| copy.holder == Some(member));
        self.require(passes.is_none(), || {
            format!("message {number} came to member {member} of group {group} before message {passes:?}")
        });
        self.check_room(group);
    }

    /// A message of the same stream that comes before another, and is neither settled nor as it may be.
    fn unfinished_before(&self, number: usize, group: usize, may_be: impl Fn(&Copy) -> bool) -> Option<usize> {
        (0..self.sent.len()).find(|earlier| {
            let copy = self.groups[group].copies.get(earlier);
            let is_done = copy.is_some_and(|copy| copy.phase == Phase::Settled || may_be(copy));
            self.is_before(*earlier, number) && self.is_there(*earlier, group) && !is_done
        })
    }

    /// A handler is called with messages, and how often each has failed.
    pub(in crate::in_process::schedules) fn begun(&mut self, group: usize, batch: &[(usize, u32)]) {
        self.step(format_args!("group {group} handles {batch:?}"));
        let holder = self.copy(batch[0].0, group).holder;
        let Some(member) = holder else {
            return self.require(false, || format!("group {group} handles {batch:?}, which nobody has taken"));
        };
        let retries = self.members[member].retries;
        for &(number, attempt) in batch {
            let Copy { holder, phase, failures, batched } = *self.copy(number, group);
            let is_due = matches!(phase, Phase::Waiting | Phase::Failed(false)) && holder == Some(member);
            let in_bounds = attempt == failures && failures <= retries.max(u32::from(batched));
            self.require(is_due && in_bounds, || {
                format!("attempt {attempt} of message {number} in group {group}, {phase:?} with {failures} failures")
            });
            let stream = self.sent[number].stream;
            let is_alone = batch.iter().any(|(other, _)| *other < number && self.sent[*other].stream == stream)
                || self.groups[group].handling.insert(stream);
            self.require(is_alone, || format!("two messages of stream {stream} are handled at once in group {group}"));
            let passes = self.unfinished_before(number, group, |copy| {
                copy.holder == Some(member) && matches!(copy.phase, Phase::Succeeded | Phase::Running)
            });
            self.require(passes.is_none(), || {
                format!("message {number} is handled in group {group} before message {passes:?}")
            });
            self.copy(number, group).phase = Phase::Running;
            self.seen.retries += usize::from(attempt > 0);
        }
    }

    /// A handler has ended, well or not; or it was dropped, which is a failure like any other.
    pub(in crate::in_process::schedules) fn handled(
        &mut self,
        group: usize,
        batch: &[(usize, u32)],
        result: Result<(), bool>,
    ) {
        self.step(format_args!("group {group} has handled {batch:?}: {result:?}"));
        for &(number, _) in batch {
            let stream = self.sent[number].stream;
            self.groups[group].handling.remove(&stream);
            let Some(member) = self.copy(number, group).holder else {
                self.require(false, || format!("message {number} was given back while it was handled"));
                continue;
            };
            let (retries, is_alone) = (self.members[member].retries, batch.len() == 1);
            let copy = self.copy(number, group);
            if let Err(permanent) = result {
                copy.failures += 1;
                copy.batched |= !is_alone;
                copy.phase = Phase::Failed(is_alone && (permanent || copy.failures > retries));
            } else {
                copy.phase = Phase::Succeeded;
            }
        }
    }

    /// The bus was asked to keep a message as a dead letter.
    pub(in crate::in_process::schedules) fn parked(
        &mut self,
        member: usize,
        number: usize,
        result: &Result<(), BusError>,
    ) {
        self.step(format_args!("member {member} has kept letter {number}: {result:?}"));
        let group = self.group_of(member);
        let phase = self.copy(number, group).phase;
        self.require(phase == Phase::Failed(true), || format!("message {number} was {phase:?}, and became a letter"));
        let is_full = self.is_full_of_letters(&self.groups[group]);
        let waits = self.limits.confirms && self.closed.is_none();
        let is_right = match result {
            Ok(()) => !is_full,
            Err(BusError::Unkeepable { .. }) => is_full && !waits,
            Err(_) => is_full && waits,
        };
        self.require(is_right, || format!("letter {number} of group {group}, full: {is_full}, was kept: {result:?}"));
        match result {
            Ok(()) => {
                self.groups[group].letters.push(number);
                self.copy(number, group).phase = Phase::Parked;
            }
            Err(BusError::Unkeepable { .. }) => self.copy(number, group).phase = Phase::Unkeepable,
            Err(_) => {}
        }
    }

    pub(in crate::in_process::schedules) fn settled(&mut self, member: usize, number: usize) {
        self.step(format_args!("member {member} settles message {number}"));
        let group = self.group_of(member);
        let phase = std::mem::replace(&mut self.copy(number, group).phase, Phase::Settled);
        self.copy(number, group).holder = None;
        let member = &mut self.members[member];
        match phase {
            Phase::Succeeded => member.acknowledged += 1,
            Phase::Parked => member.dead_lettered += 1,
            Phase::Unkeepable => member.unkeepable += 1,
            _ => self.require(false, || format!("message {number} of group {group} was settled when {phase:?}")),
        }
    }

    /// A member has dropped a message unsettled.
    pub(in crate::in_process::schedules) fn given_back(&mut self, member: usize, number: usize) {
        self.step(format_args!("member {member} gives message {number} back"));
        let (group, may_abort) = (self.group_of(member), self.members[member].may_abort);
        self.require(may_abort, || format!("member {member} gave message {number} back without a reason"));
        self.members[member].given_back += 1;
        self.seen.given_back += 1;
        *self.copy(number, group) = Copy { holder: None, phase: Phase::Waiting, failures: 0, batched: false };
    }
}
