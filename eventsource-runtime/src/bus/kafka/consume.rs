//! Consuming as a member of a consumer group.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures_core::Stream as _;
use rdkafka::consumer::{CommitMode, Consumer as _, MessageStream};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::client::client;
use super::context::Context;
use super::partitions::{Returning, Share};
use super::payloads::Payloads;
use super::queries::Queries;
use super::refusal::{Kind, Next, Refusal};
use super::replay::{self, Letters};
use super::settle::{Held, Origin, Unsettled};
use super::{Shared, blocking};
use crate::bus::error::BusError;
use crate::bus::{Consumer, Delivery, Destination, Intake, Place, Settle};
use crate::clock::Timestamp;
use crate::fnv::fnv1a;
use crate::telemetry::log;

/// After how long without room the brokers are asked for no more messages.
const NO_ROOM: Duration = Duration::from_secs(1);
/// How often brokers are then asked for the lag, of which a paused client is not informed.
const ASKING: Duration = Duration::from_secs(3);
/// How long leaving a group may take.
const LEAVING: Duration = Duration::from_secs(10);

/// A member of a group on Kafka.
pub struct Member {
    origin: Arc<Origin>,
    /// What deliveries share of the partition from which the last message came.
    held: Option<Arc<Held>>,
    payloads: Payloads,
    /// The dead letters that are left, if it retries those.
    letters: Option<Letters>,
    /// What came while there was no room.
    ahead: VecDeque<Delivery<Unsettled>>,
    failed: Option<BusError>,
    /// A permission that is missing.
    refusal: Option<Refusal>,
    queries: Queries,
    paused: bool,
    stopped: bool,
}

impl Member {
    pub(super) async fn join(shared: Arc<Shared>, intake: Intake) -> Result<Self, BusError> {
        let dead_topic = shared.dead_topic(&intake.group)?;
        shared.create(&dead_topic, 1, &shared.options.of_letters()).await?;
        let replays = intake.dead_letters;
        let topic = if replays { dead_topic.as_str().into() } else { Arc::clone(&shared.info.destination) };
        let share = Arc::new(Share::new(Arc::clone(&intake.group), topic));
        let make = {
            let (shared, share) = (Arc::clone(&shared), Arc::clone(&share));
            move || client(&shared, &intake, &share)
        };
        let client = Arc::new(blocking("make a Kafka consumer", make).await?);
        if shared.options.create.is_none() {
            replay::check(&client, &dead_topic).await?;
        }
        let letters = if replays {
            Some(Letters::find(&client, &share).await?)
        } else {
            client.subscribe(&[&*share.topic]).map_err(|error| BusError::backend("join a group", error))?;
            shared.state.members.joined(&share);
            None
        };
        Ok(Self {
            origin: Arc::new(Origin { shared, client, share }),
            held: None,
            payloads: Payloads::default(),
            letters,
            ahead: VecDeque::new(),
            failed: None,
            refusal: None,
            queries: Queries::default(),
            paused: false,
            stopped: false,
        })
    }

    /// The next messages that are ours, up to `most`, as soon as there is one. None at the end of the dead letters.
    async fn poll(&mut self, most: usize, taken: &mut Vec<Delivery<Unsettled>>) -> Result<(), BusError> {
        while taken.is_empty() && !self.is_at_end() {
            self.give_back().await;
            let look = self.queries.look_back(&self.origin);
            self.insist()?;
            let origin = Arc::clone(&self.origin);
            let mut changed = pin!(origin.share.changed.notified());
            let again = self.refusal.as_ref().map(|refusal| refusal.again).into_iter().chain(look).min();
            let mut again = pin!(async move {
                match again {
                    Some(again) => sleep_until(again).await,
                    None => pending().await,
                }
            });
            let mut stream = origin.client.stream();
            let filled = poll_fn(|task| match self.fill(&mut stream, task, most, taken) {
                // There is something to be given back, or to be looked at.
                Poll::Pending if changed.as_mut().poll(task).is_ready() => Poll::Ready(Ok(())),
                Poll::Pending => again.as_mut().poll(task).map(Ok),
                ready @ Poll::Ready(_) => ready,
            });
            filled.await?;
        }
        Ok(())
    }

    fn is_at_end(&self) -> bool {
        self.letters.as_ref().is_some_and(Letters::is_empty)
    }

