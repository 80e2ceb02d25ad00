//! Rebuilding a read model beside the old one, which readers see until the new one takes its place.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use super::ProjectionStore;
use super::error::ProjectionError;
use super::halt::Halt;
use super::lease::Claim;
use super::leasing::{FAREWELL, Hold, LOOK};
use super::options::Rebuild;
use super::pace::LARGEST_BATCH;
use super::partition::Partition;
use super::partition_runner::{Cursor, PartitionRunner};
use super::progress::Standing;
use super::rebuild::Rebuilding;
use super::retry::upkeep;
use crate::store::Position;
use crate::telemetry::log;

/// How many events count as little: one batch.
const LITTLE: u64 = LARGEST_BATCH as u64;
/// How many rounds of catching up there are if more events come than are applied.
const MOST_ROUNDS: usize = 16;

/// The lease of the projection, and where it stands.
pub(super) type Built = (Hold, Position);

impl<S: ProjectionStore> PartitionRunner<S> {
    /// Builds the read model aside and puts it in the place of the old one.
    ///
    /// While it is built, the lease's holder continues with the old one. The lease is taken from it only for the
    /// remainder, so that the new one does not chase it forever.
    pub(super) async fn build_aside(&self, past: Position) -> Result<(Built, Arc<Rebuilding>), Halt> {
        let name = self.partition.projection;
        if self.partition.count > 1 {
            return Err(ProjectionError::new(format!(
                "projection `{name}` runs in several partitions and cannot be built aside; rebuild it in place"
            ))
            .into());
        }
        let store = self.open_place().await?;
        let rebuilding = Arc::new(Rebuilding::begin(name, Rebuild::Aside, past, 1, self.options.metrics));
        let builder = self.builder(store, Arc::clone(&rebuilding));
        builder.patiently(|this| this.store.open_projection(Arc::clone(&this.projection), 1, Position::START)).await?;
        let mut own = Hold::new(&self.options);
        let begin = builder.stand_by(&mut own).await?;
        let mut cursor = Cursor::new(begin, past, own);
        cursor.rebuilding = true;
        builder.close_up(&mut cursor, past).await?;
        let mut hold = Hold::new(&self.options);
        let forced = hold.claim.clone().by_force();
        let lease = match self.patiently(|this| this.store.lease_projection(this.partition, forced.clone())).await {
            Ok(lease) => lease,
            Err(halt) => {
                // The question may have been answered when nobody listened any more.
                self.give_up(&hold).await;
                return Err(halt);
            }
        };
        let swap = self.swap(&builder, &mut cursor, &hold, lease.checkpoint);
        if let Err(halt) = self.keeping(&hold.claim, swap).await {
            self.give_up(&hold).await;
            return Err(halt);
        }
        hold.renewed = Instant::now();
        rebuilding.ended();
        Ok(((hold, cursor.checkpoint), rebuilding))
    }

    /// Where the read model stands that readers see, if the store tells in good time.
    pub(super) async fn live(&self) -> Option<Position> {
        // Nobody holds a lease of no duration, and the answer contains the checkpoint.
        let look = Claim::new(Uuid::nil(), Arc::clone(&self.options.owner), Duration::ZERO);
        let asked = upkeep(self.store.lease_projection(self.partition, look));
        let lease = tokio::time::timeout(FAREWELL, asked).await.ok()?.ok()?;
        Some(lease.checkpoint)
    }

    /// Opens the place aside once nobody else builds there.
    async fn open_place(&self) -> Result<S, Halt> {
        let name = self.partition.projection;
        let mut told = false;
        loop {
            match self.patiently(|this| this.store.open_aside(name)).await {
                Err(Halt::Failed(error)) if error.is_built_elsewhere() => {}
                opened => return opened,
            }
            if !std::mem::replace(&mut told, true) {
                log::projection_waits(name, self.partition.index, "a runner that builds it aside");
            }
            self.unless_stopped(tokio::time::sleep(LOOK)).await?;
        }
    }

    /// Also catches up with what has come meanwhile, until that is little: nobody continues with the old one while the
    /// rest is applied.
    async fn close_up(&self, cursor: &mut Cursor, past: Position) -> Result<(), Halt> {
        let mut until = past;
        for _ in 0..MOST_ROUNDS {
            self.catch_up(cursor, until).await?;
            let head = self.ask(S::head).await?;
            if head.get().saturating_sub(until.get()) <= LITTLE {
                break;
            }
            until = head;
        }
        Ok(())
    }

    async fn swap(&self, builder: &Self, cursor: &mut Cursor, hold: &Hold, live: Position) -> Result<(), Halt> {
        builder.catch_up(cursor, live).await?;
        let (name, token) = (self.partition.projection, hold.claim.token);
        self.patiently(|this| this.store.swap_aside(name, builder.store.clone(), token)).await
    }

    /// The same projection, applied to the store aside, with a progress that only the rebuild uses.
    fn builder(&self, store: S, rebuilding: Arc<Rebuilding>) -> Self {
        Self {
            store,
            partition: Partition::whole(self.partition.projection),
            progress: watch::channel(Standing::default()).0,
            gap: None,
            rebuilding: Some(rebuilding),
            ..self.clone()
        }
    }
}

/// A read model that was built aside does not fit beside the old one.
#[derive(Debug, thiserror::Error)]
#[error(
    "projection `{projection}` was built aside, and the disk has no room to copy it into the place of the old one; \
     make room and build it again, or rebuild it in place"
)]
pub(crate) struct NoRoom {
    pub(crate) projection: String,
}

/// Somebody else is building the projection aside; this runner can when that one is done, or gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("projection `{projection}` is being built aside by another runner; wait until that is done")]
#[non_exhaustive]
pub struct BuiltElsewhere {
    /// The projection.
    pub projection: &'static str,
}

impl BuiltElsewhere {
    /// For a projection whose place aside somebody else has.
    #[must_use]
    pub const fn new(projection: &'static str) -> Self {
        Self { projection }
    }
}
