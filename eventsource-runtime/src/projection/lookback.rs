//! What a part has passed over: nothing between its checkpoint in the store and the one in memory was for it.
//!
//! A server that took over from another may have lost the end of the feed, and have reused the same positions since.
//! The checkpoint in the store was lost together with what it stands for, or neither was: so the part looks again from
//! there before it moves past the rest.

use std::time::{Duration, Instant};

use super::batch::Events;
use super::changed::CheckpointMoved;
use super::error::ProjectionError;
use super::halt::Halt;
use super::partition_runner::{BACKLOG, Cursor, PartitionRunner};
use super::retry::{LATE, Trouble, upkeep};
use super::step::{Mode, Step};
use super::{ProjectionStore, StepResult};
use crate::domain::StoredEvent;
use crate::store::{Filter, Page};

/// No failover takes less time than this. Between pages that follow each other more closely there is no look back,
/// which would double the reads of a part that shares a busy feed with others.
const TAKEOVER: Duration = Duration::from_millis(100);

impl<S: ProjectionStore> PartitionRunner<S> {
    /// What the feed is to show.
    pub(super) fn filter(&self) -> Filter {
        Filter::all().event_types(self.projection.event_types())
    }

    /// The page that was read ahead, with its limit, or else the next one.
    pub(super) async fn next_page(
        &self,
        ahead: Option<(Page, usize)>,
        filter: &Filter,
        cursor: &mut Cursor,
    ) -> Result<Page, Halt> {
        let (page, asked) = match ahead {
            Some(ahead) => ahead,
            None => (self.ask(|feed| feed.read_all(cursor.checkpoint, filter, cursor.batch)).await?, cursor.batch),
        };
        cursor.asked = asked;
        let since = std::mem::replace(&mut cursor.read, Instant::now()).elapsed();
        let is_own = |event: &StoredEvent| self.partition.holds(&event.stream);
        if cursor.saved == cursor.checkpoint {
            return Ok(page);
        }
        cursor.gap = cursor.gap.max(since);
        // Applying one of its events moves the checkpoint in the store past what was passed over before.
        if cursor.gap >= TAKEOVER && page.events.iter().any(is_own) {
            let at = &*cursor;
            self.patiently(|this| this.look_back(at)).await?;
            cursor.gap = Duration::ZERO;
        }
        Ok(page)
    }

    /// Moves the checkpoint in the store past events that are not this part's, keeping the lease meanwhile.
    pub(super) async fn save(&self, cursor: &mut Cursor) -> Result<(), Halt> {
        let claim = cursor.hold.claim.clone();
        self.keeping(&claim, Box::pin(self.move_up(cursor))).await
    }

    pub(super) async fn move_up(&self, cursor: &mut Cursor) -> Result<(), Halt> {
        let mut trouble = Trouble::default();
        let none = Events::default();
        while cursor.saved < cursor.checkpoint {
            let step = Step::new(&none, cursor.checkpoint, Mode::Live).retried(trouble.retries);
            // What is passed over may be passed over again: a stop does not wait for a feed that does not answer.
            let moved = match self.within(LATE, upkeep(self.look_back(cursor))).await? {
                Ok(()) => self.attempt(step, cursor).await,
                failed => failed,
            };
            let Err(error) = moved else { break };
            self.endure(&mut trouble, error).await?;
        }
        Ok(())
    }

    /// Looks again at what was passed over.
    ///
    /// # Errors
    /// [`CheckpointMoved`] if the feed no longer reaches that far, or shows something there. Or it cannot be read.
    async fn look_back(&self, cursor: &Cursor) -> StepResult {
        let (filter, mut after) = (self.filter(), cursor.saved);
        while after < cursor.checkpoint {
            let page = self.feed.read_all(after, &filter, BACKLOG).await.map_err(ProjectionError::store)?;
            let is_new =
                |event: &StoredEvent| event.position <= cursor.checkpoint && self.partition.holds(&event.stream);
            if page.scanned <= after || page.events.iter().any(is_new) {
                return Err(CheckpointMoved::new(self.partition.projection, cursor.checkpoint, cursor.saved).into());
            }
            after = page.scanned;
        }
        Ok(())
    }
}
