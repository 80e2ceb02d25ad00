//! One step of a projection: a batch in its transaction, its span and its metrics.

use std::sync::Arc;
use std::time::Instant;

use super::batch::{Applied, Batch, Events};
use super::dead_letter::{DeadLetter, Letters};
use super::error::ProjectionError;
use super::options::Options;
use super::pace::LARGEST_BATCH;
use super::partition_runner::{Cursor, PartitionRunner};
use super::retry::{LATE, upkeep};
use super::{Backend, Projection, ProjectionStore, StepResult};
use crate::domain::StoredEvent;
use crate::poll::beside;
use crate::store::Position;
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Kind, Span, Start, guarded, log, metrics, names};

/// What is to be applied, and how.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) events: &'a Events,
    /// Where the checkpoint will stand.
    pub(super) to: Position,
    mode: Mode,
    outcome: &'a Outcome,
    /// How often it was tried before.
    retry: u32,
}

/// What happens to the events.
#[derive(Clone)]
pub(super) enum Outcome {
    Applied,
    /// With the type of the error for which they are skipped.
    Skipped(String),
    SetAside(Box<DeadLetter>),
}

impl Outcome {
    fn status(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Skipped(_) => "skipped",
            Self::SetAside(_) => DEAD_LETTERED,
        }
    }

    /// What operators should know of.
    fn log(&self, projection: &str, event: &StoredEvent) {
        match self {
            Self::Applied => {}
            Self::Skipped(error_type) => log::projection_skipped(projection, event, error_type),
            Self::SetAside(letter) => log::projection_dead_lettered(projection, event, &letter.error_type),
        }
    }
}

/// An attempt that was reported as failed, and may have been committed all the same.
pub(super) struct Unsure {
    to: Position,
    outcome: Outcome,
}

const DEAD_LETTERED: &str = "dead_lettered";

/// How a batch runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// One event, with the spans of its handler.
    Live,
    /// Any number, with one span in all.
    Batch { replay: bool },
}

impl<S: ProjectionStore> PartitionRunner<S> {
    /// Applies events in one transaction, in a `projection.{Name}` span, and moves on if it was committed. The caller
    /// keeps the lease, however long that takes.
    pub(super) async fn attempt(&self, step: Step<'_>, cursor: &mut Cursor) -> StepResult {
        let span = step.span(&*self.projection, &self.options);
        let scope = span.scope(step.mode != Mode::Live);
        let mut batch = Batch::new(self.partition, cursor.hold.claim.clone(), cursor.saved, step.to)
            .at(self.options.clock.now())
            .leased(cursor.hold.renewed);
        match step.outcome {
            Outcome::Applied => batch.events = step.events.clone(),
            Outcome::Skipped(_) => {}
            Outcome::SetAside(letter) => batch.set_aside = Some((**letter).clone()),
        }
        let (asked, blocking) = (Instant::now(), batch.blocking.clone());
        // In boxes, once a batch: without optimization each layer around a future makes it several times as large, and
        // all must fit into a thread's stack.
        let applying = Box::pin(self.store.apply_batch(Arc::clone(&self.projection), batch, scope.clone()));
        let applying = beside(applying, self.tell_unended(step.range(), &blocking));
        let mut result = Box::pin(self.minding_the_gap(self.unless_late(applying))).await;
        let found = result.as_ref().err().and_then(ProjectionError::found);
        let earlier = cursor.unsure.take_if(|unsure| found == Some(unsure.to));
        if let Some(earlier) = earlier.as_ref().filter(|_| step.events.is_empty()) {
            // The runner was stopped before it tried again: only the checkpoint was left to move.
            cursor.saved_at(earlier.to);
            return Ok(());
        }
        if step.retry > 0 && found == Some(step.to) {
            // An earlier attempt was committed after all; nobody else moves a checkpoint to just there.
            result = Ok(self.inferred(step.events).await);
        }
        // The earlier attempt may have had another outcome.
        let step = earlier.as_ref().map_or(step, |earlier| step.ending(&earlier.outcome));
        span.record(&mut |later| later.number(names::EVENTSOURCE_RETRY_COUNT, u64::from(step.retry)));
        match result {
            Ok(applied) => {
                cursor.hold.renewed = asked;
                cursor.took = cursor.took.zip(applied.took).map(|(sum, took)| sum + took);
                if let Some(rebuilding) = &self.rebuilding {
                    rebuilding.applied(step.events.len());
                }
                self.keep(step.to, cursor);
                span.in_scope(|| step.applied(&span, self.partition.projection, &self.options, &applied));
                span.succeed();
                Ok(())
            }
            // Dropped, since it was late: no failure, and its span ends as cancelled.
            Err(error) if self.options.relay.is_some() && error.is_closed() && self.is_stopped() => Err(error),
            Err(error) => {
                match error.kept() {
                    Some(kept) => self.keep(kept, cursor),
                    None => cursor.doubt(step, &error),
                }
                let error = error.about(|| step.about(self.partition.projection), "it begins there again");
                match self.options.relay {
                    // Retried for as long as its bus is away, which it logs by itself.
                    Some(_) => span.fail_unlogged(error.error_type().to_owned(), &Chain(error.cause())),
                    None => step.failed(span, &*self.projection, &error),
                }
                Err(error.within(scope))
            }
        }
    }

