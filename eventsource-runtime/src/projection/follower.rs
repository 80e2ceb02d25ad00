//! One projection's way through the feed.

use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::ProjectionError;
use super::runner::Options;
use super::{Batch, Projection, ProjectionStore};
use crate::domain::StoredEvent;
use crate::store::{Filter, Page, Position, StoreError};
use crate::telemetry::{Kind, Scope, Span, Start, log, metrics, names};

/// Pages of up to this many events are applied one by one, each in a transaction and a span of its own.
const LIVE: usize = 8;
/// The sizes between which batches adapt.
const SMALLEST_BATCH: usize = 64;
const LARGEST_BATCH: usize = 2048;
/// A batch longer than this halves the next one, so that it does not hold up commands; a much shorter one doubles it.
const LONG_BATCH: Duration = Duration::from_millis(50);
/// How far the checkpoint in the store may lag behind events that the projection does not handle.
const UNSAVED: u64 = 1000;
/// The pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How far a projection is, as others see it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) checkpoint: Position,
    pub(super) stage: Stage,
}

#[derive(Debug, Default)]
pub(super) enum Stage {
    #[default]
    Running,
    ShutDown,
    Failed(Arc<dyn Error + Send + Sync + 'static>),
}

impl Stage {
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

pub(super) struct Follower<S: ProjectionStore> {
    pub(super) store: S,
    pub(super) projection: Arc<dyn Projection<S::Backend>>,
    pub(super) options: Options,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) gap: Option<Arc<metrics::Gap>>,
}

/// Where a projection stands.
struct Place {
    /// Done with, in memory.
    checkpoint: Position,
    /// Done with, in the store.
    saved: Position,
    /// Until here the events are replayed: they were there before a rebuild began.
    replay_until: Position,
    batch: usize,
}

impl<S: ProjectionStore> Follower<S> {
    pub(super) async fn run(mut self) {
        let stage = match self.follow().await {
            Ok(()) => Stage::ShutDown,
            Err(error) => {
                let checkpoint = self.progress.borrow().checkpoint;
                log::projection_stopped(self.projection.name(), checkpoint.get(), error.error_type());
                Stage::Failed(error.into_cause().into())
            }
        };
        self.progress.send_modify(|progress| progress.stage = stage);
    }

    /// Follows the feed until it is told to stop, or a step fails for good.
    async fn follow(&mut self) -> Result<(), ProjectionError> {
        let opened = self.persistently(|this| this.store.open_projection(Arc::clone(&this.projection))).await?;
        let Some(mut checkpoint) = opened else { return Ok(()) };
        let mut replay_until = Position::START;
        if self.options.rebuild {
            replay_until = self.store.head().await?;
            let reset = self.persistently(|this| this.store.reset_projection(Arc::clone(&this.projection))).await?;
            if reset.is_none() {
                return Ok(());
            }
            checkpoint = Position::START;
        }
        let mut place = Place { checkpoint, saved: checkpoint, replay_until, batch: SMALLEST_BATCH };
        self.tell(&place);
        let filter = Filter::all().event_types(self.projection.event_types());
        loop {
            let Some(page) = self.read(&place, &filter).await else { break };
            if page.scanned == place.checkpoint {
                let changed = self.store.changed(place.checkpoint);
                if unless_stopped(&mut self.stopped, changed).await.is_none() {
                    break;
                }
            } else {
                self.apply(page, &mut place).await?;
            }
        }
        self.save(&mut place).await
    }

    /// The next page of the feed. Reading is upkeep, without spans; while it fails it is tried again.
    async fn read(&mut self, place: &Place, filter: &Filter) -> Option<Page> {
        let mut attempt = 0;
        loop {
            let reading = Scope::detached().muted().run(self.store.read_all(place.checkpoint, filter, place.batch));
            match unless_stopped(&mut self.stopped, reading).await? {
                Ok(page) => return Some(page),
                Err(error) => self.pause(attempt, StoreError::error_type(&error)).await?,
            }
            attempt += 1;
        }
    }

    async fn apply(&mut self, page: Page, place: &mut Place) -> Result<(), ProjectionError> {
        let replay = place.checkpoint < place.replay_until;
        let catching_up = replay || page.events.len() > LIVE;
        if catching_up {
            let started = Instant::now();
            if self.attempt(&page.events, page.scanned, Mode::Batch { replay }).await.is_ok() {
                place.checkpoint = page.scanned;
                place.saved = page.scanned;
                place.batch = adapted(place.batch, started.elapsed());
                self.tell(place);
                return Ok(());
            }
            // One by one, so that all before the event at fault is applied and the failure can name it.
        }
        for event in &page.events {
            let events = std::slice::from_ref(event);
            let mode = if replay { Mode::Batch { replay } } else { Mode::Live };
            let applied = self.persistently(|this| this.attempt(events, event.position, mode)).await?;
            if applied.is_none() {
                return Ok(());
            }
            place.checkpoint = event.position;
            place.saved = event.position;
            self.tell(place);
        }
        place.checkpoint = page.scanned;
        self.tell(place);
        if place.checkpoint.get() - place.saved.get() > UNSAVED { self.save(place).await } else { Ok(()) }
    }

