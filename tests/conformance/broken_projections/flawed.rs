//! A store with one flaw, over a right one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use eventsource_runtime::projection::{
    Applied, Batch, Claim, DeadLetter, Lease, Letters, Partition, PartitionsChanged, Projection, ProjectionError,
    ProjectionStore,
};
use eventsource_runtime::store::{EventStore, Memory, Position, StreamId};
use eventsource_runtime::telemetry::Scope;
use eventsource_runtime::{StoredEvent, delegate};
use tokio::task::yield_now;
use uuid::Uuid;

use super::Flaw;
use super::batches::Locked;
use super::posing::Posing;

/// Longer than any case takes.
pub(super) const LONG: Duration = Duration::from_hours(1);

#[derive(Clone)]
pub(super) struct Flawed {
    pub(super) flaw: Flaw,
    pub(super) memory: Memory,
    pub(super) notes: Arc<Mutex<Notes>>,
}

/// What some of the flaws have to remember.
#[derive(Default)]
pub(super) struct Notes {
    /// The projections that were opened, in how many parts.
    pub(super) opened: Vec<(&'static str, u32)>,
    /// Who has had the lease of a part, the last one last.
    pub(super) granted: HashMap<Partition, Vec<Uuid>>,
    pub(super) until: HashMap<Uuid, Instant>,
    /// Whether a lease was taken by force.
    pub(super) forced: bool,
    pub(super) owner: Option<String>,
    pub(super) parked: Vec<StreamId>,
    /// Letters that are listed, and are not there.
    pub(super) extra: Vec<DeadLetter>,
    pub(super) batches: u32,
    pub(super) failures: u32,
    pub(super) locked: bool,
    looked: u32,
}

impl Notes {
    /// Who had the lease of a part last.
    pub(super) fn last(&self, partition: Partition) -> Option<Uuid> {
        self.granted.get(&partition)?.last().copied()
    }

    /// Whether this one has had the lease of a part.
    pub(super) fn has_had(&self, partition: Partition, token: Uuid) -> bool {
        self.granted.get(&partition).is_some_and(|tokens| tokens.contains(&token))
    }
}

impl Flawed {
    pub(super) fn with(flaw: Flaw) -> Self {
        Self { flaw, memory: Memory::default(), notes: Arc::default() }
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics here")
    }

    /// Whether others use the store as well, so that what one of them waits for may happen.
    pub(super) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.notes) > 1
    }

    /// Waits until another has looked as well, before anything is done about it. Whether this was the first.
    pub(super) async fn another_looks(&self) -> bool {
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
    pub(super) async fn look(&self, partition: Partition) -> Result<Lease, ProjectionError> {
        let nobody = Claim::new(Uuid::now_v7(), "nobody", Duration::ZERO);
        self.memory.lease_projection(partition, nobody).await
    }

    pub(super) async fn letters_of(&self, projection: &'static str) -> Vec<DeadLetter> {
        self.memory.dead_letters(projection, Letters::new(usize::MAX)).await.unwrap_or_default()
    }

    /// Whether a letter is not retried because of one that is earlier, and of another stream or projection.
    async fn is_held_up(&self, projection: &'static str, letter: &DeadLetter) -> bool {
        let (projections, any_stream) = match self.flaw {
            Flaw::RetriesInOrderOfTheFeed => (vec![projection], true),
            Flaw::RetriesBehindOtherProjections => (self.notes().opened.iter().map(|(name, _)| *name).collect(), false),
            _ => return false,
        };
        for projection in projections {
            let mut letters = self.letters_of(projection).await.into_iter();
            let precedes =
                |other: DeadLetter| other.position < letter.position && (any_stream || other.stream == letter.stream);
            if letters.any(precedes) {
                return true;
            }
        }
        false
    }

    /// Takes the leases of all parts but the first, whoever has them.
    async fn take_others(&self, projection: &'static str, token: Uuid) -> Result<(), ProjectionError> {
        for part in self.parts_of(projection).into_iter().skip(1) {
            self.memory.lease_projection(part, Claim::new(token, "all", LONG).by_force()).await?;
        }
        Ok(())
    }

    fn parts_of(&self, projection: &'static str) -> Vec<Partition> {
        let opened = self.notes().opened.iter().rev().find(|(name, _)| *name == projection).copied();
        opened.into_iter().flat_map(|(name, count)| Partition::all(name, count)).collect()
    }

    /// Where each part of a projection stands.
    async fn stand(&self, projection: &'static str) -> Result<Vec<(Partition, Position)>, ProjectionError> {
        let mut stand = Vec::new();
        for part in self.parts_of(projection) {
            stand.push((part, self.look(part).await?.checkpoint));
        }
        Ok(stand)
    }

    /// Moves parts from the start to where they stood.
    async fn put_back(&self, stood: &[(Partition, Position)], token: Uuid) -> Result<(), ProjectionError> {
        for (part, checkpoint) in stood {
            let back = Batch::new(*part, Claim::new(token, "the suite", LONG), Position::START, *checkpoint);
            self.memory.apply_batch(Posing::idle(part.projection), back, Scope::current()).await?;
        }
        Ok(())
    }
}

