//! What a process stores beside its own events, and the ids derived from what it reacts to.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::Event;
use crate::fnv;

const PREFIX: &str = "process_manager.";

/// Whether the runtime keeps events of this stored name in the stream of a process.
pub(crate) fn is_own(event_type: &str) -> bool {
    event_type.starts_with(PREFIX)
}

/// A process has reacted: from now on, the commands that it decided on are pending.
#[derive(Serialize, Deserialize)]
pub(super) struct Reacted {
    /// The event that it all began with.
    pub(super) root: Uuid,
    /// Its position in the feed.
    pub(super) position: u64,
    pub(super) to: To,
    /// How many reactions led to this one, itself included.
    pub(super) depth: u32,
    /// The last of them, by name.
    pub(super) chain: String,
    pub(super) commands: Vec<Planned>,
}

impl Event for Reacted {
    const NAME: &'static str = "process_manager.reacted";
}

/// What a process reacts to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum To {
    /// The event `root`.
    Event,
    /// The process's command of that id was handled.
    Accepted(Uuid),
    /// The process's command of that id was refused; the refusal's name.
    Rejected(Uuid, String),
}

impl To {
    /// The event or command.
    pub(super) fn id(&self, root: Uuid) -> Uuid {
        match self {
            Self::Event => root,
            Self::Accepted(id) | Self::Rejected(id, _) => *id,
        }
    }
}

/// A command that is or was pending.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Planned {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) payload: Box<RawValue>,
}

/// An event that the process wants recorded later.
#[derive(Serialize, Deserialize)]
pub(super) struct Scheduled {
    /// In microseconds since 1970.
    pub(super) due: i64,
    pub(super) event_type: String,
    pub(super) schema_version: u32,
    pub(super) payload: Box<RawValue>,
}

impl Event for Scheduled {
    const NAME: &'static str = "process_manager.scheduled";
}

/// What an id is derived for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// An event that is appended with a reaction.
    Event,
    Command,
    /// A scheduled event that is due.
    Due,
}

/// The id of what `manager` does about `cause`: the same each time.
pub(super) fn derived(manager: &str, cause: Uuid, purpose: Purpose, ordinal: usize) -> Uuid {
    let purpose = match purpose {
        Purpose::Event => b'e',
        Purpose::Command => b'c',
        Purpose::Due => b'd',
    };
    let ordinal = (ordinal as u64).to_be_bytes();
    fnv::derived(cause, manager.bytes().chain([purpose]).chain(ordinal))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_the_same_again_and_differ_by_manager_cause_purpose_and_ordinal() {
        let causes = [Uuid::now_v7(), Uuid::now_v7(), Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut ids = HashSet::new();
        for manager in ["Shipping", "Billing"] {
            for cause in causes {
                for purpose in [Purpose::Event, Purpose::Command, Purpose::Due] {
                    for ordinal in 0..100 {
                        let id = derived(manager, cause, purpose, ordinal);
                        assert_eq!(id, derived(manager, cause, purpose, ordinal));
                        ids.insert(id);
                    }
                }
            }
        }
        assert_eq!(ids.len(), 2 * 4 * 3 * 100);
        assert!(causes.iter().all(|cause| !ids.contains(cause)));
    }

    /// A program may be updated between the crash and the next start.
    #[test]
    fn ids_never_change() {
        let cause = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
        let id = derived("Shipping", cause, Purpose::Command, 0);
        assert_eq!(id.to_string(), "01980000-0000-7000-840e-db54d8427028");
    }
}
