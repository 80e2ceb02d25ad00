//! Consuming as a member of a consumer group.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::time::{sleep, timeout, timeout_at};

use super::Shared;
use super::apart::Apart;
use super::context::Context;
use super::options::refused;
use super::partitions::{Returning, Share, Tenure};
use super::replay::{self, Letters};
use crate::bus::error::BusError;
use crate::bus::message::{Message, fnv1a};
use crate::bus::{Consumer, Delivery, Destination, Intake, Place, Settle};
use crate::clock::Timestamp;
use crate::telemetry::log;

/// After how long without room for more messages the brokers are asked for none.
const NO_ROOM: Duration = Duration::from_secs(1);
/// How long leaving a group may take.
const LEAVING: Duration = Duration::from_secs(10);

pub(super) type Client = Apart<StreamConsumer<Context>>;

/// A member of a group on Kafka.
pub struct Member {
    shared: Arc<Shared>,
    client: Arc<Client>,
    share: Arc<Share>,
    intake: Intake,
    /// Of dead letters: what there is of them.
    letters: Option<Letters>,
    /// What came while there was no room.
    ahead: VecDeque<Delivery<Unsettled>>,
    failed: Option<BusError>,
    paused: bool,
    stopped: bool,
}

impl Member {
    pub(super) async fn join(shared: Arc<Shared>, intake: Intake) -> Result<Self, BusError> {
        let dead_topic = shared.dead_topic(&intake.group)?;
        shared.create(&dead_topic, 1).await?;
        let topic: Arc<str> =
            if intake.dead_letters { dead_topic.into() } else { Arc::clone(&shared.info.destination) };
        let share = Arc::new(Share::new(Arc::clone(&intake.group), topic));
        let client = Arc::new(client(&shared, &intake, &share)?);
        if !intake.dead_letters && shared.options.create.is_none() {
            replay::check(&client, &shared.dead_topic(&intake.group)?).await?;
        }
        let letters = if intake.dead_letters {
            Some(Letters::find(&client, &share).await?)
        } else {
            client.subscribe(&[&*share.topic]).map_err(|error| BusError::backend("join a group", error))?;
            shared.state.joined(&share);
            None
        };
        let ahead = VecDeque::new();
        Ok(Self { shared, client, share, intake, letters, ahead, failed: None, paused: false, stopped: false })
    }

    /// The next message that is ours; `None` at the end of the dead letters.
    async fn poll(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        loop {
            if self.letters.as_ref().is_some_and(Letters::is_empty) {
                return Ok(None);
            }
            self.give_back().await;
            let client = Arc::clone(&self.client);
            let Some(received) = received(&client, &self.share).await else { continue };
            match received {
                Ok(message) => {
                    self.shared.state.answered();
                    let place = Place { partition: message.partition(), offset: message.offset() };
                    let is_wanted = self.letters.as_mut().is_none_or(|letters| letters.takes(place));
                    // What is about to go to another member is left to it.
                    if let Some(tenure) = self.share.tenure(place.partition).filter(|_| is_wanted) {
                        return Ok(Some(self.delivery(&message, tenure, place)));
                    }
                }
                Err(KafkaError::PartitionEOF(partition)) => {
                    if let Some(letters) = &mut self.letters {
                        letters.ended(partition);
                    }
                }
                Err(error @ KafkaError::MessageConsumptionFatal(_)) => {
                    return Err(BusError::backend("take messages from Kafka", error));
                }
                Err(error) => self.failed(error)?,
            }
        }
    }

    /// The client goes on, unless it may not: that stays so until somebody changes it.
    fn failed(&self, error: KafkaError) -> Result<(), BusError> {
        use RDKafkaErrorCode::{ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed};
        match error.rdkafka_error_code() {
            Some(ClusterAuthorizationFailed | GroupAuthorizationFailed | TopicAuthorizationFailed) => {
                Err(BusError::backend("take messages from Kafka", error))
            }
            Some(code) => {
                self.shared.state.failed(code);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives partitions back that were revoked, as soon as nothing of them is under way, or has been for too long.
    async fn give_back(&mut self) {
        let Some(returning) = self.share.returning() else { return };
        self.ahead.retain(|delivery| !delivery.settle.is_lost());
        if timeout_at(returning.until, returning.quiet()).await.is_err() {
            log::kafka::handed_over_busy(&self.share.group);
        }
        self.unassign(&returning);
    }

    /// What was stored is committed before the partitions go.
    fn unassign(&self, returning: &Returning) {
        let partitions = returning.end(&self.share.topic);
        self.share.returned();
        if partitions.count() > 0 && self.client.incremental_unassign(&partitions).is_err() {
            log::kafka::rebalance_failed(&self.share.group);
        }
    }

    fn delivery(&self, received: &BorrowedMessage<'_>, tenure: Arc<Tenure>, place: Place) -> Delivery<Unsettled> {
        let message = read(received);
        tenure.take(place.offset);
        let mut source = Destination::new(Arc::clone(&self.share.topic));
        source.place = Some(place);
        let sent_at = received.timestamp().to_millis();
        Delivery {
            lane: match message.stream() {
                Some(_) => message.order_key(),
                None => received.key().map_or(u64::from(place.partition.unsigned_abs()), fnv1a),
            },
            // Nobody counts deliveries here.
            redelivered: false,
            sent_at: sent_at.map(|millis| Timestamp::from_micros(millis.saturating_mul(1000))),
            source,
            settle: Unsettled {
                client: Arc::clone(&self.client),
                shared: Arc::clone(&self.shared),
                share: Arc::clone(&self.share),
                tenure,
                offset: place.offset,
            },
            message,
        }
    }

    /// Has the brokers send no more, or go on.
    fn pause(&mut self, paused: bool) {
        let result = self
            .client
            .assignment()
            .and_then(|all| if paused { self.client.pause(&all) } else { self.client.resume(&all) });
        self.paused = paused || result.is_err() && self.paused;
    }
}

/// What comes next from the client; `None` if there is something to be given back.
async fn received<'c>(client: &'c Client, share: &Share) -> Option<KafkaResult<BorrowedMessage<'c>>> {
    let mut changed = pin!(share.changed.notified());
    let mut received = pin!(client.recv());
    poll_fn(|task| match received.as_mut().poll(task) {
        Poll::Ready(received) => Poll::Ready(Some(received)),
        Poll::Pending => changed.as_mut().poll(task).map(|()| None),
    })
    .await
}

/// A message as it came. A header without a value is none, and one whose name is not text is passed over.
fn read(received: &BorrowedMessage<'_>) -> Message {
    let payload = received.payload().unwrap_or_default().to_vec();
    let Some(headers) = received.headers() else { return Message::read([], payload.into()) };
    // The client library panics at a name that is not UTF-8, which anybody may send.
    let header = |at| catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).ok().flatten();
    let headers = (0..headers.count()).filter_map(header);
    Message::read(headers.filter_map(|header| Some((header.key, header.value?))), payload.into())
}

