//! A store with one flaw, over a right one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use eventsource_runtime::projection::{
    Applied, Batch, Claim, DeadLetter, Events, Lease, LeaseLost, Letters, Partition, PartitionsChanged, Projection,
    ProjectionError, ProjectionStore,
};
use eventsource_runtime::store::{EventStore, Memory, Position, StreamId};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::{StoredEvent, handed_on};
use tokio::task::yield_now;
use uuid::Uuid;

use super::Flaw;
use super::posing::Posing;

#[derive(Clone)]
pub(super) struct Flawed {
    flaw: Flaw,
    memory: Memory,
    notes: Arc<Mutex<Notes>>,
}

/// What some of the flaws have to remember.
#[derive(Default)]
struct Notes {
    opened: u32,
    parts: Option<u32>,
    granted: Option<Uuid>,
    until: HashMap<Uuid, Instant>,
    parked: Vec<StreamId>,
    extra: Vec<DeadLetter>,
    owner: Option<String>,
    batches: u32,
    failures: u32,
    locked: bool,
    looked: u32,
}

/// A lock that is only given back by whoever comes to the end.
struct Locked(Arc<Mutex<Notes>>);

impl Locked {
    async fn by(store: &Flawed) -> Self {
        while std::mem::replace(&mut store.notes().locked, true) {
            yield_now().await;
        }
        yield_now().await;
        Self(Arc::clone(&store.notes))
    }

    fn give_back(self) {
        self.0.lock().expect("nobody panics here").locked = false;
    }
}

