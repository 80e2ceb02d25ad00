//! How a part of a projection acquires, keeps and loses its lease.

use std::pin::pin;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::ProjectionStore;
use super::changed::CheckpointMoved;
use super::error::ProjectionError;
use super::halt::Halt;
use super::lease::{Claim, Lease, LeaseLost, Taken};
use super::options::Options;
use super::partition::Partition;
use super::partition_runner::{Cursor, PartitionRunner};
use super::retry::upkeep;
use crate::poll::beside;
use crate::store::Position;
use crate::telemetry::{log, metrics};

/// How often to check whether another's lease is free, and how far its holder has come.
pub(crate) const LOOK: Duration = Duration::from_millis(200);
/// How long the checkpoint in the store may lag behind events that are not the part's: that is how long those who read
/// the part's progress from it have to wait, however long the lease.
const LAG: Duration = Duration::from_secs(1);
/// How long giving the lease up may delay the end of a projection; the lease otherwise expires.
pub(crate) const FAREWELL: Duration = Duration::from_secs(1);

/// A lease that is held, or asked for.
#[derive(Clone)]
pub(super) struct Hold {
    pub(super) claim: Claim,
    /// When it was last asked for: from before the request, since the answer may have been long on its way.
    pub(super) renewed: Instant,
}

impl Hold {
    pub(super) fn new(options: &Options) -> Self {
        // Not from the application's clock, whose ids are only as unique as it makes them.
        let claim = Claim::new(Uuid::now_v7(), options.owner.clone(), options.lease);
        Self { claim, renewed: Instant::now() }
    }
}

impl Cursor {
    /// How long until the lease should be renewed, or the checkpoint be saved, which also renews it.
    pub(super) fn due(&self) -> Duration {
        let renewal = self.hold.claim.term / 3;
        let due = if self.saved < self.checkpoint { renewal.min(LAG) } else { renewal };
        due.saturating_sub(self.hold.renewed.elapsed())
    }
}

impl<S: ProjectionStore> PartitionRunner<S> {
    /// Asks for the lease once, and returns its holder if that is another.
    pub(super) async fn claim(&self, hold: &mut Hold) -> Result<Lease, Halt> {
        let begun = Instant::now();
        let asked = self.patiently(|this| this.store.lease_projection(this.partition, hold.claim.clone())).await?;
        if asked.taken.is_none() {
            hold.renewed = begun;
        }
        Ok(asked)
    }

    /// Waits before checking again whether another's lease is free. Meanwhile the gap follows the head: nobody else may
    /// tell that a holder gets nowhere.
    pub(super) async fn look_later(&self, taken: &Taken) -> Result<(), Halt> {
        let pause = taken.left.clamp(Duration::from_millis(1), LOOK);
        self.unless_stopped(self.minding_the_gap(tokio::time::sleep(pause))).await
    }

    /// Waits for the lease, and returns where the part stands then. What another runner does meanwhile counts as
    /// progress here, and what it has not done yet as the gap.
    pub(super) async fn stand_by(&self, hold: &mut Hold) -> Result<Position, Halt> {
        let mut waited_for: Option<String> = None;
        loop {
            let lease = self.claim(hold).await?;
            self.progress.send_modify(|progress| progress.checkpoint = Some(lease.checkpoint));
            if let Some(gap) = &self.gap {
                gap.checkpoint(lease.checkpoint.get());
            }
            let Some(taken) = lease.taken else {
                let Partition { projection, index, .. } = self.partition;
                match (lease.expired, waited_for) {
                    (Some(owner), _) => log::projection_lease_expired(projection, index, &owner),
                    (None, Some(owner)) => log::projection_takes_over(projection, index, &owner),
                    (None, None) => {}
                }
                return Ok(lease.checkpoint);
            };
            if waited_for.is_none() {
                log::projection_waits(self.partition.projection, self.partition.index, &taken.owner);
            }
            self.look_later(&taken).await?;
            waited_for = Some(taken.owner);
        }
    }

    /// Renews the lease, and returns where the part stands in the store.
    pub(super) async fn renew(&self, hold: &mut Hold) -> Result<Position, Halt> {
        let lease = self.claim(hold).await?;
        if lease.taken.is_some() {
            return Err(LeaseLost::new(self.partition).into());
        }
        Ok(lease.checkpoint)
    }

    /// Waits for events, and keeps the lease. Now and then it moves the checkpoint past events that were not this
    /// part's, for those who wait for the lease and look.
    pub(super) async fn idle(&self, cursor: &mut Cursor) -> Result<(), Halt> {
        // The same future throughout: a store may look for others' events less often than a lease is renewed.
        let mut changed = pin!(self.unless_stopped(upkeep(self.feed.changed(cursor.checkpoint))));
        loop {
            match tokio::time::timeout(cursor.due(), changed.as_mut()).await {
                Ok(changed) => return changed,
                Err(_) if cursor.saved < cursor.checkpoint => self.save(cursor).await?,
                Err(_) => {
                    let stored = self.renew(&mut cursor.hold).await?;
                    // A server that took over from another may have lost the last commits: a caller that waits for the
                    // events that come now would be told that they are applied.
                    if stored != cursor.saved {
                        return Err(CheckpointMoved::new(self.partition.projection, cursor.saved, stored).into());
                    }
                }
            }
        }
    }

    /// The output of a future, keeping the lease meanwhile.
    pub(super) async fn keeping<F: Future>(&self, claim: &Claim, body: F) -> F::Output {
        // Not through the function for several parts: each layer doubles the size of the step's future.
        beside(body, upkeep(keep(std::slice::from_ref(self), claim))).await
    }

    /// Handles a lease that another runner has taken, as found by a step, or by a renewal, which is upkeep and has no
    /// span. A new one is another lease.
    pub(super) fn lost(&self, cursor: &mut Cursor, error: &ProjectionError) {
        self.tell_lost(error);
        cursor.rebuilding = false;
        cursor.hold = Hold::new(&self.options);
        if let Some(gap) = &self.gap {
            gap.forget_head();
        }
    }

    pub(super) fn tell_lost(&self, error: &ProjectionError) {
        error.in_scope(|| log::projection_lease_lost(self.partition.projection, self.partition.index));
        if let Some(component) = self.options.counted_as() {
            metrics::lease_lost(component);
        }
    }

    /// Gives the lease up, so that another runner need not wait for it to expire.
    pub(super) async fn give_up(&self, hold: &Hold) {
        let given_up = self.store.lease_projection(self.partition, hold.claim.clone().given_up());
        // Whatever the result: the lease expires.
        let _ = tokio::time::timeout(FAREWELL, upkeep(given_up)).await;
    }
}

/// The output of a future, keeping the leases of these parts meanwhile.
pub(super) async fn keeping<S: ProjectionStore, F: Future>(
    parts: &[PartitionRunner<S>],
    claim: &Claim,
    body: F,
) -> F::Output {
    beside(body, upkeep(keep(parts, claim))).await
}

/// Gives up the leases of these parts that are held.
pub(super) async fn give_up<S: ProjectionStore>(parts: &[PartitionRunner<S>], hold: &Hold) {
    for part in parts {
        part.give_up(hold).await;
    }
}

/// One after the other, on one connection.
async fn keep<S: ProjectionStore>(parts: &[PartitionRunner<S>], claim: &Claim) {
    loop {
        tokio::time::sleep(claim.term / 3).await;
        for part in parts {
            // If it is lost, the transaction in flight will be refused.
            let _ = part.store.lease_projection(part.partition, claim.clone()).await;
        }
    }
}
