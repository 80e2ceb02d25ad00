//! A process as read from its stream: the state, and the pending commands that stem from one event.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use uuid::Uuid;

use super::ProcessManager;
use super::chain::Chain;
use super::record::{Planned, Reacted, To, is_own};
use crate::domain::{DecodeError, Event, EventRef, decode_payload};
use crate::store::{Position, StreamId, Version, Visitor};

/// The process of a stream, seen from one event.
pub(super) struct Process<M> {
    pub(super) state: M,
    pub(super) stream: StreamId,
    pub(super) version: Version,
    /// The last event of the feed that it has reacted to.
    pub(super) position: Position,
    /// The event in question.
    pub(super) root: Uuid,
    /// Whether it has reacted to that one.
    pub(super) has_reacted: bool,
    /// The pending commands that stem from it, in order.
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) error: Option<DecodeError>,
}

#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) command: Planned,
    pub(super) chain: Chain,
}

impl<M: ProcessManager> Process<M> {
    pub(super) fn new(stream: StreamId, root: Uuid) -> Self {
        Self {
            state: M::default(),
            stream,
            version: Version::START,
            position: Position::START,
            root,
            has_reacted: false,
            waiting: VecDeque::new(),
            error: None,
        }
    }

    /// Whether it has reacted to `to` on account of the event in question.
    pub(super) fn has_reacted_to(&self, to: &To) -> bool {
        match to {
            To::Event => self.has_reacted,
            To::Accepted(id) | To::Rejected(id, _) => self.waiting.iter().all(|waiting| waiting.command.id != *id),
        }
    }

    pub(super) fn reacted(&mut self, reacted: Reacted) {
        self.position = self.position.max(Position::new(reacted.position));
        if reacted.root != self.root {
            return;
        }
        match reacted.to {
            To::Event => self.has_reacted = true,
            To::Accepted(id) | To::Rejected(id, _) => self.waiting.retain(|waiting| waiting.command.id != id),
        }
        let chain = Chain { depth: reacted.depth, names: reacted.chain };
        let commands = reacted.commands.into_iter();
        self.waiting.extend(commands.map(|command| Waiting { command, chain: chain.clone() }));
    }

    fn take(&mut self, event: &EventRef<'_>) -> Result<(), DecodeError> {
        if event.event_type == Reacted::NAME {
            let reacted = decode_payload(event)?;
            self.reacted(reacted);
        } else if !is_own(event.event_type) {
            self.state.evolve_stored(event)?;
        }
        self.version = event.version;
        Ok(())
    }
}

impl<M: ProcessManager> Visitor for Process<M> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        match self.take(&event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
