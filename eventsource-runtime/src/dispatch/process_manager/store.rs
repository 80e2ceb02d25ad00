//! The store as the runner of a manager sees it: applying a batch means reacting to its events, then moving the
//! checkpoint in the store itself, under the same lease as any projection's.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use uuid::Uuid;

use super::ProcessManager;
use super::reacting::{ManagerStore, Names};
use crate::domain::StoredEvent;
use crate::projection::{
    Applied, Backend, Batch, CheckpointOnly, Claim, DeadLetter, Events, Lease, Letters, Partition, Projection,
    ProjectionError, ProjectionStore, StepResult, catch_panic,
};
use crate::store::{EventStore, Position, StreamId, delegate};
use crate::telemetry::Scope;

/// Where managers run: beside the store, not in a transaction of it. Public as [`ManagerStore`] is.
#[derive(Debug)]
pub struct ManagerBackend<S>(PhantomData<fn() -> S>);

impl<S: ProjectionStore> Backend for ManagerBackend<S> {
    type Transaction<'t> = ManagerStore<S>;
    type Step<'a> = Pin<Box<dyn Future<Output = StepResult> + Send + 'a>>;

    fn ready<'a>(result: StepResult) -> Self::Step<'a> {
        Box::pin(std::future::ready(result))
    }
}

/// Any manager.
type Manager<S> = dyn Projection<ManagerBackend<S>>;

/// A manager, as its runner sees it.
pub(super) struct ManagerProjection<M>(PhantomData<fn() -> M>);

impl<M> ManagerProjection<M> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: ProcessManager, S: ProjectionStore> Projection<ManagerBackend<S>> for ManagerProjection<M> {
    fn name(&self) -> &'static str {
        M::name()
    }

    fn span_name(&self) -> &'static str {
        M::span_name()
    }

    fn enable_tracing(&self) -> Option<bool> {
        // On unless set otherwise.
        M::enable_tracing().or(Some(true))
    }

    fn event_types(&self) -> Vec<&'static str> {
        M::event_types()
    }

    fn apply<'a>(
        &'a self,
        event: &'a StoredEvent,
        store: &'a ManagerStore<S>,
    ) -> <ManagerBackend<S> as Backend>::Step<'a> {
        Box::pin(store.react::<M>(event))
    }
}

impl<S: ProjectionStore> ManagerStore<S> {
    fn names(&self, manager: &'static str) -> Option<&Names> {
        self.context.names.iter().find(|names| names.manager == manager)
    }

    /// The key of a manager's checkpoint.
    fn key(&self, manager: &'static str) -> &'static str {
        self.names(manager).map_or(manager, |names| names.checkpoint)
    }

    fn keyed(&self, partition: Partition) -> Partition {
        Partition { projection: self.key(partition.projection), ..partition }
    }

    /// A manager, as the store sees it.
    fn checkpoint(&self, manager: &'static str) -> Arc<dyn Projection<S::Backend>> {
        Arc::new(CheckpointOnly(self.key(manager)))
    }

    /// Reacts to an event, in the manager's span.
    async fn step(&self, manager: &Manager<S>, event: &StoredEvent, scope: Scope) -> StepResult {
        let reacted = scope.run(catch_panic(async { manager.apply(event, self).await })).await;
        let own = |error: &ProjectionError| !error.is_trouble() && !error.is_lease_lost();
        reacted.map_err(|error| if own(&error) { error.at(event) } else { error })
    }

    /// Whether there is a letter at a position.
    async fn has_letter(&self, key: &'static str, position: Position) -> Result<bool, ProjectionError> {
        let before = Position::new(position.get().saturating_sub(1));
        let letters = self.store.dead_letters(key, Letters { stream: None, after: before, limit: 1 }).await?;
        Ok(letters.first().is_some_and(|letter| letter.position == position))
    }

    /// The position of the first event of the stream that was set aside.
    async fn first_letter(&self, key: &'static str, stream: &StreamId) -> Result<Option<Position>, ProjectionError> {
        let letters = Letters { stream: Some(stream.clone()), after: Position::START, limit: 1 };
        Ok(self.store.dead_letters(key, letters).await?.first().map(|letter| letter.position))
    }

    /// Sets the event of a batch aside, behind a letter of its stream. If that one was settled meanwhile, by somebody
    /// who saw none behind it, nobody would retry this one.
    async fn park(
        &self,
        manager: Arc<Manager<S>>,
        event: &StoredEvent,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let (key, letter) = (batch.partition.projection, DeadLetter::parked(event, batch.at));
        let parked = batch.events(Events::default()).set_aside(Some(letter));
        let checkpoint = self.checkpoint(manager.name());
        let mut applied = self.store.apply_batch(checkpoint, parked, scope.clone().muted()).await?;
        let is_first = self.first_letter(key, &event.stream).await? == Some(event.position);
        if !is_first || !self.unpark(manager, event, scope).await? {
            applied.parked.push(event.position);
        }
        Ok(applied)
    }

    /// Settles the letter of an event that was not tried. If the event fails, the letter stays, as after any retry.
    async fn unpark(
        &self,
        manager: Arc<Manager<S>>,
        event: &StoredEvent,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        match self.settle_dead_letter(manager, event.position, Some(event.clone()), scope).await {
            Err(error) if error.event().is_some() => Ok(false),
            settled => settled,
        }
    }

    /// Settles a letter; false if there is none any more.
    async fn settle(
        &self,
        manager: Arc<Manager<S>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        if let Some(event) = &event {
            // What somebody has resolved must not be reacted to; two retries have the effect of one.
            if !self.has_letter(self.key(manager.name()), position).await? {
                return Ok(false);
            }
            self.step(&*manager, event, scope.clone()).await?;
        }
        self.store.settle_dead_letter(self.checkpoint(manager.name()), position, event, scope.muted()).await
    }
}

impl<S: ProjectionStore> ProjectionStore for ManagerStore<S> {
    type Backend = ManagerBackend<S>;

