//! A running subscription: it takes messages from the bus, hands them to its lanes, and ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::counts::Counts;
use super::error::BusError;
use super::handler::Handler;
use super::lane::{Current, Handling, Lane};
use super::stopped::SubscriptionStopped;
use super::{Consumer, Delivery, Settle};
use crate::dispatch::boxed;
use crate::fnv::mixed;
use crate::poll::{before, beside, catch_panic, unless};
use crate::telemetry::metrics::Told;
use crate::telemetry::{Scope, log};

/// How long `shutdown` waits.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// How long a shutdown waits, after its deadline, for handlers that block their thread.
const FAREWELL: Duration = Duration::from_secs(1);
/// The part of the permitted in-flight messages that is taken at once, so that lanes work while more is taken.
const PART: u16 = 4;

/// A running subscription.
///
/// Dropping this ends it as [`Subscription::shutdown`] does, without waiting: messages already taken are still handled.
#[derive(Debug)]
#[must_use = "dropping this ends the subscription"]
pub struct Subscription {
    group: Arc<str>,
    stop: watch::Sender<Stop>,
    counts: Arc<Counts>,
    /// Told for as long as this is kept.
    _running: Option<Arc<Told>>,
    /// `None` once its end was reported.
    task: Mutex<Option<JoinHandle<Ended>>>,
}

/// How a subscription is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    Not,
    /// When all messages taken are done.
    Done,
    /// At once.
    Now,
}

/// The outcome of a subscription; `None` if it was aborted.
type Ended = Option<Result<(), BusError>>;

/// What became of the messages of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many were handled, and acknowledged to the bus. One that could not be acknowledged is redelivered, and
    /// counts when that is handled.
    pub acknowledged: u64,
    /// How many failed for good and are stored as dead letters, whether or not they could be acknowledged then.
    pub dead_lettered: u64,
    /// How many failed for good and cannot be stored as dead letters: they are left to the broker. Kafka keeps them
    /// where they came from, RabbitMQ moves them unchanged to the dead letters, unless they are there already. An
    /// in-process bus whose dead letters are full loses them.
    pub unkeepable: u64,
}

impl Subscription {
    /// What became of the messages so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            acknowledged: self.counts.acknowledged.load(Ordering::Relaxed),
            dead_lettered: self.counts.dead_lettered.load(Ordering::Relaxed),
            unkeepable: self.counts.unkeepable.load(Ordering::Relaxed),
        }
    }

    /// Waits until the subscription ends by itself: one of dead letters when all have been retried, any other when
    /// nothing more can be taken from the bus, or the bus panics. Messages taken before are still handled first. If
    /// it failed, the gauge `eventsource.consumer.running` is 0 until this is dropped. Dropping the future earlier has no
    /// effect.
    ///
    /// # Errors
    /// Nothing more could be taken from the bus, or it panicked while it settled a message; that is reported once, and
    /// not by a later [`shutdown`](Subscription::shutdown).
    pub async fn finished(&self) -> Result<Tally, SubscriptionStopped> {
        self.ended().await
    }

    /// Takes no more messages, and waits until those already taken are done, at most 30 seconds.
    ///
    /// # Errors
    /// The subscription had stopped before, or messages were left.
    pub async fn shutdown(self) -> Result<Tally, SubscriptionStopped> {
        self.shutdown_within(DEADLINE).await
    }

    /// Takes no more messages, and waits until those already taken are done, at most `deadline`. What is not done by
    /// then is aborted and redelivered. A handler that blocks its thread cannot be aborted: it gets another second, and
    /// is then left behind. As long as it runs, the messages that this subscription has taken go to nobody else.
    ///
    /// # Errors
    /// The subscription had stopped before, or messages were left.
    pub async fn shutdown_within(self, deadline: Duration) -> Result<Tally, SubscriptionStopped> {
        self.stop.send_replace(Stop::Done);
        if let Ok(ended) = tokio::time::timeout(deadline, self.ended()).await {
            return ended;
        }
        self.stop.send_replace(Stop::Now);
        // Its messages are given back once it is gone, and it reports no more.
        let ended = tokio::time::timeout(FAREWELL, self.ended()).await.unwrap_or_else(|_| Err(self.aborted()));
        self.counts.tell_lost();
        let left = self.counts.under_way();
        match ended {
            // All was handled; only leaving the group remained.
            Err(SubscriptionStopped::Aborted { .. }) if left == 0 => Ok(self.tally()),
            Err(SubscriptionStopped::Aborted { group, .. }) => Err(SubscriptionStopped::Aborted { group, left }),
            ended => ended,
        }
    }

    async fn ended(&self) -> Result<Tally, SubscriptionStopped> {
        let mut task = self.task.lock().await;
        let Some(running) = &mut *task else { return Ok(self.tally()) };
        let ended = running.await;
        *task = None;
        let failed = |source| SubscriptionStopped::Failed { group: self.group.to_string(), source };
        match ended {
            Ok(Some(Ok(()))) => Ok(self.tally()),
            Ok(Some(Err(error))) => Err(failed(error)),
            Ok(None) => Err(self.aborted()),
            Err(error) if error.is_cancelled() => Err(self.aborted()),
            Err(error) => Err(failed(BusError::backend("run a subscription", error))),
        }
    }

    fn aborted(&self) -> SubscriptionStopped {
        SubscriptionStopped::Aborted { group: self.group.to_string(), left: 0 }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        finish(&self.stop);
    }
}

