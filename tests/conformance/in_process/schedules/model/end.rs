//! What has to be true when a bus was shut down, and when everything is over.

use eventsource_runtime::bus::MessagesLeft;

use super::{GROUPS, Model, Phase};

impl Model {
    pub(in crate::in_process::schedules) fn closing(&mut self) {
        let now = self.step(format_args!("the bus is being shut down"));
        self.closing.get_or_insert(now);
    }

    /// The bus was shut down: in a hurry, or with all the time that is needed, which may not be used up for nothing.
    pub(in crate::in_process::schedules) fn closed(
        &mut self,
        result: &Result<(), MessagesLeft>,
        hurried: bool,
        is_up: bool,
    ) {
        let now = self.step(format_args!("the bus is shut down: {result:?}"));
        self.closed.get_or_insert(now);
        let left = result.as_ref().map_or_else(|left| left.left, |()| 0);
        let counts = [0, 1, 2].map(|group| self.unsettled(group));
        let least: usize = counts.iter().map(|(least, _)| least).sum();
        let most: usize = counts.iter().map(|(_, most)| most).sum();
        self.require((least..=most).contains(&left), || format!("{left} left, and not {least} to {most}"));
        for (group, (least, _)) in counts.into_iter().enumerate() {
            let there = &self.groups[group];
            let waits = self.limits.confirms && self.is_full_of_letters(there);
            let is_drained = there.present == 0 || least == 0 || waits;
            self.require(hurried || is_drained, || format!("group {group} was not drained of {least}"));
        }
        self.require(hurried || !is_up || left > 0, || "the shutdown waited for nothing".into());
        self.seen.left += usize::from(left > 0);
        self.seen.drained += usize::from(left == 0);
    }

    /// The dead letters that a group is found to have in the end.
    pub(in crate::in_process::schedules) fn letters(&mut self, group: usize, found: &[usize]) {
        let kept = &self.groups[group].letters;
        let is_right = kept == found;
        let told = format!("group {group} has the letters {found:?}, and not {kept:?}");
        self.require(is_right, || told);
    }

    /// Everything is over.
    pub(in crate::in_process::schedules) fn over(&mut self) {
        let calls: Vec<_> =
            self.sent.iter().filter(|sent| sent.ended.is_none()).map(|sent| sent.call.clone()).collect();
        for call in calls {
            self.gave_up(call);
        }
        for group in 0..GROUPS.len() {
            self.check_end(group);
            for other in 0..group {
                self.check_alike(group, other);
            }
        }
    }

    fn check_end(&mut self, group: usize) {
        let there = &self.groups[group];
        // Who stops leaves the rest to other members, and the last one to the next that joins, if it is aborted.
        let may_leave = there.last_stopped.is_some_and(|member| self.members[member].may_abort);
        let is_closed = self.closed.is_some();
        let (present, firsts) = (there.present, there.firsts.clone());
        self.require(present == 0, || format!("{present} members of group {group} are left"));
        for number in 0..self.sent.len() {
            let (is_in, phase) = (self.is_in(number, group), self.phase(number, group));
            let is_settled = phase == Some(Phase::Settled);
            self.require(!is_in || is_settled || may_leave || is_closed, || {
                format!("message {number} is lost to group {group}: {phase:?}")
            });
            self.require(phase.is_none() || self.sent[number].possible[group], || {
                format!("message {number} came to group {group}, which had no member")
            });
        }
        for (place, later) in firsts.iter().enumerate() {
            let earlier = firsts[place..].iter().find(|earlier| self.is_before(**earlier, *later));
            self.require(earlier.is_none(), || format!("message {later} first came before message {earlier:?}"));
        }
    }

    /// Messages of a stream that are published at once come in the same order to all groups.
    fn check_alike(&mut self, group: usize, other: usize) {
        let [first, second] = [(group, other), (other, group)].map(|(group, other)| {
            let common = self.groups[group].firsts.iter().filter(|number| self.groups[other].firsts.contains(number));
            let mut common: Vec<_> = common.map(|number| (self.sent[*number].stream, *number)).collect();
            common.sort_by_key(|(stream, _)| *stream);
            common
        });
        self.require(first == second, || format!("two groups have got {first:?} and {second:?}"));
    }
}
