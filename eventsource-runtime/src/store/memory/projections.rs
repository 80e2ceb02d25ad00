//! Projections on the store in memory: their checkpoints, and steps that are futures.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Memory;
use crate::projection::{
    AsyncBackend, Backend, Batch, Projection, ProjectionError, ProjectionStore, StepResult, Transaction, caught,
};
use crate::store::Position;
use crate::telemetry::Scope;

/// What a projection's method takes on the store in memory.
///
/// There is nothing in it: a read model in memory is the projection's own, and what a step has changed there nobody can
/// undo. So the checkpoint moves past each event by itself, and a batch that fails is not begun again from its start.
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

/// Where each projection stands, and the right to change one from the outside.
#[derive(Default)]
pub(super) struct Projections {
    checkpoints: Mutex<HashMap<&'static str, Position>>,
    /// Held while steps run, so that a projection is set up once and no batch is applied twice.
    running: Mutex<HashMap<&'static str, Arc<tokio::sync::Mutex<()>>>>,
}

impl Projections {
    fn checkpoints(&self) -> MutexGuard<'_, HashMap<&'static str, Position>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checkpoint(&self, name: &'static str) -> Option<Position> {
        self.checkpoints().get(name).copied()
    }

    fn turn(&self, name: &'static str) -> Arc<tokio::sync::Mutex<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(running.entry(name).or_default())
    }
}

impl ProjectionStore for Memory {
    type Backend = Self;

    async fn open_projection(&self, projection: Arc<dyn Projection<Self>>) -> Result<Position, ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        let turn = projections.turn(name);
        let _turn = turn.lock().await;
        if let Some(checkpoint) = projections.checkpoint(name) {
            return Ok(checkpoint);
        }
        caught(async { projection.setup(&MemoryTransaction).await }).await?;
        projections.checkpoints().insert(name, Position::START);
        Ok(Position::START)
    }

    async fn apply_batch(
        &self,
        projection: Arc<dyn Projection<Self>>,
        batch: Batch,
        scope: Scope,
    ) -> Result<(), ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        let turn = projections.turn(name);
        let _turn = turn.lock().await;
        let Some(checkpoint) = projections.checkpoint(name) else { return Err(ProjectionError::not_open(name)) };
        batch.check(name, checkpoint)?;
        let steps = async {
            for event in &batch.events {
                projection.apply(event, &MemoryTransaction).await?;
                projections.checkpoints().insert(name, event.position);
            }
            Ok(())
        };
        scope.run(caught(steps)).await?;
        projections.checkpoints().insert(name, batch.checkpoint);
        Ok(())
    }

    async fn reset_projection(&self, projection: Arc<dyn Projection<Self>>) -> Result<(), ProjectionError> {
        let (projections, name) = (&self.shared.projections, projection.name());
        let turn = projections.turn(name);
        let _turn = turn.lock().await;
        if projections.checkpoint(name).is_none() {
            return Err(ProjectionError::not_open(name));
        }
        caught(async { projection.reset(&MemoryTransaction).await }).await?;
        projections.checkpoints().insert(name, Position::START);
        Ok(())
    }
}
