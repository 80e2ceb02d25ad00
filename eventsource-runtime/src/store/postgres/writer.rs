//! The writer: a task for an append that arrives alone, and one that commits those that arrive meanwhile together.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use super::append::{Appends, Pools, twice};
use super::group::{Append, Outcome, Queue, Waiting};
use crate::store::head::Head;
use crate::store::{AppendError, StoreError};
use crate::telemetry::log;

/// How many groups may be in flight: while one is committed, the next is on its way to the server.
pub(super) const UNDER_WAY: usize = 2;
/// How long an append takes at most before that is logged.
const LONG: Duration = Duration::from_secs(5);
/// How many appends are on their way to the queue at most; further callers wait outside.
const ROOM: usize = 1024;
/// How many are queued at most: so many that those to one busy stream do not keep those to others outside.
const QUEUED: usize = 16 * ROOM;

/// The way into the store. It ends with its last handle, when what was queued is done.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Waiting>,
}

struct Shared {
    appends: Appends,
    pools: Arc<Pools>,
    head: Arc<Head>,
    turns: Arc<Semaphore>,
    /// The runtime in which the store was opened. A caller's may be driven for no longer than the caller waits.
    runtime: Handle,
}

impl Writer {
    /// Starts the task that commits groups.
    pub(super) fn start(appends: Appends, pools: Arc<Pools>, head: Arc<Head>, runtime: Handle) -> Self {
        let shared = Arc::new(Shared { appends, pools, head, turns: Arc::new(Semaphore::new(UNDER_WAY)), runtime });
        let (queue, waiting) = mpsc::channel(ROOM);
        tokio::spawn(commit(Arc::clone(&shared), waiting));
        Self { shared, queue }
    }

    pub(super) async fn append(&self, append: Append) -> Outcome {
        if append.events.is_empty() || twice(&append.events).is_some() {
            return self.shared.appends.compare(&self.shared.pools.readers, &append).await;
        }
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { append, reply };
        // In a task, even alone: a future that is not polled for a while would keep its turn from all others.
        if let Ok(turn) = Arc::clone(&self.shared.turns).try_acquire_owned() {
            self.shared.runtime.spawn(Arc::clone(&self.shared).commit(vec![waiting], turn));
        } else {
            self.queue.send(waiting).await.map_err(|_| closed())?;
        }
        answer.await.unwrap_or(Err(closed()))
    }

    /// The server process whose transaction another one waits for. The answer takes five seconds at most.
    pub(super) async fn blocking(&self, waiting: i32) -> Option<i32> {
        self.shared.blocking(Some(waiting)).await.map(|(pid, _)| pid)
    }
}

fn closed() -> AppendError {
    StoreError::Closed.into()
}

impl Shared {
    async fn commit(self: Arc<Self>, group: Vec<Waiting>, turn: OwnedSemaphorePermit) {
        let appends: Vec<&Append> = group.iter().map(|waiting| &waiting.append).collect();
        let is_alone = self.turns.available_permits() + 1 == UNDER_WAY;
        let made = self.appends.make(&self.pools, &appends, is_alone);
        let outcomes = self.telling_what_holds_up(made).await;
        drop(turn);
        if let Some(last) = outcomes.iter().flatten().map(|appended| appended.position).max() {
            self.head.publish(last);
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            // A caller that has gone is told nothing; what was committed stays.
            let _ = waiting.reply.send(outcome);
        }
    }

    async fn blocking(&self, waiting: Option<i32>) -> Option<(i32, Option<f64>)> {
        timeout(LONG, self.appends.blocking(&self.pools.snapshots, waiting)).await.ok().flatten()
    }

    /// Logs what an append waits for, if it waits for long: usually a forgotten transaction with a lock on the table.
    async fn telling_what_holds_up<T>(&self, append: impl Future<Output = T>) -> T {
        let mut append = pin!(append);
        if let Ok(outcome) = timeout(LONG, &mut append).await {
            return outcome;
        }
        let told = pin!(async { log::postgres::held_up(self.blocking(None).await) });
        match select(append, told).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(((), append)) => append.await,
        }
    }
}

/// Commits queued appends in groups, until nobody can append any more.
async fn commit(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut queue = Queue::default();
    loop {
        if queue.len() == 0 {
            match waiting.recv().await {
                Some(first) => queue.push(first),
                None => return,
            }
        }
        let Ok(turn) = Arc::clone(&shared.turns).acquire_owned().await else { return };
        while queue.len() < QUEUED
            && let Ok(next) = waiting.try_recv()
        {
            queue.push(next);
        }
        let group = queue.take();
        if !group.is_empty() {
            tokio::spawn(Arc::clone(&shared).commit(group, turn));
        }
    }
}
