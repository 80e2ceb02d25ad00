//! Retries, the policy when they do not help, and what is watched meanwhile.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::Events;
use super::blocking::Blocking;
use super::dead_letter::DeadLetter;
use super::error::ProjectionError;
use super::halt::Halt;
use super::lease::LeaseLost;
use super::options::OnFailure;
use super::partition_runner::{Cursor, PartitionRunner};
use super::step::{Mode, Outcome, Step};
use super::{ProjectionStore, StepResult};
use crate::poll::{before, beside, unless};
use crate::store::{Position, StoreError, wrong_statement};
use crate::telemetry::{Scope, log, metrics};

/// The pauses between attempts: each four times the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many retries are logged each, before they are less and less often: more than it takes by default to judge an
/// event.
const ALL_LOGGED: u32 = 8;
/// How long a batch takes at least before it is told that it has not ended.
const SLOW: Duration = Duration::from_secs(5);
/// How long a relay's batch, and a last look at what was passed over, may still take once the runner is stopped.
pub(super) const LATE: Duration = Duration::from_secs(2);

/// How long something has been failing.
#[derive(Default)]
pub(super) struct Trouble {
    pub(super) retries: u32,
    since: Option<Instant>,
    /// When it was last looked at.
    seen: Option<Instant>,
}

impl<S: ProjectionStore> PartitionRunner<S> {
    /// Applies one event, retries it if that may help, and then does what the policy says. A statement that is wrong may
    /// be right a moment later, as when another projection makes its table, but only the first event waits for that.
    pub(super) async fn settle(&self, event: &Events, mode: Mode, cursor: &mut Cursor) -> Result<(), Halt> {
        let to = event.last().map_or(cursor.saved, |event| event.position);
        let (mut failing, mut trouble) = (Trouble::default(), Trouble::default());
        while cursor.saved < to {
            let step = Step::new(event, to, mode).retried(failing.retries + trouble.retries);
            let Err(error) = self.attempt(step, cursor).await else { break };
            if error.event().is_none() {
                self.endure(&mut trouble, error).await?;
                continue;
            }
            let wrong = wrong_statement(error.cause());
            let is_wrong_still = wrong.is_some() && wrong == cursor.wrong_statement;
            if failing.retries < self.options.retries && !error.is_hopeless() && !is_wrong_still {
                self.pause(&mut failing, error).await?;
                continue;
            }
            cursor.wrong_statement = wrong.or(cursor.wrong_statement.take());
            match self.decide(step, error, failing.retries, cursor).await? {
                Ok(()) => break,
                Err(error) => self.endure(&mut trouble, error).await?,
            }
        }
        Ok(())
    }

    /// Follows the policy for an event that failed, after so many retries. The inner error means that the store is in
    /// trouble, as it may have been when the event failed; then it is too early to judge.
    async fn decide(
        &self,
        step: Step<'_>,
        error: ProjectionError,
        retries: u32,
        cursor: &mut Cursor,
    ) -> Result<StepResult, ProjectionError> {
        let Some(event) = step.events.first() else { return Ok(Err(error)) };
        let outcome = match self.options.on_failure {
            OnFailure::Stop => {
                let asked = self.store.lease_projection(self.partition, cursor.hold.claim.clone());
                return match upkeep(asked).await {
                    // It failed after another runner's work, or after an own attempt whose answer was lost.
                    Ok(lease) if lease.taken.is_some() => Err(LeaseLost::new(self.partition).into()),
                    Ok(lease) if lease.checkpoint == step.to => {
                        self.keep(step.to, cursor);
                        self.count(step).await;
                        Ok(Ok(()))
                    }
                    Ok(_) => Err(error),
                    Err(trouble) => Ok(Err(trouble)),
                };
            }
            OnFailure::Skip => Outcome::Skipped(error.error_type().to_owned()),
            OnFailure::DeadLetter => {
                let now = self.options.clock.now();
                Outcome::SetAside(Box::new(DeadLetter::failed(event, &error, retries, now)))
            }
        };
        Ok(self.attempt(step.ending(&outcome), cursor).await)
    }

    /// Asks until there is an answer: dropping a question is safe.
    pub(super) async fn patiently<'a, T, F>(&'a self, question: impl Fn(&'a Self) -> F) -> Result<T, Halt>
    where
        F: Future<Output = Result<T, ProjectionError>>,
    {
        let mut trouble = Trouble::default();
        loop {
            match self.unless_stopped(upkeep(question(self))).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => self.endure(&mut trouble, error).await?,
            }
        }
    }

