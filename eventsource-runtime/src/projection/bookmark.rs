//! A checkpoint on its own.

use super::{Backend, Projection};
use crate::domain::StoredEvent;

/// What a store is given to keep a checkpoint under a name, where the events have their effect elsewhere.
pub(crate) struct Bookmark(pub(crate) &'static str);

impl<B: Backend> Projection<B> for Bookmark {
    fn name(&self) -> &'static str {
        self.0
    }

    fn span_name(&self) -> &'static str {
        self.0
    }

    /// Whoever uses it filters.
    fn event_types(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(Ok(()))
    }
}
