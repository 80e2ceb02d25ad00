//! One projection's way through the feed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::caught::caught;
use super::error::{CheckpointMoved, ProjectionError};
use super::retry::upkeep;
use super::runner::{Asked, Options};
use super::running::{Progress, Stage};
use super::step::{Mode, Step};
use super::{Projection, ProjectionStore};
use crate::store::{Filter, Page, Position};
use crate::telemetry::{log, metrics};

/// The sizes between which batches adapt. A page that holds the smallest is never applied one by one.
const SMALLEST_BATCH: usize = 64;
const LARGEST_BATCH: usize = 2048;
/// A batch longer than this halves the next one, so that it does not hold up commands; a much shorter one doubles it.
const LONG_BATCH: Duration = Duration::from_millis(50);
/// How far the checkpoint in the store may lag behind events that the projection does not handle.
const UNSAVED: u64 = 1000;

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
    /// Until here the feed is the past: it was there when the runner was started.
    past: Position,
    /// The past is replayed into an emptied read model.
    rebuilding: bool,
    batch: usize,
}

impl Place {
    /// How a page is applied: event by event where the projection is live, which it is when it has caught up with the
    /// past and has not fallen behind since.
    fn mode(&self, page: &Page) -> Mode {
        let past = self.checkpoint < self.past;
        if past || page.events.len() >= SMALLEST_BATCH {
            Mode::Batch { replay: past && self.rebuilding }
        } else {
            Mode::Live
        }
    }

    fn saved_at(&mut self, position: Position) {
        self.saved = position;
        self.checkpoint = self.checkpoint.max(position);
    }
}

impl<S: ProjectionStore> Follower<S> {
    pub(super) async fn run(self, head: Asked) {
        let stage = match caught(self.follow(head)).await {
            Ok(()) => Stage::ShutDown,
            // The store was closed under a projection that was to stop anyway.
            Err(error) if error.is_closed() && self.is_stopped() => Stage::ShutDown,
            Err(error) => {
                let checkpoint = self.progress.borrow().checkpoint;
                log::projection_stopped(self.projection.name(), checkpoint.get(), error.error_type());
                Stage::failed(error)
            }
        };
        self.progress.send_modify(|progress| progress.stage = stage);
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Follows the feed until it is told to stop, or a step fails for good.
    async fn follow(&self, head: Asked) -> Result<(), ProjectionError> {
        let Some(mut place) = self.start(head).await? else { return Ok(()) };
        self.tell(&place);
        let filter = Filter::all().event_types(self.projection.event_types());
        while let Some(page) = self.ask(|store| store.read_all(place.checkpoint, &filter, place.batch)).await? {
            if page.scanned == place.checkpoint {
                if self.unless_stopped(upkeep(self.store.changed(place.checkpoint))).await.is_none() {
                    break;
                }
            } else {
                self.apply(&page, &mut place).await?;
                // Steps in memory may never wait, and then nothing else would run on this thread.
                tokio::task::yield_now().await;
            }
        }
        self.save(&mut place).await
    }

    /// Opens the projection, and empties it if it is to be rebuilt; `None` if the runner is stopped meanwhile.
    async fn start(&self, head: Asked) -> Result<Option<Place>, ProjectionError> {
        let head = match head.await {
            Ok(head) => Some(head),
            Err(_) => self.ask(S::head).await?,
        };
        let (Some(past), Some(mut checkpoint)) = (head, self.open().await?) else { return Ok(None) };
        if let Some(gap) = &self.gap {
            gap.head(past.get());
        }
        if self.options.rebuild {
            let reset = self.persistently(|this, _| upkeep(this.store.reset_projection(Arc::clone(&this.projection))));
            if reset.await?.is_none() {
                return Ok(None);
            }
            checkpoint = Position::START;
        }
        let rebuilding = self.options.rebuild;
        Ok(Some(Place { checkpoint, saved: checkpoint, past, rebuilding, batch: SMALLEST_BATCH }))
    }

    /// The checkpoint in the store. Like reading, setting up is upkeep, without spans.
    async fn open(&self) -> Result<Option<Position>, ProjectionError> {
        self.persistently(|this, _| upkeep(this.store.open_projection(Arc::clone(&this.projection)))).await
    }

    async fn apply(&self, page: &Page, place: &mut Place) -> Result<(), ProjectionError> {
        if let Some(gap) = &self.gap {
            gap.head(page.scanned.get());
        }
        let mode = place.mode(page);
        let is_batch = matches!(mode, Mode::Batch { .. });
        if is_batch && self.apply_at_once(page, mode, place).await? {
            return Ok(());
        }
        self.apply_one_by_one(page, mode, place).await
    }

    /// Whether the page is done with. If not, it is to be applied one by one, so that all before the event at fault is
    /// applied and the failure can name it.
    async fn apply_at_once(&self, page: &Page, mode: Mode, place: &mut Place) -> Result<bool, ProjectionError> {
        let started = Instant::now();
        let step = Step { events: &page.events, from: place.saved, to: page.scanned, mode, retry: 0 };
        match self.attempt(step).await {
            Ok(()) => {
                place.batch = adapted(place.batch, started.elapsed());
                place.saved_at(page.scanned);
                self.tell(place);
                self.refresh_head().await;
                Ok(true)
            }
            Err(error) if error.is_final() => Err(error),
            Err(_) => self.find_out(page, place).await.map(|found| found.is_none()),
        }
    }

    /// Where a batch that failed left the checkpoint. A store without transactions has kept the steps before the one at
    /// fault, and a commit that was reported as failed may have been made.
    async fn find_out(&self, page: &Page, place: &mut Place) -> Result<Option<()>, ProjectionError> {
        let Some(stored) = self.open().await? else { return Ok(None) };
        if stored < place.saved || stored > page.scanned {
            return Err(CheckpointMoved::new(self.projection.name(), place.saved, stored).into());
        }
        place.saved_at(stored);
        self.tell(place);
        Ok(Some(()))
    }

    async fn apply_one_by_one(&self, page: &Page, mode: Mode, place: &mut Place) -> Result<(), ProjectionError> {
        for event in &page.events {
            if event.position <= place.checkpoint {
                continue;
            }
            let first =
                Step { events: std::slice::from_ref(event), from: place.saved, to: event.position, mode, retry: 0 };
            let applied = self.persistently(|this, retry| this.attempt(Step { retry, ..first })).await?;
            if applied.is_none() {
                return Ok(());
            }
            place.saved_at(event.position);
            self.tell(place);
            if self.is_stopped() {
                return Ok(());
            }
        }
        place.checkpoint = page.scanned;
        self.tell(place);
        if place.checkpoint.get() - place.saved.get() > UNSAVED { self.save(place).await } else { Ok(()) }
    }

    /// Moves the checkpoint in the store past events that the projection does not handle.
    async fn save(&self, place: &mut Place) -> Result<(), ProjectionError> {
        if place.saved < place.checkpoint {
            let first = Step { events: &[], from: place.saved, to: place.checkpoint, mode: Mode::Live, retry: 0 };
            if self.persistently(|this, retry| this.attempt(Step { retry, ..first })).await?.is_some() {
                place.saved = place.checkpoint;
            }
        }
        Ok(())
    }

    fn tell(&self, place: &Place) {
        if let Some(gap) = &self.gap {
            gap.checkpoint(place.checkpoint.get());
        }
        self.progress.send_modify(|progress| progress.checkpoint = place.checkpoint);
    }
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