    /// Opens the projection. A set-up that fails is told even if the runner is stopped meanwhile: whoever starts a
    /// runner and stops it would otherwise never hear of it.
    pub(super) async fn open(&self, after: Position) -> Result<(), Halt> {
        let mut trouble = Trouble::default();
        loop {
            let opening = self.store.open_projection(Arc::clone(&self.projection), self.partition.count, after);
            match upkeep(opening).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_final() && self.is_stopped() => {
                    let is_told = !error.is_trouble() && !error.waits();
                    return Err(if is_told { error.into() } else { Halt::Stopped });
                }
                Err(error) => match self.endure(&mut trouble, error).await {
                    // It is tried for the last time.
                    Ok(()) | Err(Halt::Stopped) => {}
                    failed => return failed,
                },
            }
        }
    }

    /// The output of a future, unless it takes longer than that after the runner was stopped.
    pub(super) async fn within<F: Future>(&self, time: Duration, body: F) -> Result<F::Output, Halt> {
        let late = async {
            let _ = self.unless_stopped(pending::<()>()).await;
            tokio::time::sleep(time).await;
        };
        unless(late, body).await.ok_or(Halt::Stopped)
    }

    /// Asks the feed until it answers.
    pub(super) async fn ask<'a, T, F>(&'a self, question: impl Fn(&'a S) -> F) -> Result<T, Halt>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.patiently(|this| {
            let asked = question(&this.feed);
            async { asked.await.map_err(ProjectionError::store) }
        })
        .await
    }

    /// Waits before the next attempt. A store may be in trouble for as long as the runner has patience; other failures
    /// are retried a number of times. What waits for its turn has not failed.
    ///
    /// # Errors
    /// Retrying cannot help, or it has been failing for too long; or the runner was stopped meanwhile.
    pub(super) async fn endure(&self, trouble: &mut Trouble, error: ProjectionError) -> Result<(), Halt> {
        if error.is_final() {
            return Err(error.into());
        }
        let seen = trouble.seen.replace(Instant::now());
        if error.waits() {
            // The time until it is its turn does not count.
            if let (Some(since), Some(seen)) = (&mut trouble.since, seen) {
                *since += seen.elapsed();
            }
            return self.pause(&mut Trouble::default(), error).await;
        }
        let since = *trouble.since.get_or_insert_with(Instant::now);
        let is_enough = if error.is_trouble() {
            since.elapsed() >= self.options.patience
        } else {
            trouble.retries >= self.options.retries
        };
        if is_enough { Err(error.into()) } else { self.pause(trouble, error).await }
    }

    async fn pause(&self, trouble: &mut Trouble, error: ProjectionError) -> Result<(), Halt> {
        let pause = FIRST_PAUSE.saturating_mul(4_u32.saturating_pow(trouble.retries)).min(LONGEST_PAUSE);
        trouble.retries += 1;
        if trouble.retries <= ALL_LOGGED || trouble.retries.is_power_of_two() {
            error.in_scope(|| {
                log::projection_retried(self.partition.projection, trouble.retries, &error.logged());
            });
        }
        if let Some(component) = self.options.counted_as() {
            metrics::retry(component, error.error_type());
        }
        // It holds the span of the step.
        drop(error);
        self.unless_stopped(self.minding_the_gap(tokio::time::sleep(pause))).await
    }

    /// The output of a future, unless the runner is stopped first.
    pub(super) async fn unless_stopped<F: Future>(&self, body: F) -> Result<F::Output, Halt> {
        let mut stopped = self.stopped.clone();
        before(stopped.wait_for(|stop| *stop), body).await.ok_or(Halt::Stopped)
    }

    /// The result of a batch, unless it is a relay's and takes too long after the runner was stopped.
    pub(super) async fn unless_late<T>(
        &self,
        applying: impl Future<Output = Result<T, ProjectionError>>,
    ) -> Result<T, ProjectionError> {
        if self.options.relay.is_none() {
            return applying.await;
        }
        self.within(LATE, applying).await.unwrap_or_else(|_| Err(ProjectionError::store(StoreError::Closed)))
    }

    /// Tells now and then that a batch has not ended. Nothing else does if a step hangs, whose lease is kept.
    pub(super) async fn tell_unended(&self, (from, to): (Position, Position), blocking: &Blocking) -> Infallible {
        let (begun, mut pause) = (Instant::now(), self.options.lease.max(SLOW));
        loop {
            tokio::time::sleep(pause).await;
            let pid = blocking.pid().await;
            log::projection_slow(self.partition.projection, (from, to), begun.elapsed(), pid);
            pause = pause.saturating_mul(2);
        }
    }

    /// The output of a future. Meanwhile the gap follows the head of the store, if somebody reads it.
    pub(super) async fn minding_the_gap<F: Future>(&self, body: F) -> F::Output {
        match &self.gap {
            Some(gap) if metrics::gauges_are_read() => beside(body, upkeep(self.mind(gap))).await,
            _ => body.await,
        }
    }

    async fn mind(&self, gap: &metrics::Gap) {
        while metrics::gauges_are_read() {
            self.feed.changed(Position::new(gap.known_head())).await;
            match self.feed.head().await {
                Ok(head) => gap.head(head.get()),
                // A gauge is no reason to fail, nor to ask a store in trouble without pause.
                Err(_) => pending().await,
            }
        }
    }

    /// Moves the gap's head, if somebody reads it.
    pub(super) async fn refresh_head(&self) {
        if let Some(gap) = &self.gap
            && metrics::gauges_are_read()
            && let Ok(head) = upkeep(self.feed.head()).await
        {
            gap.head(head.get());
        }
    }
}

/// Runs a future without spans: reading the feed is not part of any trace.
pub(super) fn upkeep<F: Future>(body: F) -> impl Future<Output = F::Output> {
    // A runner's tasks are detached already; detaching them again would make a context for each page. Boxed: without
    // optimisation futures are large, and what a projection calls needs the stack.
    Scope::current().muted().run(Box::pin(body))
}
