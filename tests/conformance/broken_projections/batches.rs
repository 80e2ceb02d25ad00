//! What is wrong with batches.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eventsource_runtime::projection::{
    Applied, Batch, Claim, Events, LeaseLost, Partition, PartitionsChanged, ProjectionError, ProjectionStore,
};
use eventsource_runtime::store::Position;
use eventsource_runtime::telemetry::Scope;
use tokio::task::yield_now;
use uuid::Uuid;

use super::Flaw;
use super::flawed::{Flawed, LONG, Notes};
use super::posing::Posing;

/// By how many positions a checkpoint moves that is saved at once where short moves are not.
const FAR: u64 = 1 << 30;

/// A lock that is only given back by whoever comes to the end.
pub(super) struct Locked(Arc<Mutex<Notes>>);

impl Locked {
    pub(super) async fn by(store: &Flawed) -> Self {
        while std::mem::replace(&mut store.notes().locked, true) {
            yield_now().await;
        }
        yield_now().await;
        Self(Arc::clone(&store.notes))
    }

    pub(super) fn give_back(self) {
        self.0.lock().expect("nobody panics here").locked = false;
    }
}

/// Whether it only moves the checkpoint.
fn is_bare(batch: &Batch) -> bool {
    batch.events.is_empty() && batch.set_aside.is_none()
}

/// Whether all events are of one stream.
fn is_of_one_stream(batch: &Batch) -> bool {
    batch.events.windows(2).all(|pair| pair[0].stream == pair[1].stream)
}

impl Flawed {
    /// What becomes of a batch before it is applied; `None` if it is ignored.
    pub(super) async fn spoilt(&self, batch: Batch) -> Result<Option<Batch>, ProjectionError> {
        let mut batch = batch;
        match self.flaw {
            Flaw::IgnoresWhatIsNotOpen => match self.look(batch.partition).await {
                Err(error) if !error.cause().is::<PartitionsChanged>() => return Ok(None),
                _ => {}
            },
            Flaw::ReversesLaterBatches if batch.from > Position::START && is_of_one_stream(&batch) => {
                let reversed: Vec<_> = batch.events.iter().rev().cloned().collect();
                batch.events = Events::from(reversed);
            }
            Flaw::PutsOffShortMoves if is_bare(&batch) && batch.checkpoint.get() - batch.from.get() < FAR => {
                batch.checkpoint = batch.from;
            }
            Flaw::LeavesGaps if batch.set_aside.is_none() => {
                batch.from = batch.from.min(self.look(batch.partition).await?.checkpoint);
            }
            // Where it does no more than renew, it may.
            Flaw::ExpiredIsLost if !is_bare(&batch) => {
                let until = self.notes().until.get(&batch.claim.token).copied();
                if until.is_some_and(|until| until < Instant::now()) {
                    return Err(LeaseLost::new(batch.partition).into());
                }
            }
            Flaw::TakesLateBatches => {
                let notes = self.notes();
                let last = notes.last(batch.partition).filter(|_| notes.has_had(batch.partition, batch.claim.token));
                batch.claim.token = last.unwrap_or(batch.claim.token);
            }
            Flaw::BatchesDoNotRenew => batch.claim.term = Duration::from_millis(1),
            Flaw::ParksTheNextBatchAlone if batch.set_aside.is_none() => {
                let parking = !self.letters_of(batch.partition.projection).await.is_empty();
                let number = self.notes().batches;
                self.notes().batches += u32::from(parking);
                if number > 0 {
                    batch.events = Events::default();
                }
            }
            Flaw::RefusesKnownLetters => {
                let known = self.letters_of(batch.partition.projection).await;
                let set_aside = batch.set_aside.as_ref();
                if set_aside.is_some_and(|letter| known.iter().any(|known| known.position == letter.position)) {
                    return Err(ProjectionError::new("a letter is there already"));
                }
            }
            Flaw::GivesUpAfterTwo if self.notes().failures >= 2 => batch.events = Events::default(),
            Flaw::ChecksBeforeItsTurn if self.is_shared() => self.check_before(&mut batch).await?,
            Flaw::CountsAttempts => batch.set_aside.iter_mut().for_each(|letter| {
                letter.retries = letter.retries.saturating_add(1);
            }),
            Flaw::CutsReasons => batch.set_aside.iter_mut().for_each(|letter| {
                let cut = letter.reason.floor_char_boundary(255);
                letter.reason.truncate(cut);
            }),
            Flaw::ParksForEver => {
                let parked = self.notes().parked.clone();
                let left: Vec<_> =
                    batch.events.iter().filter(|event| !parked.contains(&event.stream)).cloned().collect();
                batch.events = Events::from(left);
            }
            _ => {}
        }
        Ok(Some(batch))
    }

    async fn check_before(&self, batch: &mut Batch) -> Result<(), ProjectionError> {
        let stands = self.look(batch.partition).await?.checkpoint;
        batch.check(stands, Some(batch.claim.token))?;
        if self.another_looks().await {
            return Ok(());
        }
        // It has looked in time, and its turn comes when the first is done.
        while batch.from == stands {
            yield_now().await;
            batch.from = self.look(batch.partition).await?.checkpoint;
        }
        Ok(())
    }

    /// What is said of a batch that was sent.
    pub(super) async fn said(
        &self,
        batch: Batch,
        applied: Result<Applied, ProjectionError>,
    ) -> Result<Applied, ProjectionError> {
        match (self.flaw, applied) {
            (Flaw::MovesAllThatStandThere, Ok(applied)) => {
                self.move_others(&batch).await?;
                Ok(applied)
            }
            (Flaw::TellsOneParked, Ok(mut applied)) => {
                applied.parked.truncate(1);
                Ok(applied)
            }
            (Flaw::IgnoresBatchesOfOldParts, Err(error)) if error.cause().is::<PartitionsChanged>() => {
                Ok(Applied::default())
            }
            (Flaw::FaultsAreNobodys, Err(error)) if error.event().is_some() && error.error_type() != "panic" => {
                Err(ProjectionError::new(error.to_string()))
            }
            (Flaw::PanicsAreNobodys, Err(error)) if error.error_type() == "panic" => {
                Err(ProjectionError::new(error.to_string()))
            }
            (Flaw::SetsAsideBeforeItChecks, Err(error)) => {
                self.notes().extra.extend(batch.set_aside);
                Err(error)
            }
            (Flaw::GivesUpAfterTwo, Err(error)) => {
                self.notes().failures += u32::from(error.event().is_some());
                Err(error)
            }
            (_, applied) => applied,
        }
    }

    /// Moves other projections that stood where this one did, as a statement does that asks for no more than that.
    async fn move_others(&self, batch: &Batch) -> Result<(), ProjectionError> {
        let Partition { projection, index, count, .. } = batch.partition;
        if batch.set_aside.is_some() {
            return Ok(());
        }
        let opened = self.notes().opened.clone();
        for (name, _) in opened.into_iter().filter(|(name, parts)| *name != projection && *parts == count) {
            let Some(part) = Partition::all(name, count).nth(index as usize) else { continue };
            if self.look(part).await?.checkpoint == batch.from {
                let claim = Claim::new(Uuid::now_v7(), "all", LONG).by_force();
                self.memory.lease_projection(part, claim.clone()).await?;
                let moved = Batch::new(part, claim.clone(), batch.from, batch.checkpoint);
                self.memory.apply_batch(Posing::idle(name), moved, Scope::current()).await?;
                self.memory.lease_projection(part, claim.given_up()).await?;
            }
        }
        Ok(())
    }
}
