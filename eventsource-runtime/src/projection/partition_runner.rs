//! One part of a projection on its way through the feed.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::batch::{Events, Took};
use super::changed::CheckpointMoved;
use super::halt::Halt;
use super::leasing::Hold;
use super::options::Options;
use super::pace::{SMALLEST_BATCH, adapted, within_bytes};
use super::partition::Partition;
use super::progress::Standing;
use super::rebuild::Rebuilding;
use super::retry::{Trouble, upkeep};
use super::step::{Mode, Step, Unsure};
use super::stopped::ProjectionStopped;
use super::{Projection, ProjectionStore};
use crate::poll::beside;
use crate::store::{Page, Position};
use crate::telemetry::{log, metrics};

/// The first size of batches; this many events at once are never applied one by one.
pub(super) const BACKLOG: usize = 64;
/// How far the checkpoint in the store may lag behind events that the projection does not handle.
const UNSAVED: u64 = 1000;

#[derive(Clone)]
pub(super) struct PartitionRunner<S: ProjectionStore> {
    /// Where the events come from.
    pub(super) feed: S,
    /// Where they are applied.
    pub(super) store: S,
    // In full, as a derived `Clone` would require of `S::Backend` to be one too.
    pub(super) projection: Arc<dyn Projection<<S as ProjectionStore>::Backend>>,
    pub(super) partition: Partition,
    pub(super) options: Options,
    pub(super) progress: watch::Sender<Standing>,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) gap: Option<Arc<metrics::Gap>>,
    pub(super) running: Option<Arc<metrics::Told>>,
    /// Set while the read model is rebuilt.
    pub(super) rebuilding: Option<Arc<Rebuilding>>,
}

/// Where a part stands.
pub(super) struct Cursor {
    /// Done with, in memory.
    pub(super) checkpoint: Position,
    /// Done with, in the store.
    pub(super) saved: Position,
    /// Up to here the feed is the past: it was there when the runner was started, or when its rebuild had emptied the
    /// read model.
    pub(super) past: Position,
    /// The past is replayed into an emptied read model.
    pub(super) rebuilding: bool,
    pub(super) hold: Hold,
    /// What may have been committed, though it was reported as failed.
    pub(super) unsure: Option<Unsure>,
    /// The code of a statement that was wrong however often it was retried, as it is for the next event.
    pub(super) wrong_statement: Option<String>,
    /// When the last page came, and the longest time between two since something unsaved was passed over.
    pub(super) read: Instant,
    pub(super) gap: Duration,
    /// How many events the next page may have, and how many the current one, which may have been read ahead.
    pub(super) batch: usize,
    pub(super) asked: usize,
    /// What the batch's committed attempts took, if the store says so of all of them.
    pub(super) took: Option<Took>,
}

impl Cursor {
    pub(super) fn new(checkpoint: Position, past: Position, hold: Hold) -> Self {
        let (read, batch) = (Instant::now(), BACKLOG);
        Self {
            checkpoint,
            saved: checkpoint,
            past,
            rebuilding: false,
            hold,
            unsure: None,
            wrong_statement: None,
            read,
            gap: Duration::ZERO,
            batch,
            asked: batch,
            took: None,
        }
    }

    /// How a page is applied: event by event if the projection is live, that is, has caught up with the past and has
    /// not fallen behind since. How many events were read decides that, not how many of them are this part's own: many
    /// parts have few each of a long backlog. If none is, there is nothing to commit.
    fn mode(&self, own: usize, read: usize) -> Mode {
        let past = self.checkpoint < self.past;
        let is_behind = own > 0 && read >= self.asked.clamp(SMALLEST_BATCH, BACKLOG);
        if past || is_behind { Mode::Batch { replay: past && self.rebuilding } } else { Mode::Live }
    }

    pub(super) fn saved_at(&mut self, position: Position) {
        (self.saved, self.unsure, self.gap) = (position, None, Duration::ZERO);
        self.checkpoint = self.checkpoint.max(position);
    }

    /// Continues from where another runner left off, or where the store now stands.
    pub(super) fn goes_on(&mut self, checkpoint: Position) {
        self.checkpoint = checkpoint;
        self.saved_at(checkpoint);
    }
}