    /// Counts events that a failed step turned out to have applied.
    pub(super) async fn count(&self, step: Step<'_>) {
        if let Some(rebuilding) = &self.rebuilding {
            rebuilding.applied(step.events.len());
        }
        if self.options.metrics {
            step.counted(self.partition.projection, &self.options, &self.inferred(step.events).await);
        }
    }

    /// The result of events of which only the checkpoint tells that they are done with. A store that does not say which
    /// of them it has set aside in good time is not asked again: that is told, and decides nothing.
    async fn inferred(&self, events: &Events) -> Applied {
        let (Some(first), Some(last), None) = (events.first(), events.last(), self.options.relay) else {
            return Applied::default();
        };
        // Other parts' letters may lie in between; all are of one page of the feed.
        let between = last.position.get().saturating_sub(first.position.get()).saturating_add(1);
        let limit = usize::try_from(between).map_or(LARGEST_BATCH, |between| between.min(LARGEST_BATCH));
        let after = Position::new(first.position.get().saturating_sub(1));
        let letters = Letters { stream: None, after, limit };
        let listed = upkeep(self.store.dead_letters(self.partition.projection, letters));
        let letters = tokio::time::timeout(LATE, self.within(LATE, listed)).await;
        let letters = letters.ok().and_then(Result::ok).and_then(Result::ok).unwrap_or_default();
        let is_own = |of: Position| events.binary_search_by_key(&of, |event| event.position).is_ok();
        let parked = letters.into_iter().filter(DeadLetter::is_parked).map(|letter| letter.position);
        Applied { parked: parked.filter(|of| is_own(*of)).collect(), took: None }
    }

    pub(super) fn keep(&self, position: Position, cursor: &mut Cursor) {
        cursor.saved_at(position);
        self.tell(cursor);
    }
}

impl Cursor {
    /// Notes that a step may have been committed, despite this error.
    fn doubt(&mut self, step: Step<'_>, error: &ProjectionError) {
        // Steps run only if nothing before them was committed, and a failed step is not committed either. Otherwise the
        // first of the attempts may have been: those behind it were refused.
        if error.event().is_some() {
            self.unsure = None;
        } else if self.unsure.as_ref().is_none_or(|unsure| unsure.to != step.to) {
            self.unsure = Some(Unsure { to: step.to, outcome: step.outcome.clone() });
        }
    }
}

impl<'a> Step<'a> {
    pub(super) fn new(events: &'a Events, to: Position, mode: Mode) -> Self {
        Self { events, to, mode, outcome: &Outcome::Applied, retry: 0 }
    }

    pub(super) fn retried(self, retry: u32) -> Self {
        Self { retry, ..self }
    }

