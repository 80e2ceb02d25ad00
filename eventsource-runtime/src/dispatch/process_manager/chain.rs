//! How many reactions led to an event, so that managers that trigger each other come to an end.

use std::fmt::Write as _;

use super::record::To;
use crate::domain::{Metadata, StoredEvent};

const DEPTH: &str = "process_manager.depth";
const CHAIN: &str = "process_manager.chain";
const CAUSE: &str = "process_manager.cause";
/// How many reactions the chain names; in a cycle, earlier ones repeat these.
const NAMED: usize = 8;
const ARROW: &str = " > ";

/// More reactions led to one another than the runner allows; the last one was not made.
///
/// Usually two managers trigger each other forever. A process that is long by intention needs a greater
/// [`max_depth`](super::ProcessManagerRunner::max_depth).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{depth} reactions led to one another ({chain}); break the cycle, or raise `max_depth` of the runner")]
#[non_exhaustive]
pub struct ChainTooLong {
    /// How many reactions there would have been.
    pub depth: u32,
    /// The last of them: the manager, and in parentheses what it reacted to.
    pub chain: String,
}

/// The reactions that led to something.
#[derive(Clone, Default)]
pub(super) struct Chain {
    pub(super) depth: u32,
    pub(super) names: String,
}

impl Chain {
    /// The reactions that led to an event.
    pub(super) fn to(event: &StoredEvent) -> Self {
        let depth = event.metadata.get(DEPTH).and_then(|depth| depth.parse().ok()).unwrap_or_default();
        Self { depth, names: event.metadata.get(CHAIN).unwrap_or_default().to_owned() }
    }

    /// Adds one reaction: of `manager`, to an event or a refused command of that name.
    pub(super) fn longer(&self, manager: &str, to: &To, name: &str) -> Self {
        let earlier: Vec<&str> = self.names.split(ARROW).filter(|name| !name.is_empty()).collect();
        let mut names = earlier[earlier.len().saturating_sub(NAMED - 1)..].join(ARROW);
        let arrow = if names.is_empty() { "" } else { ARROW };
        let refused = if matches!(to, To::Rejected(..)) { " refused" } else { "" };
        // Writing to a `String` cannot fail.
        let _ = write!(names, "{arrow}{manager}({name}{refused})");
        Self { depth: self.depth.saturating_add(1), names }
    }

    pub(super) fn check(&self, most: u32) -> Result<(), ChainTooLong> {
        if self.depth <= most {
            return Ok(());
        }
        Err(ChainTooLong { depth: self.depth, chain: self.names.clone() })
    }

    /// The application's metadata of an event, for what that leads to: with the chain and the event's id.
    pub(super) fn stamped(&self, event: &StoredEvent) -> Metadata {
        let metadata = event.metadata.clone().with(DEPTH, self.depth.to_string());
        metadata.with(CHAIN, &self.names).with(CAUSE, event.id.to_string())
    }
}

/// The application's metadata without the chain, for a scheduled event: time bounds what that begins.
pub(super) fn unchained(metadata: &Metadata) -> Metadata {
    metadata.iter().filter(|(name, _)| ![DEPTH, CHAIN, CAUSE].contains(name)).collect()
}

/// What an event's metadata says of the reactions that led to it, for what somebody else does about the event.
pub(in crate::dispatch) fn reactions(metadata: &Metadata) -> Metadata {
    metadata.iter().filter(|(name, _)| [DEPTH, CHAIN].contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::domain::Envelope;
    use crate::store::{Position, StreamId, Version};

    fn event_with(metadata: Metadata) -> StoredEvent {
        let place = (StreamId::new("Ping", 1), Version::new(1), Position::new(1));
        let envelope = Envelope::new(uuid::Uuid::now_v7(), place, ("Ponged", 1), Timestamp::from_micros(0));
        StoredEvent::new(Envelope { metadata, ..envelope }, bytes::Bytes::default())
    }

    #[test]
    fn a_chain_counts_all_reactions_and_names_the_last() {
        let mut chain = Chain::default();
        for round in 0..5 {
            chain = chain.longer("Ping", &To::Event, "Ponged").longer("Pong", &To::Event, &format!("Pinged{round}"));
        }
        assert_eq!(chain.depth, 10);
        assert_eq!(chain.names.matches(ARROW).count(), NAMED - 1);
        assert!(chain.names.ends_with("Ping(Ponged) > Pong(Pinged4)"), "{}", chain.names);
        let error = chain.check(9).unwrap_err();
        assert!(error.to_string().contains("Pong(Pinged4)"), "{error}");
        assert!(chain.check(10).is_ok());
    }

    #[test]
    fn the_application_s_metadata_goes_on_and_the_chain_does_not_outlive_a_wait() {
        let own = Metadata::from_iter([("tenant", "north")]);
        let event = event_with(own.clone());
        let stamped = Chain::default().longer("Ping", &To::Event, "Ponged").stamped(&event);
        assert_eq!(stamped.get(CAUSE), Some(&*event.id.to_string()));
        assert_eq!(stamped.get("tenant"), Some("north"));
        assert_eq!(stamped.get(DEPTH), Some("1"));
        assert_eq!(unchained(&stamped), own);
    }
}