impl<S: ProjectionStore> PartitionRunner<S> {
    pub(super) fn end(&self, ended: Result<(), Halt>) {
        let (projection, checkpoint) = (self.partition.projection, self.progress.borrow().reached());
        let ended = match ended {
            // The store may be closed under a projection that was to stop anyway.
            Err(Halt::Failed(error)) if !(error.is_closed() && self.is_stopped()) => {
                let checkpoint = error.kept().map_or(checkpoint, |kept| kept.max(checkpoint));
                error.in_scope(|| log::projection_stopped(projection, checkpoint, &error.logged()));
                if let Some(running) = &self.running {
                    running.failed();
                }
                ProjectionStopped::failed(projection, checkpoint, error)
            }
            _ => ProjectionStopped::ShutDown { projection, checkpoint },
        };
        self.progress.send_modify(|progress| progress.ended = Some(ended));
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.progress.borrow().ended, Some(ProjectionStopped::Failed { .. }))
    }

    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Follows the feed until it is stopped, or fails for good. A rebuild that loses its place is such a failure: all
    /// parts have to start over.
    pub(super) async fn follow(&self, cursor: &mut Cursor) -> Result<(), Halt> {
        loop {
            self.tell(cursor);
            match self.advance(cursor, None).await {
                // The lease may have expired and come back, as nobody else had it, or the store has lost its last
                // commits with their effects: its checkpoint tells where to continue.
                Err(Halt::Failed(error)) if error.loses_its_place() => {
                    // If it is this one's own after all, it would be waited for; if it is another's, this does nothing.
                    self.give_up(&cursor.hold).await;
                    let is_rebuilt = !cursor.rebuilding || cursor.saved >= cursor.past;
                    self.lost(cursor, &error);
                    if !is_rebuilt {
                        // Another program may have continued, which knows nothing of this one's rebuild.
                        return Err(error.into());
                    }
                    let checkpoint = self.stand_by(&mut cursor.hold).await?;
                    cursor.goes_on(checkpoint);
                }
                ended => return ended,
            }
        }
    }

    /// Goes on until a position, if there is one, or until the runner is stopped. Then what was passed over is saved.
    async fn advance(&self, cursor: &mut Cursor, until: Option<Position>) -> Result<(), Halt> {
        // In a box as in `attempt`.
        let ended = Box::pin(self.apply_pages(cursor, until)).await;
        if !matches!(ended, Err(Halt::Failed(_))) {
            self.save(cursor).await?;
        }
        ended
    }

    /// Reads and applies page after page. While one is applied, the next one is read: no more than that is held in
    /// memory however long the backlog is.
    async fn apply_pages(&self, cursor: &mut Cursor, until: Option<Position>) -> Result<(), Halt> {
        let filter = self.filter();
        let mut ahead: Option<(Page, usize)> = None;
        while until.is_none_or(|until| cursor.checkpoint < until) {
            let page = self.next_page(ahead.take(), &filter, cursor).await?;
            if page.scanned == cursor.checkpoint {
                self.idle(cursor).await?;
                continue;
            }
            let (end, size) = (page.scanned, cursor.batch);
            let next = self.unless_stopped(upkeep(self.feed.read_all(end, &filter, size)));
            // Kept from the first attempt to the last: the pauses between them may be longer than a lease, and many
            // shorter ones add up. In a box as in `attempt`.
            let claim = cursor.hold.claim.clone();
            let read = self.keeping(&claim, Box::pin(self.apply_reading(page, cursor, next))).await?;
            if self.is_stopped() {
                return Err(Halt::Stopped);
            }
            // After a step that was another's, the page may not begin where this part continues.
            ahead = read.ok().and_then(Result::ok).filter(|_| cursor.checkpoint == end).map(|page| (page, size));
            // Steps in memory may never wait, and then nothing else would run on this thread.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Applies a page while the next one is read, and then waits for that, unless it fails. If it has many events, the
    /// gap follows the head meanwhile, for which nothing waits.
    async fn apply_reading<T>(
        &self,
        page: Page,
        cursor: &mut Cursor,
        next: impl Future<Output = T>,
    ) -> Result<T, Halt> {
        let is_large = page.events.len() >= SMALLEST_BATCH;
        // In boxes as in `attempt`.
        let (mut next, mut read) = (Box::pin(next), None);
        let other = async {
            read = Some(next.as_mut().await);
            if is_large {
                self.refresh_head().await;
            }
        };
        let (applying, mut other) = (Box::pin(self.apply(page, cursor)), Box::pin(other));
        // Begun first: a store in memory answers at once, and its steps may never wait.
        let answered = poll_fn(|task| Poll::Ready(other.as_mut().poll(task).is_ready())).await;
        if answered {
            applying.await?;
        } else {
            beside(applying, other.as_mut()).await?;
        }
        drop(other);
        Ok(match read {
            Some(read) => read,
            None => next.await,
        })
    }

    /// Advances to a position that the feed has.
    pub(super) async fn catch_up(&self, cursor: &mut Cursor, until: Position) -> Result<(), Halt> {
        self.tell(cursor);
        self.advance(cursor, Some(until)).await
    }

    async fn apply(&self, mut page: Page, cursor: &mut Cursor) -> Result<(), Halt> {
        if let Some(gap) = &self.gap {
            gap.head(page.scanned.get());
        }
        let (read, within) = (page.events.len(), within_bytes(&page.events));
        page.events.retain(|event| self.partition.holds(&event.stream));
        let mode = if self.options.one_by_one { Mode::Live } else { cursor.mode(page.events.len(), read) };
        let end = page.scanned;
        let events = Events::from(page.events);
        let started = Instant::now();
        cursor.took = Some(Took::default());
        match mode {
            Mode::Batch { .. } => self.apply_at_once(&events, end, mode, cursor).await?,
            Mode::Live => self.apply_one_by_one(&events, cursor).await?,
        }
        let wanted = match mode {
            Mode::Batch { .. } => {
                let took = cursor.took.unwrap_or_else(|| Took { steps: started.elapsed(), rest: Duration::ZERO });
                adapted(cursor.batch, read, took, self.store.longest_batch())
            }
            // What had made it smaller was large, and may be over.
            Mode::Live => cursor.batch.max(BACKLOG),
        };
        cursor.batch = wanted.min(within);
        cursor.checkpoint = cursor.checkpoint.max(end);
        self.tell(cursor);
        let unsaved = cursor.checkpoint.get() - cursor.saved.get();
        // If there is always another page, the part is never idle, when this is done otherwise.
        if unsaved > UNSAVED || unsaved > 0 && cursor.due().is_zero() { self.move_up(cursor).await } else { Ok(()) }
    }

    /// Applies events in one transaction. If that fails, those before the one at fault, then that one by itself, for
    /// which its policy decides, and then those behind it.
    async fn apply_at_once(&self, events: &Events, end: Position, mode: Mode, cursor: &mut Cursor) -> Result<(), Halt> {
        let mut trouble = Trouble::default();
        let mut fault = None;
        while cursor.saved < end {
            let rest = events.after(cursor.saved);
            let (part, to) = match fault {
                Some(fault) => (rest.before(fault), fault),
                None => (rest, end),
            };
            let to = part.last().map_or(to, |last| if fault.is_some() { last.position } else { end });
            if part.is_empty() && fault.take().is_some() {
                let one = events.after(cursor.saved).first_alone();
                self.settle(&one, mode, cursor).await?;
                continue;
            }
            let before = cursor.saved;
            match self.attempt(Step::new(&part, to, mode), cursor).await {
                Ok(()) => trouble = Trouble::default(),
                Err(error) if error.is_final() => return Err(error.into()),
                Err(error) => {
                    let kept = cursor.saved;
                    self.count(Step::new(&events.after(before).until(kept), kept, mode)).await;
                    fault = error.event();
                    if kept > before {
                        // What makes progress, however slowly, has not been in trouble all the time.
                        trouble = Trouble::default();
                    }
                    if fault.is_none() {
                        self.endure(&mut trouble, error).await?;
                    }
                    self.find_out(end, cursor).await?;
                    self.count(Step::new(&events.after(kept).until(cursor.saved), cursor.saved, mode)).await;
                }
            }
        }
        Ok(())
    }

    /// Finds where a failed batch left the checkpoint. A store without transactions has kept the steps before the one
    /// at fault, and a commit that was reported as failed may have been made.
    async fn find_out(&self, end: Position, cursor: &mut Cursor) -> Result<(), Halt> {
        let stored = self.renew(&mut cursor.hold).await?;
        if stored < cursor.saved || stored > end {
            return Err(CheckpointMoved::new(self.partition.projection, cursor.saved, stored).into());
        }
        cursor.saved_at(stored);
        self.tell(cursor);
        Ok(())
    }

    async fn apply_one_by_one(&self, events: &Events, cursor: &mut Cursor) -> Result<(), Halt> {
        let mut rest = events.after(cursor.saved);
        while !rest.is_empty() {
            self.settle(&rest.first_alone(), Mode::Live, cursor).await?;
            if self.is_stopped() {
                return Err(Halt::Stopped);
            }
            rest = events.after(cursor.saved);
        }
        Ok(())
    }

    pub(super) fn tell(&self, cursor: &Cursor) {
        if let Some(gap) = &self.gap {
            gap.checkpoint(cursor.checkpoint.get());
        }
        if let Some(rebuilding) = &self.rebuilding {
            rebuilding.reached(self.partition.index, cursor.checkpoint);
        }
        self.progress.send_modify(|progress| progress.checkpoint = Some(cursor.checkpoint));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_are_read_are_a_batch_however_few_are_the_parts_own() {
        let mut cursor = Cursor::new(Position::START, Position::START, Hold::new(&Options::default()));
        let mut is_batch = |asked, own, read| {
            cursor.asked = asked;
            cursor.mode(own, read) != Mode::Live
        };
        assert!(is_batch(64, 32, 64) && is_batch(2048, 32, 64), "the others are other parts'");
        assert!(!is_batch(64, 63, 63) && !is_batch(64, 0, 64));
        assert!(is_batch(41, 41, 41) && !is_batch(41, 40, 40), "no more than that were asked for");
        assert!(is_batch(8, 8, 8), "so it goes on where steps are slow");
        assert!(!is_batch(1, 1, 1) && !is_batch(2, 2, 2), "a page of an event or two is no backlog");
    }
}