    pub(super) fn ending(self, outcome: &'a Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// The positions of its first event, and where the checkpoint will stand.
    fn range(self) -> (Position, Position) {
        (self.events.first().map_or(self.to, |event| event.position), self.to)
    }

    /// What it was about, if the store fails.
    fn about(self, projection: &str) -> String {
        let (from, to) = self.range();
        format!("projection `{projection}`, positions {from} to {to}")
    }

    /// Records a committed batch on its span and in the metrics.
    pub(super) fn applied(self, span: &Span, name: &'static str, options: &Options, applied: &Applied) {
        let Some(first) = self.events.first() else { return };
        let now = options.clock.now();
        let parked = applied.parked.len();
        let status = if parked == self.events.len() { DEAD_LETTERED } else { self.outcome.status() };
        span.record(&mut |later| {
            later.float(names::CQRS_PROJECTION_LAG, now.seconds_since(first.recorded_at).max(0.0));
            later.text(names::EVENTSOURCE_PROJECTION_STATUS, status);
        });
        self.outcome.log(name, first);
        self.counted(name, options, applied);
    }

    fn counted(self, name: &'static str, options: &Options, applied: &Applied) {
        if !options.metrics || self.events.is_empty() {
            return;
        }
        let (now, parked) = (options.clock.now(), applied.parked.len());
        // A rebuild is not late with the past.
        if !self.is_replay() {
            let lags = self.events.iter().map(|event| (&*event.event_type, now.seconds_since(event.recorded_at)));
            metrics::projection_lag(name, lags);
        }
        if parked > 0 {
            metrics::dead_letters("projection", "parked", parked as u64);
            metrics::projection_events(name, DEAD_LETTERED, parked as u64);
        }
        if let Outcome::SetAside(letter) = self.outcome {
            metrics::dead_letters("projection", &letter.error_type, 1);
        }
        if self.events.len() > parked {
            metrics::projection_events(name, self.outcome.status(), (self.events.len() - parked) as u64);
        }
    }

    pub(super) fn span<B: Backend>(self, projection: &dyn Projection<B>, options: &Options) -> Span {
        let own = || guarded(|| projection.enable_tracing()).flatten();
        let enabled = || !self.events.is_empty() && options.traces(own);
        let linked = options.links;
        let start = Start::new(projection.span_name(), Kind::Consumer, enabled).room(12).options(|options| {
            options.root();
            if linked {
                options.links(&**self.events);
            }
            if self.is_replay() {
                options.replay();
            }
        });
        let name = projection.name();
        start.begin(&mut |known| self.describe(name, known), &mut |_| ())
    }

    /// Logs a failure, with the event at fault, and ends the span. That another runner has the lease is logged as such:
    /// it goes on, and nothing is wrong.
    pub(super) fn failed<B: Backend>(self, span: Span, projection: &dyn Projection<B>, error: &ProjectionError) {
        if error.is_lease_lost() {
            return span.fail_unlogged(error.error_type().to_owned(), &Chain(error.cause()));
        }
        let event = error.event().or(match &**self.events {
            [event] => Some(event.position),
            _ => None,
        });
        let failed = Failed::new(names::LOG_PROJECTION, projection.span_name()).at(event);
        span.fail(failed, error.error_type().to_owned(), &Chain(error.cause()));
    }

    fn is_replay(&self) -> bool {
        self.mode == Mode::Batch { replay: true }
    }

    fn describe(&self, projection: &'static str, known: &mut Attributes) {
        known.text(names::CQRS_SIDE, "projection");
        known.text(names::EVENTSOURCE_PROJECTION_NAME, projection);
        match &**self.events {
            [event] => {
                known.shared(names::EVENTSOURCE_EVENT_TYPE, &event.event_type);
                known.string(names::EVENTSOURCE_AGGREGATE_ID, event.stream.aggregate_id());
                known.number(names::EVENTSOURCE_VERSION, event.version.get());
                known.string(names::EVENTSOURCE_EVENT_RECORDED_AT, event.recorded_at.to_string());
            }
            events => known.number(names::EVENTSOURCE_BATCH_SIZE, events.len() as u64),
        }
        let (from, to) = self.range();
        known.number(names::EVENTSOURCE_FROM_POSITION, from.get());
        known.number(names::EVENTSOURCE_TO_POSITION, to.get());
        if self.is_replay() {
            known.flag(names::EVENTSOURCE_REPLAY, true);
        }
    }
}
