//! The lease under which a manager's dead letters are settled, one at a time in the whole store.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::reacting::ManagerStore;
use crate::poll::beside;
use crate::projection::{
    Batch, CheckpointOnly, Claim, FAREWELL, HeldLease, LOOK, Partition, ProjectionError, ProjectionStore,
};
use crate::store::Position;
use crate::telemetry::Scope;
use crate::timer;

/// How long others wait if whoever settles a letter dies, or is dropped.
const TERM: Duration = Duration::from_secs(5);

impl<S: ProjectionStore> ManagerStore<S> {
    /// Waits for the turn to settle a letter. The checkpoint counts turns, so that whoever was stopped in its own
    /// finds out that another had one meanwhile.
    pub(super) async fn turn(&self, letters: &'static str) -> Result<HeldLease, ProjectionError> {
        let turns = || Arc::new(CheckpointOnly(letters));
        self.store.open_projection(turns(), 1, Position::START).await?;
        let partition = Partition::whole(letters);
        let claim = Claim::new(Uuid::now_v7(), letters, TERM);
        loop {
            let since = Instant::now();
            let lease = self.store.lease_projection(partition, claim.clone()).await?;
            let Some(taken) = lease.taken else {
                let checkpoint = Position::new(lease.checkpoint.get() + 1);
                let counted = Batch::new(partition, claim.clone(), lease.checkpoint, checkpoint);
                let counted = self.store.apply_batch(turns(), counted, Scope::current().muted()).await;
                let turn = HeldLease { partition, claim, since, checkpoint };
                return match counted {
                    Ok(_) => Ok(turn),
                    Err(error) => {
                        self.give_up(turn).await;
                        Err(error)
                    }
                };
            };
            if timer::is_there() {
                tokio::time::sleep(taken.left.clamp(Duration::from_millis(1), LOOK)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The output of a future, keeping the turn meanwhile: a command may take longer than the lease lasts.
    pub(super) async fn kept<F: Future>(&self, turn: &HeldLease, body: F) -> F::Output {
        let keep = async {
            while timer::is_there() {
                tokio::time::sleep(TERM / 3).await;
                // If it is lost, the next check before a dispatch finds out.
                let _ = self.store.lease_projection(turn.partition, turn.claim.clone()).await;
            }
        };
        beside(body, keep).await
    }

    pub(super) async fn give_up(&self, turn: HeldLease) {
        let given_up = self.store.lease_projection(turn.partition, turn.claim.given_up());
        // Whatever the result: the lease expires.
        if timer::is_there() {
            let _ = tokio::time::timeout(FAREWELL, given_up).await;
        } else {
            let _ = given_up.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reacting::ManagerContext;
    use super::*;
    use crate::clock;
    use crate::dispatch::CommandBus;
    use crate::store::MemoryStore;

    /// Another has had its turn, and given it up.
    #[tokio::test]
    async fn whoever_was_stopped_in_a_turn_finds_that_another_had_one() {
        let bus = CommandBus::builder().build();
        let context = ManagerContext { bus, clock: clock::system(), max_depth: 1, metrics: false, names: Vec::new() };
        let (store, context) = (MemoryStore::new(), Arc::new(context));
        let managers = ManagerStore { store: store.clone(), context, leases: Vec::new(), late: false };
        let stopped = managers.turn("process_letters.Shipping").await.unwrap();
        let stopped = HeldLease { since: Instant::now().checked_sub(TERM).unwrap(), ..stopped };
        stopped.check(&store).await.unwrap();
        managers.give_up(stopped.clone()).await;
        let other = managers.turn("process_letters.Shipping").await.unwrap();
        managers.give_up(other).await;
        assert!(stopped.check(&store).await.unwrap_err().is_lease_lost());
    }
}
