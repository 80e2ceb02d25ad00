//! A state that is rebuilt from its events.

use std::ops::ControlFlow;

use super::Loaded;
use crate::domain::{Aggregate, DecodeError, EventRef, EventSet};
use crate::store::{Appended, Position, Version, Visitor};

/// A state on its way to the stream's end.
pub(super) struct Replay<A> {
    pub(super) state: A,
    pub(super) version: Version,
    pub(super) position: Position,
    pub(super) error: Option<DecodeError>,
    pub(super) earlier: Option<Appended>,
}

impl<A: Default> Default for Replay<A> {
    fn default() -> Self {
        Self { state: A::default(), version: Version::START, position: Position::START, error: None, earlier: None }
    }
}

impl<A> Replay<A> {
    pub(super) fn into_loaded(self) -> Loaded<A> {
        Loaded { state: self.state, version: self.version, position: self.position }
    }
}

impl<A: Aggregate> Visitor for Replay<A> {
    fn visit(&mut self, event: EventRef<'_>) -> ControlFlow<()> {
        match A::Event::decode(&event) {
            Ok(decoded) => {
                self.state.evolve(decoded);
                self.version = event.version;
                self.position = event.position;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