/// Asks for an end when all messages taken are done, if nobody has asked for one sooner.
fn finish(stop: &watch::Sender<Stop>) {
    stop.send_modify(|stop| *stop = Stop::Done.max(*stop));
}

pub(super) fn start<C: Consumer, H: Handler>(
    consumer: C,
    handling: Arc<Handling>,
    handler: H,
    lanes: usize,
) -> Subscription {
    let (stop, stopped) = watch::channel(Stop::Not);
    let (group, counts) = (Arc::clone(&handling.intake.group), Arc::new(Counts::of(handling.telemetry.group())));
    let (handler, mut tasks) = (Arc::new(handler), JoinSet::new());
    let scope = Scope::detached();
    let lanes = (0..lanes).map(|_| {
        let (lane, taken) = mpsc::unbounded_channel();
        let (handling, handler) = (Arc::clone(&handling), Arc::clone(&handler));
        let worker = Lane::new(handling, handler, taken, Arc::clone(&counts), stopped.clone());
        tasks.spawn(scope.clone().run(boxed(worker.run())));
        lane
    });
    let (lanes, running) = (lanes.collect(), handling.telemetry.running(&handling.intake));
    let intake = Taking {
        consumer,
        handling,
        lanes,
        counts: Arc::clone(&counts),
        running: running.clone(),
        stop: stop.clone(),
        stopped,
    };
    let task = tokio::spawn(scope.run(boxed(intake.run(tasks))));
    Subscription { group, stop, counts, _running: running, task: Mutex::new(Some(task)) }
}

/// The task that takes deliveries and hands them out.
struct Taking<C: Consumer> {
    consumer: C,
    handling: Arc<Handling>,
    lanes: Vec<mpsc::UnboundedSender<Vec<Current<C::Settle>>>>,
    counts: Arc<Counts>,
    running: Option<Arc<Told>>,
    stop: watch::Sender<Stop>,
    stopped: watch::Receiver<Stop>,
}

impl<C: Consumer> Taking<C> {
    async fn run(mut self, mut tasks: JoinSet<()>) -> Ended {
        let counts = Arc::clone(&self.counts);
        let mut stopped = self.stopped.clone();
        let mut now = pin!(async {
            // This task can ask for it itself, so that there is always somebody.
            let _ = stopped.wait_for(|stop| *stop == Stop::Now).await;
        });
        let worked = unless(now.as_mut(), beside(self.work(&mut tasks), counts.tell_losses())).await;
        if worked.is_some() {
            // Only now: settling needs the consumer's connection.
            unless(now, self.consumer.leave()).await;
        } else {
            // Before the consumer is dropped: another member must not get what follows a message that is still here.
            tasks.shutdown().await;
        }
        counts.tell_lost();
        worked
    }

    async fn work(&mut self, tasks: &mut JoinSet<()>) -> Result<(), BusError> {
        let taken = catch_panic(unless_one_dies(tasks, self.take())).await;
        let taken = taken.unwrap_or_else(|_| Err(BusError::backend("take messages", "it panicked")));
        if let Err(error) = &taken {
            self.running.iter().for_each(|running| running.failed());
            log::subscription_stopped(self.handling.telemetry.group(), error.error_type());
            // What nobody here will handle belongs to other members.
            self.consumer.stop();
        }
        // The last dead letters are handled to the end, whatever that waits for.
        if taken.is_err() || !self.handling.intake.dead_letters {
            finish(&self.stop);
        }
        // The lanes end when they have handled what they have.
        self.lanes.clear();
        let ended = async {
            let mut all = Ok(());
            while let Some(ended) = tasks.join_next().await {
                all = all.and(ended.map_err(died));
            }
            all
        };
        taken.and(beside(ended, self.consumer.attend()).await)
    }

