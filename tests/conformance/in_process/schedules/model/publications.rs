//! What may become of a message that is published.

use std::ops::Range;

use eventsource_runtime::bus::PublishError;

use super::{Fate, GROUPS, Limits, Model, Phase, Sent, group_of};

impl Model {
    pub(in crate::in_process::schedules) fn call(&mut self, streams: &[u64], by_handler: bool) -> Range<usize> {
        let call = self.sent.len()..self.sent.len() + streams.len();
        let begun = self.step(format_args!("{call:?} are published to {streams:?}, by a handler: {by_handler}"));
        self.sent.extend(streams.iter().map(|stream| Sent {
            stream: *stream,
            call: call.clone(),
            by_handler,
            begun,
            unpublished: begun,
            ended: None,
            fate: Fate::UnderWay,
            certain: Default::default(),
            possible: Default::default(),
        }));
        self.seen.messages += streams.len();
        call
    }

    pub(in crate::in_process::schedules) fn gave_up(&mut self, call: Range<usize>) {
        let now = self.step(format_args!("the publication of {call:?} is over"));
        for number in call {
            let (Sent { begun, unpublished, .. }, groups) = (&self.sent[number], &self.groups);
            let possible = groups.each_ref().map(|group| group.takes || group.fell >= *begun);
            let certain = groups.each_ref().map(|group| group.takes && group.rose <= *unpublished);
            let sent = &mut self.sent[number];
            (sent.ended, sent.fate, sent.possible, sent.certain) = (Some(now), Fate::Unknown, possible, certain);
        }
    }

    /// Whether the publisher of a message is certainly waiting for room in a group.
    pub(super) fn waits(&self, number: usize) -> bool {
        let Sent { begun, fate, ref call, .. } = self.sent[number];
        let is_earlier = |other: &usize| *other < number || !call.contains(other);
        let is_full = |group: &usize| {
            let there = (0..self.sent.len()).filter(is_earlier).filter(|other| self.is_there(*other, *group));
            there.filter(|other| !self.sent[*other].by_handler).count() >= self.limits.capacity
        };
        let is_attended = |group: &usize| self.groups[*group].takes && self.groups[*group].rose < begun;
        let mut attended = (0..GROUPS.len()).filter(is_attended);
        fate == Fate::UnderWay && !self.has_come(number) && attended.any(|group| is_full(&group))
    }

    pub(in crate::in_process::schedules) fn published<T>(
        &mut self,
        call: Range<usize>,
        results: &[Result<T, PublishError>],
    ) {
        self.gave_up(call.clone());
        self.require(results.len() == call.len(), || "each message has a result".into());
        for sent in &mut self.sent[call.clone()] {
            sent.fate = Fate::Refused;
        }
        for (number, result) in call.zip(results) {
            match result {
                Ok(_) => self.accepted(number),
                Err(error) => self.refused(number, error),
            }
        }
    }

    fn accepted(&mut self, number: usize) {
        let Limits { confirms, refuses_unroutable, .. } = self.limits;
        let Sent { begun, by_handler, certain, possible, ref call, .. } = self.sent[number];
        let is_last = number + 1 == call.end;
        self.sent[number].fate = Fate::Accepted;
        let since = if by_handler { self.closed } else { self.closing };
        // The last one of a call is published at the moment when the caller hears of it.
        let is_late = !confirms && is_last && self.closed.is_some();
        self.require(since.is_none_or(|since| begun < since) && !is_late, || {
            format!("message {number} was accepted by a bus that was shut down")
        });
        self.require(!(confirms || refuses_unroutable) || possible.contains(&true), || {
            format!("message {number} was accepted for nobody")
        });
        for group in (0..GROUPS.len()).filter(|group| certain[*group]) {
            let is_settled = self.phase(number, group) == Some(Phase::Settled);
            self.require(!confirms || by_handler || is_settled, || {
                format!("message {number} was confirmed before group {group} had handled it")
            });
            self.check_room(group);
        }
    }

    fn refused(&mut self, number: usize, error: &PublishError) {
        self.step(format_args!("message {number} is refused: {error}"));
        let Limits { confirms, refuses, refuses_unroutable, capacity, .. } = self.limits;
        let Sent { stream, by_handler, certain, ref call, .. } = self.sent[number];
        let is_allowed = match error {
            PublishError::Closed if by_handler => self.closed.is_some(),
            PublishError::Closed => self.closing.is_some(),
            PublishError::Full { group, .. } => {
                // Where handling is waited for, the queue has changed by now.
                let is_full = confirms || self.unsettled(group_of(group)).1 >= capacity;
                self.seen.full += 1;
                refuses && is_full
            }
            PublishError::Unroutable { .. } => (confirms || refuses_unroutable) && !certain.contains(&true),
            PublishError::Behind { .. } => {
                let mut earlier = self.sent[call.start..number].iter();
                earlier.any(|earlier| earlier.stream == stream && earlier.fate != Fate::Accepted)
            }
            _ => false,
        };
        self.require(is_allowed, || format!("message {number} was refused for no reason: {error}"));
        if confirms && matches!(error, PublishError::Closed) {
            self.sent[number].fate = Fate::Unknown;
            return;
        }
        self.require(!self.has_come(number), || format!("message {number} was refused, and delivered: {error}"));
    }

    /// No more than the capacity is there, save for what handlers have published.
    pub(super) fn check_room(&mut self, group: usize) {
        let Limits { capacity, refuses, .. } = self.limits;
        let counts = |sent: &Sent| !sent.by_handler || refuses && self.closing.is_none();
        let there = (0..self.sent.len()).filter(|number| self.is_there(*number, group));
        let there = there.filter(|number| counts(&self.sent[*number])).count();
        self.require(there <= capacity, || format!("group {group} has {there} messages of {capacity}"));
    }
}
