//! The stranger's projections: where they stand, in tables under one lock, as in a database that runs one transaction
//! at a time. Read models are kept elsewhere, so that nobody can undo a step: the checkpoint moves past each.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eventsource_runtime::StoredEvent;
use eventsource_runtime::projection::{
    Applied, Backend, Batch, Claim, DeadLetter, Lease, LeaseLost, Letters, Partition, PartitionsChanged, Projection,
    ProjectionError, ProjectionStore, StepResult, Taken, Transaction,
};
use eventsource_runtime::store::{Position, StreamId};
use eventsource_runtime::telemetry::Scope;
use uuid::Uuid;

use super::{Remote, distant};

/// What a projection's method takes on the stranger's store; it has nothing to write with.
#[derive(Debug)]
pub struct RemoteTransaction;

impl Transaction for RemoteTransaction {
    type Backend = Remote;
}

/// The steps are plain functions.
impl Backend for Remote {
    type Transaction<'t> = RemoteTransaction;
    type Step<'a> = StepResult;

    fn ready<'a>(result: StepResult) -> Self::Step<'a> {
        result
    }
}

/// A row for each projection.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables(Arc<Mutex<HashMap<&'static str, Standing>>>);

#[derive(Debug)]
struct Standing {
    parts: Vec<Part>,
    letters: BTreeMap<Position, DeadLetter>,
}

#[derive(Clone, Debug)]
struct Part {
    checkpoint: Position,
    held: Option<Held>,
}

/// A lease, whose holder keeps it beyond its term until somebody else takes it.
#[derive(Clone, Debug)]
struct Held {
    claim: Claim,
    since: Instant,
}

impl Held {
    fn left(&self) -> Duration {
        self.claim.term.saturating_sub(self.since.elapsed())
    }
}

impl Part {
    fn token(&self) -> Option<Uuid> {
        self.held.as_ref().map(|held| held.claim.token)
    }

    fn hold(&mut self, claim: Claim) {
        self.held = Some(Held { claim, since: Instant::now() });
    }

    fn lease(&mut self, claim: &Claim) -> Lease {
        let is_holder = self.token() == Some(claim.token);
        let mut before = None;
        if claim.gives_up() {
            self.held.take_if(|_| is_holder);
        } else if is_holder || claim.by_force || self.held.as_ref().is_none_or(|held| held.left().is_zero()) {
            before = self.held.take_if(|_| !is_holder && !claim.by_force);
            self.hold(claim.clone());
        }
        let another = self.held.as_ref().filter(|held| held.claim.token != claim.token);
        let taken = another.map(|held| Taken::new(&*held.claim.owner, held.left()));
        Lease::new(self.checkpoint, taken).expired(before.map(|held| held.claim.owner.to_string()))
    }
}

impl Standing {
    fn new(parts: u32, checkpoint: Position) -> Self {
        let parts = (0..parts).map(|_| Part { checkpoint, held: None }).collect();
        Self { parts, letters: BTreeMap::new() }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    fn part(&mut self, partition: Partition) -> Result<&mut Part, ProjectionError> {
        let stored = self.count();
        if stored != partition.count {
            return Err(PartitionsChanged::new(partition.projection, stored, partition.count).into());
        }
        self.parts.get_mut(partition.index as usize).ok_or_else(|| unknown(partition.projection))
    }

    fn has_letter(&self, stream: &StreamId, before: Position) -> bool {
        self.letters.range(..before).any(|(_, letter)| letter.stream == *stream)
    }

    /// Changes the number of parts, if all of them stand at one position.
    fn lay_out(&mut self, name: &'static str, wanted: u32) -> StepResult {
        let (stored, checkpoint) = (self.count(), self.parts[0].checkpoint);
        if stored == wanted {
            return Ok(());
        }
        if self.parts.iter().any(|part| part.checkpoint != checkpoint) {
            return Err(PartitionsChanged::new(name, stored, wanted).into());
        }
        self.parts = Self::new(wanted, checkpoint).parts;
        Ok(())
    }

    fn apply(
        &mut self,
        projection: &dyn Projection<Remote>,
        batch: Batch,
        scope: &Scope,
    ) -> Result<Applied, ProjectionError> {
        let part = self.part(batch.partition)?;
        batch.check(part.checkpoint, part.token())?;
        let mut applied = Applied::default();
        for event in &*batch.events {
            if self.has_letter(&event.stream, Position::new(u64::MAX)) {
                self.letters.entry(event.position).or_insert_with(|| DeadLetter::parked(event, batch.at));
                applied.parked.push(event.position);
            } else {
                step(projection, event, scope)?;
            }
            self.part(batch.partition)?.checkpoint = event.position;
        }
        if let Some(letter) = batch.set_aside {
            self.letters.entry(letter.position).or_insert(letter);
        }
        let part = self.part(batch.partition)?;
        part.checkpoint = batch.checkpoint;
        part.hold(batch.claim);
        Ok(applied)
    }

    fn reset(&mut self, projection: &dyn Projection<Remote>, token: Uuid) -> StepResult {
        let all = Partition::all(projection.name(), self.count());
        if let Some((lost, _)) = all.zip(&self.parts).find(|(_, part)| part.token() != Some(token)) {
            return Err(LeaseLost::new(lost).into());
        }
        caught(|| projection.reset(&RemoteTransaction))?;
        self.letters.clear();
        self.parts.iter_mut().for_each(|part| part.checkpoint = Position::START);
        Ok(())
    }

    fn settle(
        &mut self,
        projection: &dyn Projection<Remote>,
        position: Position,
        event: Option<StoredEvent>,
        scope: &Scope,
    ) -> Result<bool, ProjectionError> {
        let Some(letter) = self.letters.get(&position) else { return Ok(false) };
        if let Some(event) = event {
            if self.has_letter(&letter.stream, position) {
                return Ok(false);
            }
            step(projection, &event, scope)?;
        }
        Ok(self.letters.remove(&position).is_some())
    }
}

fn unknown(projection: &str) -> ProjectionError {
    ProjectionError::new(format!("projection `{projection}` is unknown; open it first"))
}

/// A panic is the error of its step, whose text is nobody else's.
fn caught(step: impl FnOnce() -> StepResult) -> StepResult {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
        Err(ProjectionError::from_boxed(format!("panicked: {}", said.unwrap_or_default())))
    })
}

