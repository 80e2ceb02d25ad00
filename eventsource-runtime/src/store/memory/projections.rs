//! Projections on the in-memory store: where they stand, and steps that are futures.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::Memory;
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, AsyncBackend, Backend, Batch, Claim, DeadLetter, Lease, LeaseLost, Letters, Partition, PartitionsChanged,
    Projection, ProjectionError, ProjectionStore, StepResult, Taken, Took, Transaction, catch_panic,
};
use crate::store::{Position, StreamId};
use crate::sync::Mutex;
use crate::telemetry::Scope;
use crate::timer::FAR;

/// What a projection's method takes on the in-memory store.
///
/// It is empty: an in-memory read model belongs to the projection, and nobody can undo what a step has changed in it.
/// So the checkpoint moves past each event separately, and a failed batch does not start over.
#[derive(Debug)]
#[non_exhaustive]
pub struct MemoryTransaction;

impl Transaction for MemoryTransaction {
    type Backend = Memory;
}

impl Backend for Memory {
    type Transaction<'t> = MemoryTransaction;
    type Step<'a> = Pin<Box<dyn Future<Output = StepResult> + Send + 'a>>;

    fn ready<'a>(result: StepResult) -> Self::Step<'a> {
        Box::pin(std::future::ready(result))
    }
}

impl AsyncBackend for Memory {
    fn boxed<'a>(step: impl Future<Output = StepResult> + Send + 'a) -> Self::Step<'a> {
        Box::pin(step)
    }
}

/// Where each projection stands, and the locks for changing one.
#[derive(Default)]
pub(super) struct Projections {
    standings: Mutex<HashMap<&'static str, Standing>>,
    /// Held while steps run, so that a projection is set up once, no batch is applied twice, and no lease is taken over
    /// during steps that nobody could undo.
    turns: Mutex<HashMap<(&'static str, u32), Turn>>,
}

type Turn = Arc<tokio::sync::Mutex<()>>;

struct Standing {
    parts: Vec<Part>,
    letters: BTreeMap<Position, DeadLetter>,
}

#[derive(Clone)]
struct Part {
    checkpoint: Position,
    token: Option<Uuid>,
    owner: Arc<str>,
    until: Instant,
}

impl Part {
    fn new(checkpoint: Position) -> Self {
        Self { checkpoint, token: None, owner: "".into(), until: Instant::now() }
    }

    fn left(&self) -> Duration {
        let none = if self.token.is_none() { Some(Duration::ZERO) } else { None };
        none.unwrap_or_else(|| self.until.saturating_duration_since(Instant::now()))
    }

    /// Whose lease has expired, if a claim may take it.
    fn expired(&self, claim: &Claim) -> Option<String> {
        let is_anothers = self.token.is_some_and(|token| token != claim.token);
        (is_anothers && !claim.by_force).then(|| self.owner.to_string())
    }

    fn hold(&mut self, claim: &Claim) {
        self.token = Some(claim.token);
        self.owner = Arc::clone(&claim.owner);
        self.until = Instant::now() + claim.term.min(FAR);
    }
}

impl Standing {
    fn new(partitions: u32, checkpoint: Position) -> Self {
        let parts = (0..partitions.max(1)).map(|_| Part::new(checkpoint)).collect();
        Self { parts, letters: BTreeMap::new() }
    }

    fn part(&mut self, partition: Partition) -> Option<&mut Part> {
        let count = self.parts.len();
        self.parts.get_mut(partition.index as usize).filter(|_| count == partition.count as usize)
    }

    fn has_letter(&self, stream: &StreamId) -> bool {
        self.letters.values().any(|letter| letter.stream == *stream)
    }
}

impl Projections {
    /// Looks at where a projection stands, or changes it.
    fn standing<T>(
        &self,
        name: &'static str,
        look: impl FnOnce(&mut Standing) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        look(self.standings.lock().get_mut(name).ok_or_else(|| ProjectionError::not_open(name))?)
    }

