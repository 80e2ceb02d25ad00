//! How far a group is behind, in the queues that one member consumes, and whether it consumes them at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lapin::Channel;
use tokio::time::sleep;

use super::link::{Link, step};
use super::topology;
use crate::bus::Lag;
use crate::sync::Mutex;
use crate::telemetry::log;

/// How often the broker is asked.
pub(super) const ASKING: Duration = Duration::from_secs(3);
/// Of a queue from which nothing has come it is asked only every so many times.
const SELDOM: u32 = 5;
/// How often in a row the broker must know of no consumer of a queue, before it is believed: it also says so when it is
/// busy, or elects the queue's leader. Of a queue that is asked for seldom less often is enough.
const OFTEN: u32 = 5;
const OFTEN_ENOUGH: u32 = 3;
/// How long the exchange must have been missing before this member declares it: by then all others have noticed, too,
/// and bind their queues to the next one.
const MISSING: Duration = ASKING.saturating_mul(2);
/// How many times as often, while messages are in flight.
const BUSY: u32 = 4;

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
    /// How often in a row it knew of no consumer.
    unknown: u32,
}

/// A delivery of a queue, until it is settled.
pub(super) struct UnderWay(Arc<Queue>);

impl Queue {
    pub(super) fn delivered(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        (state.is_ours, state.unknown) = (true, 0);
        drop(state);
        UnderWay(Arc::clone(self))
    }

    /// Stores the broker's answer, and gives the channel back if it is still usable.
    async fn ask<'a>(&self, channel: Option<&'a Channel>, round: u32) -> Option<&'a Channel> {
        if !self.state.lock().is_ours && !round.is_multiple_of(SELDOM) {
            return channel;
        }
        let (waiting, consumers) = match channel {
            None => (None, None),
            Some(channel) => match step(topology::look(channel, &self.name)).await {
                Ok(found) => (Some(found.message_count()), Some(found.consumer_count())),
                Err(error) => (None, topology::is_missing(&error).then_some(0)),
            },
        };
        self.told(waiting, consumers);
        channel.filter(|_| waiting.is_some())
    }

    /// What the broker tells of the queue, as far as it does.
    fn told(&self, waiting: Option<u32>, consumers: Option<u32>) {
        let under_way = self.under_way.load(Ordering::Relaxed);
        let mut state = self.state.lock();
        state.lag = waiting.filter(|_| state.is_ours).map(|waiting| u64::from(waiting) + under_way);
        match consumers {
            Some(0) => state.unknown += 1,
            Some(_) => state.unknown = 0,
            None => {}
        }
    }

    /// Whether the broker gives its messages to nobody, this member included. While messages are in flight that is
    /// believed later: others get them as well if this member begins anew.
    fn is_deaf(&self, is_busy: bool) -> bool {
        let State { is_ours, unknown, .. } = *self.state.lock();
        let enough = if is_ours { OFTEN } else { OFTEN_ENOUGH };
        unknown >= if is_busy { enough * BUSY } else { enough }
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

    /// Asks the broker periodically, for as long as the consuming channel is there. Over a separate channel: asking for
    /// a missing queue or exchange closes it. Returns when the broker has no consumer for a queue any more, of which the
    /// client was not told: the queue may have been deleted, and declared anew by somebody. And when the exchange was
    /// deleted: whoever declares it anew, the queues are not bound to it.
    pub(super) async fn watch(&self, link: &Arc<Link>, exchange: &str, is_ours: impl Fn() -> bool) {
        let (mut channel, mut missing) = (None, None);
        for round in 1_u32.. {
            sleep(ASKING).await;
            if !is_ours() {
                return;
            }
            if channel.is_none() {
                channel = link.another_channel().await.ok();
            }
            if !self.ask(channel.as_ref(), round).await {
                channel = None;
            }
            let is_busy = self.queues.iter().any(|queue| queue.under_way.load(Ordering::Relaxed) > 0);
            if self.queues.iter().any(|queue| queue.is_deaf(is_busy)) {
                log::rabbitmq::deaf(&self.group);
                return;
            }
            let Some(asked) = &channel else { continue };
            let found = step(topology::has_exchange(asked, exchange)).await;
            if !matches!(found, Ok(true)) {
                channel = None;
            }
            match (found, missing) {
                (Err(_), _) | (Ok(true), None) => {}
                (Ok(false), None) => {
                    missing = Some(Instant::now());
                    log::rabbitmq::waits(exchange, Some(&self.group), topology::MISSING);
                }
                (Ok(false), Some(since)) if since.elapsed() < MISSING => {}
                (Ok(_), Some(_)) => return,
            }
        }
    }

    /// Whether all queues could be asked for; of the others nothing is known.
    async fn ask(&self, channel: Option<&Channel>, round: u32) -> bool {
        let mut channel = channel;
        for queue in &self.queues {
            channel = queue.ask(channel, round).await;
        }
        channel.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Arc<Queue> {
        let backlog = Backlog::new("one".into(), vec!["orders.one".into()]);
        Arc::clone(&backlog.queues[0])
    }

    #[test]
    fn a_queue_is_deaf_when_the_broker_says_several_times_in_a_row_that_nobody_consumes_it() {
        for (is_ours, often) in [(true, OFTEN), (false, OFTEN_ENOUGH)] {
            let queue = queue();
            if is_ours {
                drop(queue.delivered());
            }
            for consumers in [Some(0), None, Some(1)] {
                queue.told(Some(0), consumers);
            }
            for _ in 0..often {
                assert!(!queue.is_deaf(false), "a busy broker says so as well");
                queue.told(Some(0), Some(0));
            }
            assert!(queue.is_deaf(false));
            let under_way = queue.delivered();
            assert!(!queue.is_deaf(false), "something came");
            for _ in 0..OFTEN {
                queue.told(None, Some(0));
            }
            assert!(queue.is_deaf(false) && !queue.is_deaf(true), "it would come to another member as well");
            for _ in OFTEN..OFTEN * BUSY {
                queue.told(None, Some(0));
            }
            assert!(queue.is_deaf(true), "others may be in flight for ever");
            drop(under_way);
        }
    }
}
