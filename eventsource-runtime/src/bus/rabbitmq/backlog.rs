//! How far a group is behind, in the queues that one member consumes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::Channel;
use tokio::time::sleep;

use super::link::{Link, step};
use super::topology;
use crate::bus::Lag;
use crate::sync::Mutex;

/// How often the broker is asked.
const ASKING: Duration = Duration::from_secs(3);

/// The queues of a group, as a member knows them.
pub(super) struct Backlog {
    group: Arc<str>,
    pub(super) queues: Vec<Arc<Queue>>,
}

/// A queue of a group. Its one active consumer, the one that gets its messages, reports on it.
pub(super) struct Queue {
    pub(super) name: String,
    /// How many deliveries are in flight.
    under_way: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Whether messages have come.
    is_ours: bool,
    /// How many messages were not done when the broker was asked.
    lag: Option<u64>,
}

/// A delivery of a queue, until it is settled.
pub(super) struct UnderWay(Arc<Queue>);

impl Queue {
    pub(super) fn delivered(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.state.lock().is_ours = true;
        UnderWay(Arc::clone(self))
    }

    /// Stores the broker's answer, and gives the channel back if it is still usable.
    async fn ask<'a>(&self, channel: Option<&'a Channel>) -> Option<&'a Channel> {
        if !self.state.lock().is_ours {
            return channel;
        }
        let waiting = match channel {
            Some(channel) => step(topology::waiting(channel, &self.name)).await.ok(),
            None => None,
        };
        let under_way = self.under_way.load(Ordering::Relaxed);
        self.state.lock().lag = waiting.map(|waiting| u64::from(waiting) + under_way);
        channel.filter(|_| waiting.is_some())
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
            let lag = queue.state.lock().lag;
            if let Some(messages) = lag {
                tell(Lag { group: &self.group, destination: exchange, partition, messages });
            }
        }
    }

    /// Asks the broker periodically, for as long as messages come over the consuming channel. Over a separate channel:
    /// asking for a missing queue closes it.
    pub(super) async fn watch(&self, link: &Link, is_ours: impl Fn() -> bool) {
        let mut channel = None;
        loop {
            sleep(ASKING).await;
            if !is_ours() {
                return;
            }
            if channel.is_none() {
                channel = link.another_channel().await.ok();
            }
            if !self.ask(channel.as_ref()).await {
                channel = None;
            }
        }
    }

    /// Whether all queues could be asked for; of the others nothing is known.
    async fn ask(&self, channel: Option<&Channel>) -> bool {
        let mut channel = channel;
        for queue in &self.queues {
            channel = queue.ask(channel).await;
        }
        channel.is_some()
    }
}