    fn part<T>(&self, partition: Partition, look: impl FnOnce(&mut Part) -> T) -> Result<T, ProjectionError> {
        self.standing(partition.projection, |standing| {
            let stored = count(&standing.parts);
            standing.part(partition).map(look).ok_or_else(|| ProjectionError::no_part(partition, stored))
        })
    }

    fn turn(&self, name: &'static str, index: u32) -> Turn {
        let mut turns = self.turns.lock();
        Arc::clone(turns.entry((name, index)).or_default())
    }

    /// Waits for several turns, in the order of the parts, so that no two callers wait for each other.
    async fn turns(&self, name: &'static str, parts: Range<u32>) -> Vec<OwnedMutexGuard<()>> {
        let mut turns = Vec::new();
        for part in parts {
            turns.push(self.turn(name, part).lock_owned().await);
        }
        turns
    }

    /// Applies an event, or sets it aside if an earlier one of its stream is.
    async fn step(
        &self,
        projection: &dyn Projection<Memory>,
        batch: &Batch,
        event: &StoredEvent,
    ) -> Result<bool, ProjectionError> {
        let name = batch.partition.projection;
        let parked = self.standing(name, |standing| Ok(standing.has_letter(&event.stream)))?;
        if !parked {
            let step = catch_panic(async { projection.apply(event, &MemoryTransaction).await });
            step.await.map_err(|error| error.at(event))?;
        }
        self.standing(name, |standing| {
            if parked {
                standing.letters.insert(event.position, DeadLetter::parked(event, batch.at));
            }
            if let Some(part) = standing.part(batch.partition) {
                part.checkpoint = event.position;
            }
            Ok(parked)
        })
    }
}

impl ProjectionStore for Memory {
    type Backend = Self;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        partitions: u32,
        after: Position,
    ) -> Result<(), ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        let turn = projections.turn(name, 0);
        let _turn = turn.lock().await;
        let stored = projections.standings.lock().get(name).map(|standing| count(&standing.parts));
        if let Some(stored) = stored {
            // A batch in flight moves a checkpoint of the existing parts.
            let parts = if stored == partitions.max(1) { 1..1 } else { 1..stored };
            let _turns = projections.turns(name, parts).await;
            return projections.standing(name, |standing| repartitioned(standing, name, partitions));
        }
        catch_panic(async { projection.setup(&MemoryTransaction).await }).await?;
        projections.standings.lock().insert(name, Standing::new(partitions, after));
        Ok(())
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        let projections = &self.shared.projections;
        let turn = projections.turn(partition.projection, partition.index);
        let _turn = if claim.by_force { Some(turn.lock().await) } else { None };
        projections.part(partition, |part| {
            let is_holder = part.token == Some(claim.token);
            let is_free = || claim.by_force || (part.left().is_zero() && turn.try_lock().is_ok());
            let mut expired = None;
            if is_holder && claim.gives_up() {
                part.token = None;
            } else if is_holder || (!claim.gives_up() && is_free()) {
                expired = part.expired(&claim);
                part.hold(&claim);
            }
            let is_granted = part.token == Some(claim.token) || (part.token.is_none() && claim.gives_up());
            let taken = (!is_granted).then(|| Taken { owner: part.owner.to_string(), left: part.left() });
            Lease { checkpoint: part.checkpoint, taken, expired }
        })
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let projections = &self.shared.projections;
        let turn = projections.turn(batch.partition.projection, batch.partition.index);
        let _turn = turn.lock().await;
        projections.part(batch.partition, |part| batch.check(part.checkpoint, part.token))??;
        let begun = Instant::now();
        let steps = async {
            let mut applied = Applied::default();
            for event in &*batch.events {
                if projections.step(&*projection, &batch, event).await? {
                    applied.parked.push(event.position);
                }
            }
            applied.took = Some(Took::since(begun, begun.elapsed()));
            Ok::<_, ProjectionError>(applied)
        };
        let applied = scope.run(steps).await?;
        projections.standing(batch.partition.projection, |standing| {
            standing.letters.extend(batch.set_aside.map(|letter| (letter.position, letter)));
            if let Some(part) = standing.part(batch.partition) {
                part.checkpoint = batch.checkpoint;
                part.hold(&batch.claim);
            }
            Ok(applied)
        })
    }

    async fn reset_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        token: Uuid,
    ) -> Result<(), ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        // Nothing is applied while the read model is emptied, neither a batch nor a dead letter.
        let turn = projections.turn(name, 0);
        let _turn = turn.lock().await;
        let parts = projections.standing(name, |standing| Ok(count(&standing.parts)))?;
        let _others = projections.turns(name, 1..parts).await;
        projections.standing(name, |standing| {
            let all = Partition::all(name, count(&standing.parts));
            match all.zip(&standing.parts).find(|(_, part)| part.token != Some(token)) {
                Some((lost, _)) => Err(LeaseLost::new(lost).into()),
                None => Ok(()),
            }
        })?;
        catch_panic(async { projection.reset(&MemoryTransaction).await }).await?;
        projections.standing(name, |standing| {
            standing.letters.clear();
            standing.parts.iter_mut().for_each(|part| part.checkpoint = Position::START);
            Ok(())
        })
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        let standings = self.shared.projections.standings.lock();
        let known = standings.get(projection).into_iter().flat_map(|standing| standing.letters.values());
        let listed = known.filter(|letter| {
            letter.position > letters.after && letters.stream.as_ref().is_none_or(|stream| *stream == letter.stream)
        });
        Ok(listed.take(letters.limit).cloned().collect())
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Self>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        let find = |standing: &mut Standing| {
            let letter = standing.letters.get(&position).map(|letter| letter.stream.clone());
            Ok(letter.map(|stream| Partition::of(name, &stream, count(&standing.parts)).index))
        };
        let Some(index) = projections.standing(name, find)? else { return Ok(false) };
        let turn = projections.turn(name, index);
        let _turn = turn.lock().await;
        let is_due = |standing: &mut Standing| {
            let Some(letter) = standing.letters.get(&position) else { return Ok(false) };
            let mut earlier = standing.letters.range(..position);
            Ok(event.is_none() || !earlier.any(|(_, of)| of.stream == letter.stream))
        };
        if !projections.standing(name, is_due)? {
            return Ok(false);
        }
        if let Some(event) = event {
            let step = async { projection.apply(&event, &MemoryTransaction).await };
            scope.run(catch_panic(step)).await.map_err(|error| error.at(&event))?;
        }
        projections.standing(name, |standing| Ok(standing.letters.remove(&position).is_some()))
    }
}