/// With its events nothing is wrong.
impl EventStore for Flawed {
    delegate!(memory: info append fold read_stream read_all head changed);
}

impl ProjectionStore for Flawed {
    type Backend = Memory;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        let (name, mut after) = (projection.name(), after);
        let (is_known, is_as_before) = {
            let notes = self.notes();
            let is_known = notes.opened.iter().any(|(known, _)| *known == name);
            (is_known, notes.opened.contains(&(name, partitions)))
        };
        match self.flaw {
            Flaw::SetsUpEachTime if is_as_before => {
                self.memory.open_projection(Posing::playing("again", &projection), 1, after).await?;
            }
            Flaw::LosesLettersWithTheParts if is_known => {
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
            _ => {}
        }
        let opened = self.memory.open_projection(projection, partitions, after).await;
        if opened.is_ok() {
            self.notes().opened.push((name, partitions));
        }
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
        let (partition, claim) = self.asked(partition, claim).await?;
        let asked = Instant::now();
        let lease = self.memory.lease_projection(partition, claim.clone()).await?;
        if lease.taken.is_none() && !claim.gives_up() {
            let mut notes = self.notes();
            notes.until.insert(claim.token, asked + claim.term);
            if !notes.has_had(partition, claim.token) {
                notes.granted.entry(partition).or_default().push(claim.token);
            }
        }
        Ok(self.answered(lease, partition, &claim))
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let Some(batch) = self.spoilt(batch).await? else { return Ok(Applied::default()) };
        let sent = batch.clone();
        let lock = if self.flaw == Flaw::KeepsALock { Some(Locked::by(self).await) } else { None };
        let applied = self.memory.apply_batch(projection, batch, scope).await;
        lock.into_iter().for_each(Locked::give_back);
        self.said(sent, applied).await
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Memory>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let (name, mut token) = (projection.name(), token);
        let part = Partition::whole(name);
        let (stood, letters) = (self.stand(name).await?, self.letters_of(name).await);
        match self.flaw {
            Flaw::ResetAsksTheFirstPart => self.take_others(name, token).await?,
            Flaw::TakesLateResets => token = self.notes().last(part).unwrap_or(token),
            _ => {}
        }
        let reset = self.memory.reset_projection(projection, token).await;
        match (self.flaw, &reset) {
            (Flaw::FailedResetMovesBack, Err(_)) => self.memory.reset_projection(Posing::idle(name), token).await?,
            (Flaw::ResetKeepsTheCheckpoint, Ok(())) if stood.len() == 1 => self.put_back(&stood, token).await?,
            (Flaw::ResetMovesTheFirstPartBack, Ok(())) => {
                self.put_back(stood.get(1..).unwrap_or_default(), token).await?;
            }
            (Flaw::KeepsLettersAtReset, Ok(())) => self.notes().extra.extend(letters),
            _ => {}
        }
        reset
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
        let (name, mut projection, is_retry) = (projection.name(), projection, event.is_some());
        let letters = self.letters_of(name).await;
        let letter = letters.iter().find(|letter| letter.position == position);
        if let Some(letter) = letter.filter(|_| is_retry)
            && self.is_held_up(name, letter).await
        {
            return Ok(false);
        }
        match self.flaw {
            Flaw::LettersAreEverybodys => projection = Posing::playing("Notes", &projection),
            Flaw::ResolvingClearsTheStream if !is_retry => {
                let Some(letter) = letter else { return Ok(false) };
                for letter in letters.iter().filter(|other| other.stream == letter.stream) {
                    let idle = Posing::idle(name);
                    self.memory.settle_dead_letter(idle, letter.position, None, scope.clone()).await?;
                }
                return Ok(true);
            }
            _ => {}
        }
        match (self.flaw, self.memory.settle_dead_letter(projection, position, event, scope.clone()).await) {
            (Flaw::FailedRetryRemoves, Err(error)) => {
                self.memory.settle_dead_letter(Posing::idle(name), position, None, scope).await?;
                Err(error)
            }
            (Flaw::RetriesWhatIsNotThere, Ok(_)) if is_retry && letter.is_none() => Ok(true),
            (Flaw::RetriesOutOfOrder, Ok(false)) if is_retry && letter.is_some() => Ok(true),
            (Flaw::ListsWhatWasRetried, Ok(true)) if is_retry => {
                self.notes().extra.extend(letter.cloned());
                Ok(true)
            }
            (Flaw::ParksForEver, Ok(true)) => {
                self.notes().parked.extend(letter.map(|letter| letter.stream.clone()));
                Ok(true)
            }
            (_, settled) => settled,
        }
    }
}