fn client(shared: &Shared, intake: &Intake, share: &Arc<Share>) -> Result<Client, BusError> {
    let mut config = shared.client.clone();
    // To brokers a group is one whatever its topic: with the topic in its name it has nothing to do with its namesakes on
    // other buses. The place in the dead letters is kept under a name of its own.
    let suffix = if intake.dead_letters { ".dead" } else { "" };
    config.set("group.id", format!("{}.{}{suffix}", shared.options.topic, intake.group));
    // What is committed is what was stored, which is what is done with.
    config.set("enable.auto.commit", "true");
    config.set("auto.commit.interval.ms", "500");
    config.set("enable.auto.offset.store", "false");
    config.set("auto.offset.reset", "earliest");
    config.set("enable.partition.eof", intake.dead_letters.to_string());
    config.set("partition.assignment.strategy", "cooperative-sticky");
    let session = shared.options.session_timeout.as_millis();
    config.set("session.timeout.ms", session.to_string());
    config.set("heartbeat.interval.ms", (session / 6).max(1).to_string());
    let context = Context { state: Arc::clone(&shared.state), share: Some(Arc::clone(share)) };
    let client = config.create_with_context(context).map_err(|error| refused("make a Kafka consumer", error))?;
    Ok(Apart::new(client))
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        loop {
            if self.stopped {
                return Ok(None);
            }
            if let Some(failed) = self.failed.take() {
                return Err(failed);
            }
            match self.ahead.pop_front() {
                Some(delivery) if delivery.settle.is_lost() => {}
                Some(delivery) => return Ok(Some(delivery)),
                None => break,
            }
        }
        if self.paused {
            self.pause(false);
        }
        self.poll().await
    }

    /// A member that does not ask its client anything for long is thrown out of its group, and holds up the others
    /// when partitions are shared anew.
    async fn attend(&mut self) -> Infallible {
        sleep(NO_ROOM).await;
        while self.failed.is_none() {
            self.pause(true);
            match self.poll().await {
                Ok(Some(delivery)) => self.ahead.push_back(delivery),
                Ok(None) => break,
                Err(error) => self.failed = Some(error),
            }
        }
        pending().await
    }

    /// The partitions go to other members when this one leaves.
    fn stop(&mut self) {
        self.stopped = true;
        self.ahead.clear();
    }

    /// Commits what is done with, and leaves the group.
    async fn leave(self) {
        let client = Arc::clone(&self.client);
        drop(self);
        // Where a delivery is still about, it ends with that.
        let Some(client) = Arc::into_inner(client) else { return };
        // There may be nothing to commit.
        let left = client.end(|client| drop(client.commit_consumer_state(CommitMode::Sync)));
        let _ = timeout(LEAVING, left).await;
    }
}

/// Nobody waits any more for what is under way, and what was to be given back goes: a client that is not answered never
/// ends.
impl Drop for Member {
    fn drop(&mut self) {
        self.share.leave();
        if let Some(returning) = self.share.returning() {
            self.unassign(&returning);
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("intake", &self.intake).finish_non_exhaustive()
    }
}

/// A delivery whose offset is not stored yet.
pub struct Unsettled {
    client: Arc<Client>,
    shared: Arc<Shared>,
    share: Arc<Share>,
    tenure: Arc<Tenure>,
    offset: i64,
}

impl Settle for Unsettled {
    fn is_lost(&self) -> bool {
        self.tenure.is_ending()
    }

    async fn ack(self) -> Result<(), BusError> {
        let store = |offset| {
            let stored = self.client.store_offset(&self.share.topic, self.tenure.partition(), offset);
            // The partition has gone to another member.
            stored.map_err(|_| BusError::Lost)
        };
        self.tenure.done(self.offset, store)
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        let topic = self.shared.dead_topic(&self.share.group)?;
        let parked = self.shared.publisher.park(&topic, message).await;
        parked.map_err(|error| BusError::backend("keep a dead letter", error))
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        self.tenure.dropped();
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("offset", &self.offset).finish_non_exhaustive()
    }
}
