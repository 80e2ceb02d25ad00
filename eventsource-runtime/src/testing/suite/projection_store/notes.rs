//! The projection of the suite: it notes what it is shown, in memory, and fails on request.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use super::NAME;
use crate::domain::StoredEvent;
use crate::projection::{Backend, Projection, ProjectionError, StepResult};
use crate::store::Position;
use crate::sync::Mutex;

#[derive(Default)]
pub(super) struct Notes {
    name: Option<&'static str>,
    pub(super) set_up: AtomicU32,
    pub(super) resets: AtomicU32,
    noted: Mutex<Vec<u64>>,
    faults: Mutex<HashSet<Position>>,
    panics: bool,
    /// How many of the next set-ups and resets fail.
    pub(super) refusals: AtomicU32,
}

impl Notes {
    pub(super) fn named(name: &'static str) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// One whose faults are panics.
    pub(super) fn panicking() -> Self {
        Self { panics: true, ..Self::default() }
    }

    /// The positions of the events whose steps succeeded.
    pub(super) fn noted(&self) -> Vec<u64> {
        self.noted.lock().clone()
    }

    pub(super) fn fail_at(&self, event: &StoredEvent) {
        self.faults.lock().insert(event.position);
    }

    pub(super) fn is_mended(&self) {
        self.faults.lock().clear();
    }

    fn note(&self, event: &StoredEvent) -> StepResult {
        if self.faults.lock().contains(&event.position) {
            assert!(!self.panics, "told to");
            return Err(ProjectionError::new("told to"));
        }
        self.noted.lock().push(event.position.get());
        Ok(())
    }

    fn prepare(&self, count: &AtomicU32) -> StepResult {
        let refused =
            self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if refused {
            return Err(ProjectionError::new("told to"));
        }
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl<B: Backend> Projection<B> for Notes {
    fn name(&self) -> &'static str {
        self.name.unwrap_or(NAME)
    }

    fn span_name(&self) -> &'static str {
        "projection.Notes"
    }

    fn event_types(&self) -> Vec<&'static str> {
        vec!["Placed"]
    }

    fn setup<'a>(&'a self, _: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(self.prepare(&self.set_up))
    }

    fn reset<'a>(&'a self, _: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(self.prepare(&self.resets))
    }

    fn apply<'a>(&'a self, event: &'a StoredEvent, _: &'a B::Transaction<'_>) -> B::Step<'a> {
        B::ready(self.note(event))
    }
}
