//! Scheduled events that are still pending.

use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::domain::StoredEvent;
use crate::store::Position;

/// Tells an event from one that took its place, which may have the same id if the same event is made again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EventIdentity {
    pub(super) position: Position,
    pub(super) id: Uuid,
    recorded_at: Timestamp,
}

impl EventIdentity {
    pub(super) fn of(event: &StoredEvent) -> Self {
        Self { position: event.position, id: event.id, recorded_at: event.recorded_at }
    }
}

/// A scheduled event. Its payload is read again when it is due: there may be many, pending for long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) due: i64,
    /// The event that will be recorded.
    pub(super) id: Uuid,
    /// The event that scheduled it.
    pub(super) asked: EventIdentity,
}

impl Waiting {
    fn turn(&self) -> (i64, Position, Uuid) {
        (self.due, self.asked.position, self.asked.id)
    }
}

/// All pending events, by the ids of those that scheduled them.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: HashMap<Uuid, Waiting>,
    /// What is still to be recorded, by due time.
    open: BTreeSet<(i64, Position, Uuid)>,
    /// What was recorded. It stays pending until it is read back, since the store may lose it before.
    recorded: HashSet<Uuid>,
    positions: BTreeSet<Position>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn get(&self, asked: Uuid) -> Option<Waiting> {
        self.waiting.get(&asked).copied()
    }

    pub(super) fn insert(&mut self, waiting: Waiting) {
        self.remove(waiting.asked.id);
        self.positions.insert(waiting.asked.position);
        self.open.insert(waiting.turn());
        self.waiting.insert(waiting.asked.id, waiting);
    }

    pub(super) fn remove(&mut self, asked: Uuid) {
        if let Some(waiting) = self.waiting.remove(&asked) {
            self.positions.remove(&waiting.asked.position);
            self.open.remove(&waiting.turn());
            self.recorded.remove(&asked);
        }
    }

    pub(super) fn recorded(&mut self, waiting: &Waiting) {
        self.open.remove(&waiting.turn());
        self.recorded.insert(waiting.asked.id);
    }

    /// Makes what was recorded but not read back due again.
    pub(super) fn reopen(&mut self) {
        for asked in self.recorded.drain() {
            self.open.extend(self.waiting.get(&asked).map(Waiting::turn));
        }
    }

    /// When the first event still to be recorded is due.
    pub(super) fn first_due(&self) -> Option<i64> {
        self.open.first().map(|(due, ..)| *due)
    }

    /// What is due by then and still to be recorded.
    pub(super) fn due(&self, now: i64) -> Vec<Uuid> {
        self.open.iter().take_while(|(due, ..)| *due <= now).map(|(.., asked)| *asked).collect()
    }

    /// Where the first of all was scheduled.
    pub(super) fn first_position(&self) -> Option<Position> {
        self.positions.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(id: u128, position: u64, due: i64) -> Waiting {
        let asked = EventIdentity {
            position: Position::new(position),
            id: Uuid::from_u128(id),
            recorded_at: Timestamp::from_micros(1),
        };
        Waiting { due, id: Uuid::from_u128(id + 100), asked }
    }

    #[test]
    fn each_is_due_in_its_turn_and_again_unless_its_record_was_read() {
        let mut pending = Pending::default();
        for one in [waiting(1, 10, 5), waiting(2, 11, 3), waiting(3, 12, 3), waiting(4, 13, 9)] {
            pending.insert(one);
        }
        let ids = |ids: &[u128]| ids.iter().copied().map(Uuid::from_u128).collect::<Vec<_>>();
        assert_eq!((pending.first_due(), pending.first_position()), (Some(3), Some(Position::new(10))));
        assert_eq!(pending.due(5), ids(&[2, 3, 1]));
        for asked in pending.due(5) {
            pending.recorded(&pending.get(asked).unwrap());
        }
        assert_eq!((pending.first_due(), pending.first_position()), (Some(9), Some(Position::new(10))));
        pending.remove(Uuid::from_u128(1));
        assert_eq!(pending.first_position(), Some(Position::new(11)));
        pending.reopen();
        assert_eq!(pending.due(5), ids(&[2, 3]));
        // The same one, scheduled again elsewhere.
        pending.insert(waiting(2, 20, 7));
        assert_eq!((pending.due(7), pending.first_position()), (ids(&[3, 2]), Some(Position::new(12))));
        for id in 2..5 {
            pending.remove(Uuid::from_u128(id));
        }
        assert!(pending.is_empty() && pending.open.is_empty() && pending.recorded.is_empty());
        assert_eq!((pending.first_due(), pending.first_position()), (None, None));
    }
}