    /// Takes what the client has; pending if that is nothing.
    fn fill(
        &mut self,
        stream: &mut MessageStream<'_, Context>,
        task: &mut TaskContext<'_>,
        most: usize,
        taken: &mut Vec<Delivery<Unsettled>>,
    ) -> Poll<Result<(), BusError>> {
        while taken.len() < most
            && !self.is_at_end()
            && let Poll::Ready(Some(received)) = Pin::new(&mut *stream).poll_next(task)
        {
            match self.received(received) {
                Ok(delivery) => taken.extend(delivery),
                Err(error) if taken.is_empty() => return Poll::Ready(Err(error)),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        if taken.is_empty() && !self.is_at_end() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// A delivery, if a message came and it is ours.
    fn received(
        &mut self,
        received: KafkaResult<BorrowedMessage<'_>>,
    ) -> Result<Option<Delivery<Unsettled>>, BusError> {
        match received {
            Ok(message) => {
                self.origin.shared.state.answered();
                self.permitted();
                let place = Place { partition: message.partition(), offset: message.offset() };
                let is_wanted = self.letters.as_mut().is_none_or(|letters| letters.takes(place));
                if is_wanted && self.is_ours(place.partition) {
                    return Ok(self.delivery(&message, place));
                }
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                if let Some(letters) = &mut self.letters {
                    letters.ended(partition);
                }
            }
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(stopped(error)),
            Err(error) => self.failed(error)?,
        }
        Ok(None)
    }

    /// Looks up the assignment of a partition, mostly that of the last message. What is about to go to another member is
    /// left to it.
    fn is_ours(&mut self, partition: i32) -> bool {
        let is_last = |held: &Arc<Held>| held.assignment.partition == partition && !held.assignment.is_ending();
        if !self.held.as_ref().is_some_and(is_last) {
            let assignment = self.origin.share.assignment(partition);
            self.held = assignment.map(|assignment| Arc::new(Held { origin: Arc::clone(&self.origin), assignment }));
        }
        self.held.is_some()
    }

    /// The client continues, unless brokers will never take this member. A permission may be missing for a while.
    fn failed(&mut self, error: KafkaError) -> Result<(), BusError> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        let kind = Kind::of(code);
        if kind == Kind::Final {
            return Err(stopped(error));
        }
        let Origin { shared, share, .. } = &*self.origin;
        shared.state.failed(code);
        if kind != Kind::Passing {
            share.refused();
            match &mut self.refusal {
                Some(refusal) => refusal.goes_on(kind, error),
                None => self.refusal = Some(Refusal::new(kind, error, Instant::now(), shared.options.patience)),
            }
        }
        Ok(())
    }

    /// The topic may be read.
    fn permitted(&mut self) {
        if self.refusal.take_if(|refusal| refusal.is_of_topic()).is_some() {
            log::kafka::permitted(&self.origin.share.group);
        }
    }

    /// Looks whether a permission is still missing.
    fn insist(&mut self) -> Result<(), BusError> {
        if self.origin.share.is_permitted() {
            self.permitted();
        }
        let now = Instant::now();
        let Some(mut refusal) = self.refusal.take_if(|refusal| refusal.again <= now) else { return Ok(()) };
        match refusal.next(now, self.origin.share.is_member()) {
            Next::GoOn => log::kafka::permitted(&self.origin.share.group),
            Next::Stop => return Err(stopped(refusal.error)),
            Next::Provoke => {
                let provoked = self.provoke();
                refusal.later(now, self.origin.shared.options.patience, provoked);
                self.refusal = Some(refusal);
            }
        }
        Ok(())
    }

    /// Has the client report anew that it may not fetch. False if it does not fetch: then brokers are asked.
    fn provoke(&mut self) -> Option<bool> {
        if self.paused {
            return None;
        }
        let client = &self.origin.client;
        let Ok(all) = client.assignment() else { return Some(false) };
        if all.count() == 0 {
            self.queries.look(&self.origin);
        }
        Some(all.count() > 0 && client.pause(&all).is_ok() && client.resume(&all).is_ok())
    }

    /// Gives revoked partitions back as soon as nothing of them is in flight, or has been for too long.
    async fn give_back(&mut self) {
        let Some(returning) = self.origin.share.returning() else { return };
        self.ahead.retain(|delivery| !delivery.settle.is_lost());
        if timeout_at(returning.until, returning.quiet()).await.is_err() {
            log::kafka::handed_over_busy(&self.origin.share.group);
        }
        self.unassign(&returning);
    }

    /// Commits the stored offsets before the partitions go.
    fn unassign(&self, returning: &Returning) {
        let partitions = returning.end(&self.origin.share.topic);
        self.origin.share.returned();
        if partitions.count() > 0
            && let Err(error) = self.origin.client.incremental_unassign(&partitions)
        {
            self.origin.shared.state.failed_at(&error);
        }
    }

    fn delivery(&mut self, received: &BorrowedMessage<'_>, place: Place) -> Option<Delivery<Unsettled>> {
        let held = Arc::clone(self.held.as_ref()?);
        let message = self.payloads.read(received);
        held.assignment.take(place.offset);
        let mut source = Destination::new(Arc::clone(&self.origin.share.topic));
        source.place = Some(place);
        let sent_at = received.timestamp().to_millis();
        Some(Delivery {
            lane: match message.stream() {
                Some(_) => message.order_key(),
                None => {
                    received.key().map_or(u64::from(place.partition.unsigned_abs()), |key| fnv1a(key.iter().copied()))
                }
            },
            // Kafka does not count deliveries.
            redelivered: false,
            sent_at: sent_at.map(|millis| Timestamp::from_micros(millis.saturating_mul(1000))),
            source,
            settle: Unsettled { held, offset: place.offset },
            message,
        })
    }

    /// Pauses or resumes what the brokers send.
    fn pause(&mut self, paused: bool) {
        let client = &self.origin.client;
        let result = client.assignment().and_then(|all| if paused { client.pause(&all) } else { client.resume(&all) });
        self.paused = paused || result.is_err() && self.paused;
    }
}

fn stopped(error: KafkaError) -> BusError {
    BusError::backend("take messages from Kafka", error)
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        let mut taken = Vec::with_capacity(1);
        self.next_batch(1, &mut taken).await?;
        Ok(taken.pop())
    }

    async fn next_batch(&mut self, most: usize, taken: &mut Vec<Delivery<Unsettled>>) -> Result<(), BusError> {
        if self.stopped {
            return Ok(());
        }
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        while taken.len() < most
            && let Some(delivery) = self.ahead.pop_front()
        {
            taken.extend(Some(delivery).filter(|delivery| !delivery.settle.is_lost()));
        }
        if !taken.is_empty() {
            return Ok(());
        }
        if self.paused {
            self.pause(false);
        }
        self.poll(most, taken).await
    }

    /// A member that does not poll its client for long is removed from its group, and holds up the others during a
    /// rebalance.
    async fn attend(&mut self) -> Infallible {
        sleep(NO_ROOM).await;
        while self.failed.is_none() {
            self.pause(true);
            self.queries.ask(&self.origin);
            let mut taken = Vec::new();
            let Ok(polled) = timeout(ASKING, self.poll(1, &mut taken)).await else { continue };
            self.failed = polled.err();
            if taken.is_empty() && self.failed.is_none() {
                break;
            }
            self.ahead.extend(taken);
        }
        pending().await
    }

    /// The partitions go to other members when this one leaves.
    fn stop(&mut self) {
        self.stopped = true;
        self.ahead.clear();
    }

    /// Commits what is done, and leaves the group.
    async fn leave(mut self) {
        let _ = timeout(LEAVING, mem::take(&mut self.queries).ended()).await;
        let origin = Arc::clone(&self.origin);
        drop(self);
        // If a delivery is still alive, the client ends with that.
        let Some(Origin { shared, client, share }) = Arc::into_inner(origin) else { return };
        let Some(client) = Arc::into_inner(client) else { return };
        let left = client.end(move |client| {
            if let Err(error) = client.commit_consumer_state(CommitMode::Sync)
                && let Some(code) = error.rdkafka_error_code()
            {
                shared.state.commit_failed(&share.group, code);
            }
        });
        let _ = timeout(LEAVING, left).await;
    }
}

/// Nobody waits any more for what is in flight, and what was to be given back goes: a client without an answer never
/// ends.
impl Drop for Member {
    fn drop(&mut self) {
        self.origin.share.leave();
        if let Some(returning) = self.origin.share.returning() {
            self.unassign(&returning);
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("group", &self.origin.share.group).finish_non_exhaustive()
    }
}
