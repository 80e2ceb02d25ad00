//! Projections that pose as others.

use std::sync::Arc;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{Backend, Projection};
use eventsource_runtime::store::Memory;

/// A projection under another name, or one whose set-up and reset do nothing.
pub(super) struct Posing {
    name: &'static str,
    played: Option<Arc<dyn Projection<Memory>>>,
}

impl Posing {
    pub(super) fn idle(name: &'static str) -> Arc<dyn Projection<Memory>> {
        Arc::new(Self { name, played: None })
    }

    pub(super) fn playing(name: &'static str, played: &Arc<dyn Projection<Memory>>) -> Arc<dyn Projection<Memory>> {
        Arc::new(Self { name, played: Some(Arc::clone(played)) })
    }
}

type Step<'a> = <Memory as Backend>::Step<'a>;
type Tx<'t> = <Memory as Backend>::Transaction<'t>;

impl Projection<Memory> for Posing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn span_name(&self) -> &'static str {
        "projection.Posing"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn setup<'a>(&'a self, tx: &'a Tx<'_>) -> Step<'a> {
        self.played.as_ref().map_or_else(|| Memory::ready(Ok(())), |played| played.setup(tx))
    }

    fn reset<'a>(&'a self, tx: &'a Tx<'_>) -> Step<'a> {
        self.played.as_ref().map_or_else(|| Memory::ready(Ok(())), |played| played.reset(tx))
    }

    fn apply<'a>(&'a self, event: &'a StoredEvent, tx: &'a Tx<'_>) -> Step<'a> {
        self.played.as_ref().map_or_else(|| Memory::ready(Ok(())), |played| played.apply(event, tx))
    }
}