impl Flawed {
    pub(super) fn with(flaw: Flaw) -> Self {
        Self { flaw, memory: Memory::default(), notes: Arc::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics here")
    }

    /// Waits until another has looked as well, before anything is done about it. Whether this was the first.
    async fn another_looks(&self) -> bool {
        let looked = {
            let mut notes = self.notes();
            notes.looked += 1;
            notes.looked
        };
        while self.notes().looked < 2 {
            yield_now().await;
        }
        looked == 1
    }

    /// Where a part stands, and whether anybody has its lease.
    async fn look(&self, partition: Partition) -> Result<Lease, ProjectionError> {
        let nobody = Claim::new(Uuid::now_v7(), "nobody", Duration::ZERO);
        self.memory.lease_projection(partition, nobody).await
    }

    async fn letters_of(&self, projection: &'static str) -> Vec<DeadLetter> {
        let mut letters = Letters::default();
        letters.limit = usize::MAX;
        self.memory.dead_letters(projection, letters).await.unwrap_or_default()
    }

    /// What is asked of the store below for a lease.
    async fn asked(&self, partition: Partition, claim: Claim) -> Result<(Partition, Claim), ProjectionError> {
        let (mut partition, mut claim) = (partition, claim);
        let first = || Partition::all(partition.projection, partition.count).next().expect("there is one");
        match self.flaw {
            Flaw::OneLeaseForAll => partition = Partition::whole("Notes"),
            Flaw::OneLeaseForAllParts => partition = first(),
            Flaw::OpensByItself => {
                let idle = Posing::idle(partition.projection);
                if self.look(partition).await.is_err() {
                    self.memory.open_projection(idle, partition.count, Position::START).await?;
                }
            }
            Flaw::NamesIgnoreCase if partition.projection == "notes" => partition = Partition::whole("Notes"),
            Flaw::IgnoresForce => claim.by_force = false,
            Flaw::NeverExpires if !claim.gives_up() => claim.term = claim.term.max(Duration::from_hours(1)),
            Flaw::NeverGivesUp if claim.gives_up() => claim = Claim::new(Uuid::now_v7(), "nobody", Duration::ZERO),
            Flaw::AnybodyGivesUp if claim.gives_up() => {
                let mut thief = claim.clone().by_force();
                thief.term = Duration::from_hours(1);
                self.memory.lease_projection(partition, thief).await?;
            }
            Flaw::LooksBeforeItTakes if self.look(partition).await?.taken.is_none() => {
                self.another_looks().await;
                claim.by_force = true;
            }
            _ => {}
        }
        Ok((partition, claim))
    }

    /// What is told of a lease.
    fn answered(&self, mut lease: Lease, claim: &Claim) -> Lease {
        match self.flaw {
            Flaw::EverybodyHasTheLease => lease.taken = None,
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
            Flaw::TellsWaitersTheStart if lease.taken.is_some() => lease.checkpoint = Position::START,
            _ => {}
        }
        lease
    }

    /// What becomes of a batch; `None` if it is ignored.
    async fn spoilt(&self, batch: Batch) -> Result<Option<Batch>, ProjectionError> {
        let mut batch = batch;
        match self.flaw {
            Flaw::ReversesBatches => {
                let reversed: Vec<_> = batch.events.iter().rev().cloned().collect();
                batch.events = Events::from(reversed);
            }
            Flaw::IgnoresEmptyBatches if batch.events.is_empty() && batch.set_aside.is_none() => {
                return Ok(None);
            }
            Flaw::TakesBatchesFromAnywhere => batch.from = self.look(batch.partition).await?.checkpoint,
            Flaw::ExpiredIsLost => {
                let until = self.notes().until.get(&batch.claim.token).copied();
                if until.is_some_and(|until| until < Instant::now()) {
                    return Err(LeaseLost::new(batch.partition).into());
                }
            }
            Flaw::TakesLateBatches => batch.claim.token = self.notes().granted.unwrap_or(batch.claim.token),
            Flaw::BatchesDoNotRenew => batch.claim.term = Duration::from_millis(1),
            Flaw::CutsReasons => batch.set_aside.iter_mut().for_each(|letter| {
                let cut = letter.reason.floor_char_boundary(255);
                letter.reason.truncate(cut);
            }),
            Flaw::ParksTheNextBatchAlone => {
                let parking = batch.set_aside.is_none();
                let number = self.notes().batches;
                self.notes().batches += u32::from(parking);
                if number > 0 {
                    batch.events = Events::default();
                }
            }
            Flaw::GivesUpAfterTwo if self.notes().failures >= 2 => batch.events = Events::default(),
            Flaw::ChecksBeforeItsTurn => {
                let stands = self.look(batch.partition).await?.checkpoint;
                batch.check(stands, Some(batch.claim.token))?;
                if self.another_looks().await {
                    return Ok(Some(batch));
                }
                // It has looked in time, and its turn comes when the first is done.
                while batch.from == stands {
                    yield_now().await;
                    batch.from = self.look(batch.partition).await?.checkpoint;
                }
            }
            Flaw::ForgetsRetries => batch.set_aside.iter_mut().for_each(|letter| letter.retries = 0),
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
}

/// With its events nothing is wrong.
impl EventStore for Flawed {
    handed_on!(memory: info append fold read_stream read_all head changed);
}

impl ProjectionStore for Flawed {
    type Backend = Memory;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        let (name, mut partitions, mut after) = (projection.name(), partitions, after);
        match self.flaw {
            Flaw::SetsUpEachTime => {
                let opened = self.notes().opened;
                self.notes().opened += 1;
                let others = ["first", "second", "third"][opened as usize % 3];
                self.memory.open_projection(Posing::playing(others, &projection), 1, after).await?;
                return self.memory.open_projection(Posing::idle(name), partitions, after).await;
            }
            Flaw::LosesLettersWithTheParts if self.notes().parts.replace(partitions).is_some() => {
                for letter in self.letters_of(name).await {
                    let settled =
                        self.memory.settle_dead_letter(Posing::idle(name), letter.position, None, Scope::current());
                    settled.await?;
                }
            }
            Flaw::NamesIgnoreCase if name == "notes" => {
                return self.memory.open_projection(Posing::playing("Notes", &projection), partitions, after).await;
            }
            Flaw::BeginsAtTheStart => after = Position::START,
            Flaw::KeepsTheNumberOfParts => partitions = *self.notes().parts.get_or_insert(partitions),
            _ => {}
        }
        let opened = self.memory.open_projection(projection, partitions, after).await;
        match (self.flaw, opened) {
            (Flaw::FailedSetUpCounts, Err(error)) => {
                self.memory.open_projection(Posing::idle(name), partitions, after).await?;
                Err(error)
            }
            (Flaw::ChangesAnyNumberOfParts, Err(error)) if error.cause().is::<PartitionsChanged>() => Ok(()),
            (_, opened) => opened,
        }
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        if self.flaw == Flaw::NeverRenews && self.notes().until.contains_key(&claim.token) {
            let stands = self.look(partition).await?;
            return Ok(Lease { taken: None, ..stands });
        }
        let (partition, claim) = self.asked(partition, claim).await?;
        let lease = self.memory.lease_projection(partition, claim.clone()).await?;
        if lease.taken.is_none() && !claim.gives_up() {
            let mut notes = self.notes();
            notes.granted = Some(claim.token);
            notes.until.insert(claim.token, Instant::now() + claim.term);
        }
        Ok(self.answered(lease, &claim))
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let Some(batch) = self.spoilt(batch).await? else { return Ok(Applied::default()) };
        let set_aside = batch.set_aside.clone();
        let lock = if self.flaw == Flaw::KeepsALock { Some(Locked::by(self).await) } else { None };
        let applied = self.memory.apply_batch(projection, batch, scope).await;
        lock.into_iter().for_each(Locked::give_back);
        self.notes().failures += u32::from(applied.is_err());
        match (self.flaw, applied) {
            (Flaw::ParksInSilence, Ok(_)) => Ok(Applied::default()),
            (Flaw::FaultsAreNobodys, Err(error)) => Err(ProjectionError::new(error.to_string())),
            (Flaw::PanicsAreNobodys, Err(error)) if error.error_type() == "panic" => {
                Err(ProjectionError::new(error.to_string()))
            }
            (Flaw::SetsAsideBeforeItChecks, Err(error)) => {
                self.notes().extra.extend(set_aside);
                Err(error)
            }
            (_, applied) => applied,
        }
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let (name, mut token) = (projection.name(), token);
        match self.flaw {
            Flaw::ResetDoesNothing => return Ok(()),
            Flaw::TakesLateResets => token = self.notes().granted.unwrap_or(token),
            Flaw::KeepsLettersAtReset => {
                let kept = self.letters_of(name).await;
                self.notes().extra.extend(kept);
            }
            _ => {}
        }
        match (self.flaw, self.memory.reset_projection(projection, token).await) {
            (Flaw::FailedResetMovesBack, Err(error)) => {
                self.memory.reset_projection(Posing::idle(name), token).await?;
                Err(error)
            }
            (_, reset) => reset,
        }
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let mut letters = letters;
        match self.flaw {
            Flaw::PagesAreWhole => letters.limit = usize::MAX,
            Flaw::StreamsAreNotTold => letters.stream = None,
            _ => {}
        }
        let mut listed = self.memory.dead_letters(projection, letters).await?;
        listed.extend(self.notes().extra.iter().cloned());
        Ok(listed)
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        let (name, mut projection, mut event) = (projection.name(), projection, event);
        let letters = self.letters_of(name).await;
        let stream = letters.iter().find(|letter| letter.position == position).map(|letter| letter.stream.clone());
        match self.flaw {
            Flaw::RetriedIsNotApplied => event = None,
            Flaw::LettersAreEverybodys => projection = Posing::playing("Notes", &projection),
            Flaw::ResolvingClearsTheStream if event.is_none() => {
                for letter in letters.iter().filter(|letter| Some(&letter.stream) == stream.as_ref()) {
                    let idle = Posing::idle(name);
                    self.memory.settle_dead_letter(idle, letter.position, None, scope.clone()).await?;
                }
                return Ok(stream.is_some());
            }
            _ => {}
        }
        match (self.flaw, self.memory.settle_dead_letter(projection, position, event, scope.clone()).await) {
            (Flaw::FailedRetryRemoves, Err(error)) => {
                self.memory.settle_dead_letter(Posing::idle(name), position, None, scope).await?;
                Err(error)
            }
            (Flaw::SettlesWhatIsNotThere, Ok(_)) => Ok(true),
            (Flaw::ParksForEver, Ok(true)) => {
                self.notes().parked.extend(stream);
                Ok(true)
            }
            (_, settled) => settled,
        }
    }
}
