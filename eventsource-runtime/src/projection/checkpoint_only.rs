//! A checkpoint on its own.

use super::{Backend, Projection};
use crate::domain::StoredEvent;

/// Keeps a checkpoint under a name in a store, if the events take effect elsewhere.
pub(crate) struct CheckpointOnly(pub(crate) &'static str);

impl<B: Backend> Projection<B> for CheckpointOnly {
    fn name(&self) -> &'static str {
        self.0
    }

    fn span_name(&self) -> &'static str {
        self.0
    }

    /// Its user filters.
    fn event_types(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(Ok(()))
    }
}
