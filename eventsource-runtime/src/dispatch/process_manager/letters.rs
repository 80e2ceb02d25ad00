//! The lease under which a manager's dead letters are settled, one at a time in the whole store.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::desk::Desk;
use crate::poll::beside;
use crate::projection::{Bookmark, Claim, Partition, ProjectionError, ProjectionStore, Tenure};
use crate::store::Position;
use crate::timer;

/// How long others wait if whoever settles a letter dies, or is dropped.
const TERM: Duration = Duration::from_secs(5);
/// How often to check whether another's turn is over.
const LOOK: Duration = Duration::from_millis(200);

impl<S: ProjectionStore> Desk<S> {
    /// Waits for the turn to settle a letter.
    pub(super) async fn turn(&self, letters: &'static str) -> Result<Tenure, ProjectionError> {
        self.store.open_projection(Arc::new(Bookmark(letters)), 1, Position::START).await?;
        let partition = Partition::whole(letters);
        let claim = Claim::new(Uuid::now_v7(), letters, TERM);
        loop {
            let since = Instant::now();
            let lease = self.store.lease_projection(partition, claim.clone()).await?;
            let Some(taken) = lease.taken else {
                return Ok(Tenure { partition, claim, since, checkpoint: lease.checkpoint });
            };
            if timer::is_there() {
                tokio::time::sleep(taken.left.clamp(Duration::from_millis(1), LOOK)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The output of a future, keeping the turn meanwhile: a command may take longer than the lease lasts.
    pub(super) async fn kept<F: Future>(&self, turn: &Tenure, body: F) -> F::Output {
        let keep = async {
            while timer::is_there() {
                tokio::time::sleep(TERM / 3).await;
                // If it is lost, the next check before a dispatch finds out.
                let _ = self.store.lease_projection(turn.partition, turn.claim.clone()).await;
            }
        };
        beside(body, keep).await
    }

    pub(super) async fn give_up(&self, turn: Tenure) {
        // Whatever the result: the lease expires.
        let _ = self.store.lease_projection(turn.partition, turn.claim.given_up()).await;
    }
}
