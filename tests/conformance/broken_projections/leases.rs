//! What is wrong with leases.

use std::time::{Duration, Instant};

use eventsource_runtime::projection::{Claim, Lease, Partition, ProjectionError, ProjectionStore};
use eventsource_runtime::store::{EventStore, Position};

use super::Flaw;
use super::flawed::{Flawed, LONG};

/// So short that it is over at once. None at all would give a lease up.
const MOMENT: Duration = Duration::from_nanos(1);

impl Flawed {
    /// What is asked of the store below for a lease.
    pub(super) async fn asked(
        &self,
        partition: Partition,
        claim: Claim,
    ) -> Result<(Partition, Claim), ProjectionError> {
        let (mut partition, mut claim) = (partition, claim);
        self.notes().forced |= claim.by_force;
        match self.flaw {
            Flaw::NamesIgnoreCase if partition.projection == "notes" => partition = Partition::whole("Notes"),
            Flaw::NeverRenews if !claim.gives_up() => {
                let until = self.notes().until.get(&claim.token).copied();
                let left = until.map(|until| until.saturating_duration_since(Instant::now()).max(MOMENT));
                claim.term = left.unwrap_or(claim.term);
            }
            // As long as there is nothing to do, nobody else need do it.
            Flaw::NeverExpiresWithoutEvents if !claim.gives_up() => {
                let is_brief = claim.term < Duration::from_secs(1);
                let is_empty = self.memory.head().await.is_ok_and(|head| head == Position::START);
                claim.term = if is_brief && is_empty { LONG } else { claim.term };
            }
            Flaw::NeverGivesUp if claim.gives_up() => claim.token = uuid::Uuid::now_v7(),
            Flaw::AnybodyGivesUp if claim.gives_up() => self.expire(partition).await?,
            Flaw::LooksBeforeItTakes
                if self.is_shared() && !claim.gives_up() && self.look(partition).await?.taken.is_none() =>
            {
                self.another_looks().await;
                claim.by_force = true;
            }
            _ => {}
        }
        Ok((partition, claim))
    }

    /// Has the lease of a part run out, unless it was taken over before.
    async fn expire(&self, partition: Partition) -> Result<(), ProjectionError> {
        let granted = self.notes().granted.get(&partition).cloned().unwrap_or_default();
        if let [token] = granted[..] {
            self.memory.lease_projection(partition, Claim::new(token, "the suite", MOMENT)).await?;
        }
        Ok(())
    }

    /// What is told of a lease.
    pub(super) fn answered(&self, mut lease: Lease, partition: Partition, claim: &Claim) -> Lease {
        match self.flaw {
            Flaw::RoundsUpWhatIsLeft => {
                if let Some(taken) = lease.taken.as_mut().filter(|taken| !taken.left.is_zero()) {
                    taken.left = Duration::from_hours(taken.left.as_secs() / 3600 + 1);
                }
            }
            Flaw::ForceIsNotTold => {
                let notes = self.notes();
                if notes.forced && notes.has_had(partition, claim.token) {
                    lease.taken = None;
                }
            }
            Flaw::TellsTheHeirAsDead => {
                lease.expired.iter_mut().for_each(|owner| *owner = claim.owner.to_string());
            }
            Flaw::TellsTheFirstOwner => {
                let first = self.notes().owner.get_or_insert_with(|| claim.owner.to_string()).clone();
                lease.taken.iter_mut().for_each(|taken| taken.owner.clone_from(&first));
            }
            Flaw::PositionsAreFloats => {
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "it is the flaw"
                )]
                let rounded = lease.checkpoint.get() as f64 as u64;
                lease.checkpoint = Position::new(rounded);
            }
            Flaw::TellsWaitersTheStart if lease.taken.is_some() && !claim.gives_up() => {
                lease.checkpoint = Position::START;
            }
            _ => {}
        }
        lease
    }
}