    async fn open_projection(&self, manager: Arc<Manager<S>>, partitions: u32, after: Position) -> StepResult {
        self.store.open_projection(self.checkpoint(manager.name()), partitions, after).await
    }

    fn lease_projection(
        &self,
        partition: Partition,
        claim: Claim,
    ) -> impl Future<Output = Result<Lease, ProjectionError>> + Send {
        self.store.lease_projection(self.keyed(partition), claim)
    }

    /// Not one transaction: after a crash, what was done before the checkpoint moved is done again, and changes nothing
    /// then, because every id is derived from the event's.
    async fn apply_batch(
        &self,
        manager: Arc<Manager<S>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<Applied, ProjectionError> {
        let partition = self.keyed(batch.partition);
        let batch = Batch { partition, ..batch };
        let leased = Self { leases: vec![batch.held_lease()], ..self.clone() };
        let events = batch.events.clone();
        // Its runner applies one at a time.
        if let Some(event) = events.first() {
            match self.first_letter(partition.projection, &event.stream).await? {
                None => leased.step(&*manager, event, scope.clone()).await?,
                // Set aside by an attempt that failed afterwards.
                Some(first) if first == event.position => {
                    leased.unpark(Arc::clone(&manager), event, scope.clone()).await?;
                }
                // Set aside here: the letters before it may be gone by the time the store looks for them.
                Some(_) => return self.park(manager, event, batch, scope).await,
            }
        }
        let applied = self.store.apply_batch(self.checkpoint(manager.name()), batch, scope.muted()).await?;
        // The events were handled above.
        Ok(Applied { took: None, ..applied })
    }

    async fn reset_projection(&self, manager: Arc<Manager<S>>, _: Uuid) -> StepResult {
        Err(ProjectionError::new(format!("process manager `{}` is never run over the past again", manager.name())))
    }

    fn dead_letters(
        &self,
        manager: &'static str,
        letters: Letters,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, ProjectionError>> + Send {
        self.store.dead_letters(self.key(manager), letters)
    }

    async fn settle_dead_letter(
        &self,
        manager: Arc<Manager<S>>,
        position: Position,
        event: Option<StoredEvent>,
        scope: Scope,
    ) -> Result<bool, ProjectionError> {
        // What a reaction leads to is in no transaction: two retries might each dispatch a command and note another
        // outcome, and a letter might be resolved under one.
        let names = self.names(manager.name()).ok_or_else(|| ProjectionError::not_open(manager.name()))?;
        let turn = self.turn(names.letters).await?;
        let leased = Self { late: true, leases: [&*self.leases, std::slice::from_ref(&turn)].concat(), ..self.clone() };
        let settled = self.kept(&turn, leased.settle(manager, position, event, scope)).await;
        self.give_up(turn).await;
        settled
    }
}

impl<S: ProjectionStore> EventStore for ManagerStore<S> {
    delegate!(store: info append fold read_stream read_all head changed);
}

impl<S> fmt::Debug for ManagerStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerStore").finish_non_exhaustive()
    }
}
