//! How far a group is behind, in the queues whose messages come to one member.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::Channel;
use tokio::sync::watch;
use tokio::time::sleep;

use super::link::{Link, step};
use super::topology;
use crate::bus::Lag;

/// How often the broker is asked.
const ASKING: Duration = Duration::from_secs(3);

/// The queues of a group, as a member knows them.
pub(super) struct Backlog {
    group: Arc<str>,
    pub(super) queues: Vec<Arc<Queue>>,
}

/// A queue of a group. It has one active consumer, which tells of it; to be that one is to get its messages.
pub(super) struct Queue {
    pub(super) name: String,
    /// How many deliveries are under way.
    under_way: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Whether messages have come.
    is_ours: bool,
    /// How many messages were not done with when the broker was asked.
    lag: Option<u64>,
}

/// A delivery of a queue, until it is settled.
pub(super) struct UnderWay(Arc<Queue>);

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn delivered(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.state().is_ours = true;
        UnderWay(Arc::clone(self))
    }

    async fn ask(&self, channel: &Channel) -> lapin::Result<()> {
        if !self.state().is_ours {
            return Ok(());
        }
        let waiting = step(topology::waiting(channel, &self.name)).await;
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.state().lag = waiting.as_ref().ok().map(|waiting| u64::from(*waiting) + under_way);
        waiting.map(|_| ())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backlog {
    pub(super) fn new(group: Arc<str>, queues: Vec<String>) -> Self {
        let queue = |name| Arc::new(Queue { name, under_way: AtomicU64::new(0), state: Mutex::default() });
        Self { group, queues: queues.into_iter().map(queue).collect() }
    }

    pub(super) fn lags(&self, exchange: &str, tell: &mut dyn FnMut(Lag<'_>)) {
        for (partition, queue) in (0..).zip(&self.queues) {
            let lag = queue.state().lag;
            if let Some(messages) = lag {
                tell(Lag { group: &self.group, destination: exchange, partition, messages });
            }
        }
    }

    /// Asks the broker again and again, until the connection is lost on which the messages came. Over a channel of its own:
    /// one that asks for a queue that is not there is closed.
    pub(super) async fn watch(&self, link: &Link, losses: watch::Receiver<u64>) {
        loop {
            sleep(ASKING).await;
            if losses.has_changed().unwrap_or(true) {
                break;
            }
            let Ok(channel) = link.channel().await else { continue };
            while self.ask(&channel).await.is_ok() {
                sleep(ASKING).await;
            }
        }
        for queue in &self.queues {
            *queue.state() = State::default();
        }
    }

    async fn ask(&self, channel: &Channel) -> lapin::Result<()> {
        for queue in &self.queues {
            queue.ask(channel).await?;
        }
        Ok(())
    }
}
