//! One step of a projection: a batch in its transaction, its span and its metrics.

use std::sync::Arc;

use super::error::ProjectionError;
use super::follower::Follower;
use super::{Batch, ProjectionStore};
use crate::domain::StoredEvent;
use crate::store::Position;
use crate::telemetry::{Attributes, Kind, Span, Start, log, metrics, names};

/// What is to be applied, and how.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) events: &'a [StoredEvent],
    /// Where the checkpoint was left.
    pub(super) from: Position,
    /// Where it comes to stand.
    pub(super) to: Position,
    pub(super) mode: Mode,
    /// How often it was tried before.
    pub(super) retry: u32,
}

/// How a batch runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// One event, with the spans of its handler.
    Live,
    /// Any number, with one span in all.
    Batch { replay: bool },
}

impl<S: ProjectionStore> Follower<S> {
    /// Applies events in one transaction, in a `projection.{Name}` span.
    pub(super) async fn attempt(&self, step: Step<'_>) -> Result<(), ProjectionError> {
        let span = self.span(step);
        let scope = span.scope(step.mode != Mode::Live);
        let batch = Batch { events: step.events.to_vec(), from: step.from, checkpoint: step.to };
        let applying = self.store.apply_batch(Arc::clone(&self.projection), batch, scope);
        let result = match self.minding_the_gap(applying).await {
            // An earlier attempt was committed after all; nobody else moves a checkpoint to just there.
            Err(error) if step.retry > 0 && error.found() == Some(step.to) => Ok(()),
            result => result,
        };
        if step.retry > 0 {
            span.record(&mut |later| later.number(names::EVENTSOURCE_RETRY_COUNT, u64::from(step.retry)));
        }
        match &result {
            Ok(()) => {
                span.in_scope(|| self.applied(&span, step.events));
                span.succeed();
            }
            Err(error) => {
                span.in_scope(|| log::failure(error.error_type()));
                span.fail(error.error_type().to_owned());
            }
        }
        result
    }

    /// What a batch that was committed leaves on its span and in the metrics.
    fn applied(&self, span: &Span, events: &[StoredEvent]) {
        let Some(first) = events.first() else { return };
        let now = self.options.clock.now();
        span.record(&mut |later| {
            later.float(names::CQRS_PROJECTION_LAG, now.seconds_since(first.recorded_at).max(0.0));
            later.text(names::EVENTSOURCE_PROJECTION_STATUS, "applied");
        });
        if self.options.metrics {
            for event in events {
                let lag = now.seconds_since(event.recorded_at);
                metrics::projection_lag(self.projection.name(), &event.event_type, lag);
            }
            metrics::projection_events(self.projection.name(), "applied", events.len() as u64);
        }
    }

    fn span(&self, step: Step<'_>) -> Span {
        let enabled = !step.events.is_empty() && self.projection.enable_tracing().unwrap_or(self.options.tracing);
        let start = Start::new(self.projection.span_name(), Kind::Consumer).options(|options| {
            options.enable(enabled);
            if enabled {
                options.root();
                options.links(step.events);
            }
            if step.is_replay() {
                options.replay();
            }
        });
        let name = self.projection.name();
        start.begin(&mut |known| step.describe(name, known), &mut |_| ())
    }
}

impl Step<'_> {
    fn is_replay(&self) -> bool {
        self.mode == Mode::Batch { replay: true }
    }

    fn describe(&self, projection: &'static str, known: &mut Attributes) {
        known.text(names::CQRS_SIDE, "projection");
        known.text(names::EVENTSOURCE_PROJECTION_NAME, projection);
        match self.events {
            [event] => {
                known.string(names::EVENTSOURCE_EVENT_TYPE, &event.event_type);
                known.string(names::EVENTSOURCE_AGGREGATE_ID, event.stream.aggregate_id());
                known.number(names::EVENTSOURCE_VERSION, event.version.get());
                known.string(names::EVENTSOURCE_EVENT_RECORDED_AT, &event.recorded_at.to_string());
            }
            events => known.number(names::EVENTSOURCE_BATCH_SIZE, events.len() as u64),
        }
        let from = self.events.first().map_or(self.to, |event| event.position);
        known.number(names::EVENTSOURCE_FROM_POSITION, from.get());
        known.number(names::EVENTSOURCE_TO_POSITION, self.to.get());
        if self.is_replay() {
            known.flag(names::EVENTSOURCE_REPLAY, true);
        }
    }
}