fn step(projection: &dyn Projection<Remote>, event: &StoredEvent, scope: &Scope) -> StepResult {
    let step = || scope.in_scope(|| projection.apply(event, &RemoteTransaction));
    caught(step).map_err(|error| error.at(event))
}

impl Tables {
    fn lock(&self) -> MutexGuard<'_, HashMap<&'static str, Standing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction on what there is of a projection.
    fn with<T>(
        &self,
        name: &'static str,
        change: impl FnOnce(&mut Standing) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        change(self.lock().get_mut(name).ok_or_else(|| unknown(name))?)
    }

    fn open(&self, projection: &dyn Projection<Remote>, parts: u32, after: Position) -> StepResult {
        let (mut tables, name, parts) = (self.lock(), projection.name(), parts.max(1));
        if let Some(standing) = tables.get_mut(name) {
            return standing.lay_out(name, parts);
        }
        caught(|| projection.setup(&RemoteTransaction))?;
        tables.insert(name, Standing::new(parts, after));
        Ok(())
    }

    fn letters(&self, name: &'static str, asked: &Letters) -> Vec<DeadLetter> {
        let tables = self.lock();
        let known = tables.get(name).into_iter().flat_map(|standing| standing.letters.values());
        let listed = known.filter(|letter| letter.position > asked.after);
        let listed = listed.filter(|letter| asked.stream.as_ref().is_none_or(|stream| *stream == letter.stream));
        listed.take(asked.limit).map(read_back).collect()
    }
}

/// A letter out of the columns of its row.
fn read_back(row: &DeadLetter) -> DeadLetter {
    let row = row.clone();
    let place = (row.stream, row.version, row.position);
    DeadLetter::new(place, row.event_type, (row.error_type, row.reason), row.retries, row.at)
}

impl ProjectionStore for Remote {
    type Backend = Self;

    async fn open_projection(
        &self,
        projection: Arc<dyn Projection<Self>>,
        partitions: u32,
        after: Position,
    ) -> StepResult {
        distant(async { self.tables.open(&*projection, partitions, after) }).await
    }

    async fn lease_projection(&self, partition: Partition, claim: Claim) -> Result<Lease, ProjectionError> {
        distant(async {
            self.tables.with(partition.projection, |standing| Ok(standing.part(partition)?.lease(&claim)))
        })
        .await
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        distant(async {
            self.tables.with(batch.partition.projection, |standing| standing.apply(&*projection, batch, &scope))
        })
        .await
    }

    async fn reset_projection(&self, projection: Arc<dyn Projection<Self>>, token: Uuid) -> StepResult {
        distant(async { self.tables.with(projection.name(), |standing| standing.reset(&*projection, token)) }).await
    }

    async fn dead_letters(
        &self,
        projection: &'static str,
        letters: Letters,
    ) -> Result<Vec<DeadLetter>, ProjectionError> {
        distant(async { Ok(self.tables.letters(projection, &letters)) }).await
    }

    async fn settle_dead_letter(
        &self,
        projection: Arc<dyn Projection<Self>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        distant(async {
            let settle = |standing: &mut Standing| standing.settle(&*projection, position, event, &scope);
            self.tables.with(projection.name(), settle)
        })
        .await
    }
}
