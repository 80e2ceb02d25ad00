//! What led to an append, and the ids that follow from it.

use uuid::Uuid;

use crate::clock::Clock;
use crate::dispatch::{Context, Handled};
use crate::fnv::{following, spread};
use crate::store::Origin;

/// The id of a command's event: a hash of the command's id, advanced by the ordinal. A retried command makes the same
/// ids. A command that follows from an event may have that event's id: without the hash, its first event would get the
/// id of the next event.
pub(super) fn event_id(command_id: Uuid, ordinal: u64) -> Uuid {
    /// Odd, so that no two ordinals collide.
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let sum = spread(command_id.as_bytes().iter().copied());
    following(command_id, sum.wrapping_add((ordinal + 1).wrapping_mul(STEP)))
}

/// What led to an append.
pub(super) struct Cause<'a> {
    pub(super) context: &'a Context,
    pub(super) command_id: Uuid,
    /// Whether the id is that of a command.
    pub(super) caused: bool,
}

impl Cause<'_> {
    /// Whether nothing but the events themselves tells that they were appended before: no command was looked up.
    pub(super) fn is_looked_up_by_its_events(&self) -> bool {
        !self.caused && self.context.command_id.is_some()
    }

    pub(super) fn origin(&self, clock: &dyn Clock) -> Origin {
        let caused = self.caused.then_some(self.command_id);
        let handled = Handled::current();
        Origin {
            correlation_id: self.context.correlation_id.or(handled.correlation_id).or(caused),
            // By the causation, stores tell the events of a command that is looked up by its id from others.
            causation_id: self.context.command_id.or(handled.id).or(caused),
            metadata: handled.metadata(&self.context.metadata),
            ..Origin::at(clock.now())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn event_ids_are_the_same_again_and_differ_by_ordinal() {
        let command = Uuid::now_v7();
        let ids: HashSet<_> = (0..1000).map(|ordinal| event_id(command, ordinal)).collect();
        assert_eq!(ids.len(), 1000);
        assert!(!ids.contains(&command));
        assert!(ids.contains(&event_id(command, 7)));
        assert!(ids.iter().all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122));
    }

    #[test]
    fn events_of_a_command_that_has_the_id_of_an_event_have_none_of_its_siblings() {
        let command = Uuid::now_v7();
        let siblings: HashSet<_> = (0..100).map(|ordinal| event_id(command, ordinal)).collect();
        let following = siblings.iter().flat_map(|event| (0..100).map(|ordinal| event_id(*event, ordinal)));
        assert!(following.collect::<HashSet<_>>().is_disjoint(&siblings));
    }

    /// A command that is sent again after a release is found by the id of its first event.
    #[test]
    fn event_ids_are_the_same_for_ever() {
        let command = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(event_id(command, 0).to_string(), "01900000-0000-7000-a57d-c97c4dd9463b");
        assert_eq!(event_id(command, 1).to_string(), "01900000-0000-7000-83b5-4335cd23c250");
    }
}