fn count<T>(parts: &[T]) -> u32 {
    u32::try_from(parts.len()).unwrap_or(u32::MAX)
}

/// Changes a projection's number of parts, if all of them stand at one position.
fn repartitioned(standing: &mut Standing, name: &'static str, partitions: u32) -> Result<(), ProjectionError> {
    let (stored, wanted) = (count(&standing.parts), partitions.max(1));
    if stored == wanted {
        return Ok(());
    }
    let checkpoint = standing.parts.first().map_or(Position::START, |part| part.checkpoint);
    if standing.parts.iter().any(|part| part.checkpoint != checkpoint) {
        return Err(PartitionsChanged::new(name, stored, wanted).into());
    }
    standing.parts = Standing::new(wanted, checkpoint).parts;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two claims at the same time were both told that they had the lease.
    #[test]
    fn a_lease_that_is_not_granted_is_not_told_as_granted() {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (memory, part) = (Memory::default(), Partition::whole("Notes"));
            let projections = &memory.shared.projections;
            projections.standings.lock().insert(part.projection, Standing::new(1, Position::START));
            let claim = || Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1));
            let turn = projections.turn(part.projection, part.index);
            let another = turn.lock().await;
            assert!(memory.lease_projection(part, claim()).await.unwrap().taken.is_some());
            assert_eq!(memory.lease_projection(part, claim().given_up()).await.unwrap().taken, None);
            drop(another);
            let own = claim();
            assert_eq!(memory.lease_projection(part, own.clone()).await.unwrap().taken, None);
            assert!(memory.lease_projection(part, claim()).await.unwrap().taken.is_some());
            assert_eq!(memory.lease_projection(part, own.given_up()).await.unwrap().taken, None);
        });
    }
}