    /// Applies events in one transaction, in a `projection.{Name}` span.
    async fn attempt(&self, events: &[StoredEvent], to: Position, mode: Mode) -> Result<(), ProjectionError> {
        let span = self.span(events, to, mode);
        let scope = span.scope(!matches!(mode, Mode::Live));
        let batch = Batch { events: events.to_vec(), checkpoint: to };
        let result = self.store.apply_batch(Arc::clone(&self.projection), batch, scope).await;
        match &result {
            Ok(()) => span.in_scope(|| self.applied(&span, events)),
            Err(error) => span.in_scope(|| log::failure(error.error_type())),
        }
        match &result {
            Ok(()) => span.succeed(),
            Err(error) => span.fail(error.error_type().to_owned()),
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

    fn span(&self, events: &[StoredEvent], to: Position, mode: Mode) -> Span {
        let enabled = self.projection.enable_tracing().unwrap_or(self.options.tracing) && !events.is_empty();
        let replay = matches!(mode, Mode::Batch { replay: true });
        let start = Start::new(self.projection.span_name(), Kind::Consumer).options(|options| {
            options.enable(enabled);
            if enabled {
                options.root();
                options.links(events);
            }
            if replay {
                options.replay();
            }
        });
        start.begin(
            &mut |known| {
                known.text(names::CQRS_SIDE, "projection");
                known.text(names::EVENTSOURCE_PROJECTION_NAME, self.projection.name());
                match events {
                    [event] => {
                        known.string(names::EVENTSOURCE_EVENT_TYPE, &event.event_type);
                        known.string(names::EVENTSOURCE_AGGREGATE_ID, event.stream.aggregate_id());
                        known.number(names::EVENTSOURCE_VERSION, event.version.get());
                        known.string(names::EVENTSOURCE_EVENT_RECORDED_AT, &event.recorded_at.to_string());
                    }
                    events => known.number(names::EVENTSOURCE_BATCH_SIZE, events.len() as u64),
                }
                let from = events.first().map_or(to, |event| event.position);
                known.number(names::EVENTSOURCE_FROM_POSITION, from.get());
                known.number(names::EVENTSOURCE_TO_POSITION, to.get());
                if replay {
                    known.flag(names::EVENTSOURCE_REPLAY, true);
                }
            },
            &mut |_| (),
        )
    }

    /// Moves the checkpoint in the store past events that the projection does not handle.
    async fn save(&self, place: &mut Place) -> Result<(), ProjectionError> {
        if place.saved < place.checkpoint {
            self.attempt(&[], place.checkpoint, Mode::Live).await?;
            place.saved = place.checkpoint;
        }
        Ok(())
    }

    /// Tries until it succeeds, the retries are used up, or the runner is stopped (`None`).
    async fn persistently<'a, T, F>(&'a self, attempt: impl Fn(&'a Self) -> F) -> Result<Option<T>, ProjectionError>
    where
        F: Future<Output = Result<T, ProjectionError>>,
    {
        for retry in 0.. {
            match attempt(self).await {
                Ok(value) => return Ok(Some(value)),
                Err(error) if retry == self.options.retries => return Err(error),
                Err(error) => {
                    if self.pause(retry, error.error_type()).await.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        unreachable!("the loop ends when the retries do")
    }

    /// Waits before the next attempt; `None` if the runner is stopped meanwhile.
    async fn pause(&self, retry: u32, error_type: &str) -> Option<()> {
        log::projection_retried(self.projection.name(), retry + 1, error_type);
        if self.options.metrics {
            metrics::retry("projection", error_type);
        }
        if let (Some(gap), Ok(head)) = (&self.gap, self.store.head().await) {
            gap.head(head.get());
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << retry.min(10)).min(LONGEST_PAUSE);
        unless_stopped(&mut self.stopped.clone(), tokio::time::sleep(pause)).await
    }

    fn tell(&self, place: &Place) {
        if let Some(gap) = &self.gap {
            gap.checkpoint(place.checkpoint.get());
        }
        self.progress.send_modify(|progress| progress.checkpoint = place.checkpoint);
    }
}

/// How a batch runs.
#[derive(Clone, Copy)]
enum Mode {
    /// One event, with the spans of its handler.
    Live,
    /// Any number, with one span in all.
    Batch { replay: bool },
}

fn adapted(batch: usize, took: Duration) -> usize {
    if took > LONG_BATCH {
        (batch / 2).max(SMALLEST_BATCH)
    } else if took < LONG_BATCH / 2 {
        (batch * 2).min(LARGEST_BATCH)
    } else {
        batch
    }
}

/// The value of a future, unless the runner is stopped first.
async fn unless_stopped<F: Future>(stopped: &mut watch::Receiver<bool>, body: F) -> Option<F::Output> {
    let mut body = pin!(body);
    let mut stop = pin!(stopped.wait_for(|stop| *stop));
    std::future::poll_fn(|task| {
        if stop.as_mut().poll(task).is_ready() {
            return std::task::Poll::Ready(None);
        }
        body.as_mut().poll(task).map(Some)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_while_they_are_quick_and_shrink_when_they_are_not() {
        assert_eq!(adapted(64, Duration::from_millis(1)), 128);
        assert_eq!(adapted(LARGEST_BATCH, Duration::from_millis(1)), LARGEST_BATCH);
        assert_eq!(adapted(1024, Duration::from_millis(30)), 1024);
        assert_eq!(adapted(1024, Duration::from_millis(80)), 512);
        assert_eq!(adapted(SMALLEST_BATCH, Duration::from_secs(1)), SMALLEST_BATCH);
    }
}