    async fn take(&mut self) -> Result<(), BusError> {
        let prefetch = self.handling.intake.prefetch;
        let part = u64::from(prefetch / PART).max(1);
        let (mut taken, mut stopping) = (Vec::new(), false);
        loop {
            let asked = (!stopping).then(|| self.stopped.clone());
            let room = beside(room(&self.counts, prefetch, asked), self.consumer.attend()).await;
            let Some(room) = room else {
                stopping = true;
                self.consumer.stop();
                continue;
            };
            // What a lane leaves would come again and again to a member that is alone.
            if self.counts.is_left() {
                self.consumer.stop();
                break;
            }
            let most = usize::try_from(room.min(part)).unwrap_or(usize::MAX);
            if let Some(next) = self.next(stopping, most, &mut taken).await {
                next?;
            } else {
                stopping = true;
                self.consumer.stop();
                self.consumer.next_batch(most, &mut taken).await?;
            }
            if taken.is_empty() {
                break;
            }
            self.counts.taken(taken.len());
            self.hand_out(&mut taken).await;
        }
        Ok(())
    }

    /// Hands deliveries to their lanes, and settles those that are not wanted.
    async fn hand_out(&mut self, taken: &mut Vec<Delivery<C::Settle>>) {
        let (each, mut unwanted) = (taken.len().div_ceil(self.lanes.len()), Vec::new());
        let mut parts: Vec<_> = self.lanes.iter().map(|_| Vec::new()).collect();
        for delivery in taken.drain(..) {
            // Unwanted letters stay where they are: a lane puts them back.
            if !self.handling.intake.dead_letters && !self.handling.wants(&delivery.message) {
                unwanted.push(Current::new(delivery, false));
                continue;
            }
            let part = &mut parts[lane_of(delivery.lane, self.lanes.len())];
            if part.is_empty() {
                part.reserve(each);
            }
            part.push(Current::new(delivery, self.handling.intake.dead_letters));
        }
        for (lane, part) in self.lanes.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
            // If the lane died, the part is dropped, and redelivered once this task notices, as it does when it waits.
            let _ = lane.send(part);
        }
        if unwanted.is_empty() {
            return;
        }
        let telemetry = &self.handling.telemetry;
        if telemetry.is_measured() {
            telemetry.consumed(&unwanted);
        }
        let count = unwanted.len();
        for error in C::Settle::ack_all(unwanted.into_iter().map(|current| current.settle).collect()).await {
            self.counts.unsettled(&error);
        }
        self.counts.settled(count);
    }

    /// The next deliveries; `None` if the subscription is to stop first, which is reported once.
    async fn next(
        &mut self,
        stopping: bool,
        most: usize,
        taken: &mut Vec<Delivery<C::Settle>>,
    ) -> Option<Result<(), BusError>> {
        let next = pin!(self.consumer.next_batch(most, taken));
        if stopping {
            return Some(next.await);
        }
        before(self.stopped.wait_for(|stop| *stop != Stop::Not), next).await
    }
}

/// How many more messages may be taken, or `None` if the subscription is asked to stop first.
async fn room(counts: &Counts, prefetch: u16, asked: Option<watch::Receiver<Stop>>) -> Option<u64> {
    let room = counts.room(prefetch);
    let Some(mut asked) = asked else { return Some(room.await) };
    unless(async { drop(asked.wait_for(|stop| *stop != Stop::Not).await) }, room).await
}

/// The lane for a key. Keys that come to one queue or partition share their lower bits.
fn lane_of(key: u64, lanes: usize) -> usize {
    usize::try_from((mixed(key) >> 32) % lanes as u64).unwrap_or_default()
}

fn died(error: JoinError) -> BusError {
    BusError::backend("run a lane", error)
}

/// The result, unless a lane dies first of a panic in the bus: what it held would stay unsettled forever, and so would
/// everything after it.
async fn unless_one_dies<T>(
    lanes: &mut JoinSet<()>,
    body: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    let mut body = pin!(body);
    poll_fn(|task| match lanes.poll_join_next(task) {
        Poll::Ready(Some(Err(error))) => Poll::Ready(Err(died(error))),
        _ => body.as_mut().poll(task),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bus::Message;
    use crate::store::StreamId;

    /// A stream's queue and its lane were both chosen by the lower bits of its key: all of a queue were in one lane.
    #[test]
    fn the_streams_of_one_queue_are_in_all_lanes() {
        let key = |id: u32| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}").order_key();
        let of_one_queue: Vec<_> = (0..2000).map(key).filter(|key| key % 64 % 8 == 3).collect();
        for lanes in [1, 3, 8, 16] {
            let used: BTreeSet<_> = of_one_queue.iter().map(|key| lane_of(*key, lanes)).collect();
            assert_eq!(used, (0..lanes).collect(), "of {} streams", of_one_queue.len());
        }
    }
}
