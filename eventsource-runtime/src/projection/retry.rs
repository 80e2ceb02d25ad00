//! Trying again, stopping, and what is watched meanwhile.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;

use super::error::ProjectionError;
use super::follower::Follower;
use super::{ProjectionStore, StepResult};
use crate::store::{Position, StoreError};
use crate::telemetry::{Scope, log, metrics};

/// The pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl<S: ProjectionStore> Follower<S> {
    /// Tries until it succeeds, the retries are used up, trying again cannot help, or the runner is stopped (`None`).
    pub(super) async fn persistently<'a, T, F>(
        &'a self,
        attempt: impl Fn(&'a Self, u32) -> F,
    ) -> Result<Option<T>, ProjectionError>
    where
        F: Future<Output = Result<T, ProjectionError>>,
    {
        for retry in 0.. {
            match attempt(self, retry).await {
                Ok(value) => return Ok(Some(value)),
                Err(error) if retry == self.options.retries || error.is_final() => return Err(error),
                Err(error) => {
                    if self.pause(retry, error.error_type()).await.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
        unreachable!("the loop ends when the retries do")
    }

    /// Asks the store until it answers, or the runner is stopped (`None`): dropping the question is safe.
    pub(super) async fn ask<'a, T, F>(&'a self, question: impl Fn(&'a S) -> F) -> Result<Option<T>, ProjectionError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let answer = self.persistently(|this, _| {
            let asked = upkeep(question(&this.store));
            async { this.unless_stopped(asked).await.transpose().map_err(ProjectionError::store) }
        });
        Ok(answer.await?.flatten())
    }

    /// Waits before the next attempt; `None` if the runner is stopped meanwhile.
    async fn pause(&self, retry: u32, error_type: &str) -> Option<()> {
        log::projection_retried(self.projection.name(), retry + 1, error_type);
        if self.options.metrics {
            metrics::retry("projection", error_type);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << retry.min(10)).min(LONGEST_PAUSE);
        self.unless_stopped(self.minding_the_gap(tokio::time::sleep(pause))).await
    }

    /// The value of a future, unless the runner is stopped first.
    pub(super) async fn unless_stopped<F: Future>(&self, body: F) -> Option<F::Output> {
        let mut stopped: watch::Receiver<bool> = self.stopped.clone();
        let mut body = pin!(body);
        let mut stop = pin!(stopped.wait_for(|stop| *stop));
        poll_fn(|task| {
            if stop.as_mut().poll(task).is_ready() {
                return Poll::Ready(None);
            }
            body.as_mut().poll(task).map(Some)
        })
        .await
    }

    /// The value of a future. While that takes its time, the gap follows the head of the store.
    pub(super) async fn minding_the_gap<F: Future>(&self, body: F) -> F::Output {
        let Some(gap) = &self.gap else { return body.await };
        let mut body = pin!(body);
        let mut minding = pin!(upkeep(self.mind(gap)));
        poll_fn(|task| {
            let polled = body.as_mut().poll(task);
            if polled.is_pending() {
                // It never ends.
                let _ = minding.as_mut().poll(task);
            }
            polled
        })
        .await
    }

    async fn mind(&self, gap: &metrics::Gap) -> StepResult {
        loop {
            self.store.changed(Position::new(gap.known_head())).await;
            match self.store.head().await {
                Ok(head) => gap.head(head.get()),
                // A gauge is no reason to fail, nor to ask a store without pause that has other troubles.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Moves the gap's head, where there is one to be seen.
    pub(super) async fn refresh_head(&self) {
        if let Some(gap) = &self.gap
            && let Ok(head) = upkeep(self.store.head()).await
        {
            gap.head(head.get());
        }
    }
}

/// Runs a future without spans: reading the feed is no part of anybody's trace.
pub(super) fn upkeep<F: Future>(body: F) -> impl Future<Output = F::Output> {
    Scope::detached().muted().run(body)
}
