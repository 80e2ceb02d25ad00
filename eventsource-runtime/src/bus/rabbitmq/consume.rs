//! Consumes a group's queues, through connections that come and go.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::{SelectAll, Stream, StreamExt, iter};
use lapin::message::Delivery as Delivered;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions, BasicRejectOptions};
use lapin::protocol::constants::REPLY_SUCCESS;
use lapin::types::FieldTable;
use lapin::{Acker, BasicProperties, Channel};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::backlog::{Backlog, Queue, UnderWay};
use super::link::{late, step};
use super::properties;
use super::{Shared, connecting, declaring, topology};
use crate::bus::brokers::{Pauses, not_kept};
use crate::bus::error::{BusError, PublishError};
use crate::bus::message::Message;
use crate::bus::{Consumer, Delivery, Destination, Intake, Settle};
use crate::telemetry::log;

/// How long a group may take to be declared and consumed from.
const OPENING: Duration = Duration::from_secs(20);
/// How long a broker may refuse what a group declares before the subscription ends: somebody may be about to mend it.
const REFUSED: Duration = Duration::from_mins(5);

/// A member of a group on RabbitMQ.
pub struct Member {
    shared: Arc<Shared>,
    intake: Intake,
    from: Source,
    stopped: bool,
}

/// Where deliveries come from, over the channel on which they are acknowledged.
enum Source {
    Nowhere,
    Queues {
        /// Before the deliveries, so that it is dropped first.
        _closing: Closing,
        deliveries: Deliveries,
        losses: watch::Receiver<u64>,
        _watching: JoinSet<()>,
    },
    /// `left` of those that were there when the first one was requested; unknown until then.
    DeadLetters {
        channel: Channel,
        losses: watch::Receiver<u64>,
        left: Option<u32>,
    },
}

/// A channel that is closed with this value, while its consumers still exist. The client cancels a consumer that is
/// dropped before: then the broker has the next member begin with what follows the messages that are still here. And it
/// keeps the channel open for a requested one that is not there yet: the broker would hand messages to nobody.
struct Closing(Channel);

impl Drop for Closing {
    fn drop(&mut self) {
        // The first poll sends the request, and the answer changes nothing.
        let _ = self.0.close(REPLY_SUCCESS, "OK".into()).now_or_never();
    }
}

/// The deliveries of all queues, each with its queue; `None` when a queue ends, for whatever reason, or the broker does
/// not know any more that this member consumes it.
type Deliveries = SelectAll<Pin<Box<dyn Stream<Item = Option<(Arc<Queue>, Delivered)>> + Send>>>;

impl Member {
    pub(super) async fn join(shared: Arc<Shared>, intake: Intake) -> Result<Self, BusError> {
        shared.topology.check(&intake.group)?;
        let away = |error| connecting(error, shared.info.server.as_ref());
        let channel = shared.links.channel().await.map_err(away)?;
        let mut member = Self { shared, intake, from: Source::Nowhere, stopped: false };
        member.from = open(&member.shared, &member.intake, channel).await.map_err(declaring)?;
        Ok(member)
    }

    /// Reconnects and declares again, for as long as it takes; not if the broker goes on to refuse what is declared.
    ///
    /// # Errors
    /// The refusal.
    async fn reopen(&mut self) -> Result<(), BusError> {
        self.from = Source::Nowhere;
        let (mut pauses, mut refused) = (Pauses::default(), None);
        for tries in 1_u32.. {
            let error = match self.shared.links.channel().await {
                Ok(channel) => match open(&self.shared, &self.intake, channel).await {
                    Ok(opened) => {
                        self.from = opened;
                        break;
                    }
                    Err(error) => Some(error),
                },
                Err(_) => None,
            };
            let refusal = error.as_ref().and_then(topology::refusal);
            if tries.is_power_of_two() {
                let exchange = &self.shared.topology.exchange;
                log::rabbitmq::waits(exchange, Some(&self.intake.group), refusal.unwrap_or("backend"));
            }
            match (error.filter(|_| refusal.is_some()), refused) {
                (None, _) => refused = None,
                (Some(_), None) => refused = Some(Instant::now()),
                (Some(error), Some(since)) if since.elapsed() >= REFUSED => return Err(declaring(error)),
                (Some(_), Some(_)) => {}
            }
            pauses.next().await;
        }
        Ok(())
    }

    /// A delivery from a queue; if that is watched, it counts as in flight.
    fn delivery(
        &self,
        queue: &str,
        delivered: Delivered,
        losses: watch::Receiver<u64>,
        under_way: Option<UnderWay>,
    ) -> Delivery<Unsettled> {
        let redelivered = delivered.redelivered || properties::has_come_before(&delivered.properties);
        let sent_at = properties::sent_at(&delivered.properties);
        let message = properties::read(&delivered.properties, delivered.data);
        // Dead letters come through another exchange than messages.
        let mut source = Destination::new(format!("{}:{}:{queue}", delivered.exchange, delivered.routing_key));
        source.routing_key = Some(delivered.routing_key.as_str().into());
        let unsettled = Unsettled {
            acker: delivered.acker,
            came: Box::new(delivered.properties),
            losses,
            from_dead_letters: self.intake.dead_letters,
            _under_way: under_way,
            shared: Arc::clone(&self.shared),
            group: Arc::clone(&self.intake.group),
        };
        Delivery { redelivered, sent_at, ..Delivery::new(message, source, unsettled) }
    }

    /// The next of the dead letters that were there at the beginning.
    async fn next_dead(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        let Source::DeadLetters { channel, losses, left } = &mut self.from else { return Ok(None) };
        if *left == Some(0) {
            return Ok(None);
        }
        let queue = self.shared.topology.dead_queue(&self.intake.group);
        let got = step(channel.basic_get(queue.as_str().into(), BasicGetOptions::default())).await;
        let got = got.map_err(|error| BusError::backend("read dead letters", error))?;
        // A busy broker may report a declared queue as empty.
        *left = Some(got.as_ref().map_or(0, |got| left.map_or(got.message_count, |left| left - 1)));
        let losses = losses.clone();
        Ok(got.map(|got| self.delivery(&queue, got.delivery, losses, None)))
    }
}

/// Declares a group, and begins to consume its messages or its dead letters. If that does not end in time, the
/// connection is given up.
async fn open(shared: &Arc<Shared>, intake: &Intake, channel: Channel) -> lapin::Result<Source> {
    let begun = Instant::now();
    if let Ok(opened) = timeout(OPENING, open_slowly(shared, intake, channel)).await {
        return opened;
    }
    shared.links.abandon(begun).await;
    Err(late())
}

async fn open_slowly(shared: &Arc<Shared>, intake: &Intake, channel: Channel) -> lapin::Result<Source> {
    let losses = shared.links.losses();
    let topology = &shared.topology;
    if intake.dead_letters {
        // The group's queues belong to its members: whoever retries its letters may not know how many there are.
        topology.declare_dead_letters(&shared.links, &intake.group).await?;
        return Ok(Source::DeadLetters { channel, losses, left: None });
    }
    topology.declare_group(&shared.links, &channel, &intake.group).await?;
    let backlog = Arc::new(Backlog::new(Arc::clone(&intake.group), topology.queues(&intake.group)));
    // Per queue. More than there is room for would wait here, where nobody else can take it or knows of it.
    let share = (usize::from(intake.prefetch) / backlog.queues.len()).max(1);
    channel.basic_qos(u16::try_from(share).unwrap_or(u16::MAX), BasicQosOptions::default()).await?;
    let mut deliveries = SelectAll::new();
    // Declared after the deliveries, so that it is dropped first if this future is dropped in between.
    let closing = Closing(channel.clone());
    for queue in &backlog.queues {
        let (name, options) = (queue.name.as_str().into(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
        let queue = Arc::clone(queue);
        let of_queue = consumer.map(move |delivered| Some((Arc::clone(&queue), delivered.ok()?)));
        let stream: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(of_queue.chain(iter([None])));
        deliveries.push(stream);
    }
    shared.members.joined(&backlog);
    let (shared, status, lost) = (Arc::clone(shared), channel.status().clone(), losses.clone());
    let (deaf, is_deaf) = oneshot::channel();
    deliveries.push(Box::pin(is_deaf.into_stream().map(|_: Result<(), _>| None)));
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let is_ours = || status.connected() && !lost.has_changed().unwrap_or(true);
        backlog.watch(&shared.links, &shared.topology.exchange, is_ours).await;
        let _ = deaf.send(());
    });
    Ok(Source::Queues { _closing: closing, deliveries, losses, _watching: watching })
}

/// The next delivery; `None` if a queue has ended, or the connection is lost. The client itself may not report the
/// latter.
async fn next(deliveries: &mut Deliveries, losses: &mut watch::Receiver<u64>) -> Option<(Arc<Queue>, Delivered)> {
    let mut lost = pin!(losses.changed());
    poll_fn(|task| {
        if let Poll::Ready(next) = deliveries.poll_next_unpin(task) {
            return Poll::Ready(next.flatten());
        }
        lost.as_mut().poll(task).map(|_| None)
    })
    .await
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        loop {
            if self.stopped {
                return Ok(None);
            }
            let next = match &mut self.from {
                Source::DeadLetters { .. } => return self.next_dead().await,
                Source::Nowhere => None,
                Source::Queues { deliveries, losses, .. } => {
                    next(deliveries, losses).await.map(|(queue, delivered)| (queue, delivered, losses.clone()))
                }
            };
            match next {
                Some((queue, delivered, losses)) => {
                    let under_way = Some(queue.delivered());
                    return Ok(Some(self.delivery(&queue.name, delivered, losses, under_way)));
                }
                None => self.reopen().await?,
            }
        }
    }

    /// When the channel is closed, the broker gives what was not settled to the next member.
    fn stop(&mut self) {
        self.stopped = true;
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("intake", &self.intake).finish_non_exhaustive()
    }
}

/// A delivery that the broker waits to have settled.
pub struct Unsettled {
    acker: Acker,
    /// For a dead letter, which has all of it.
    came: Box<BasicProperties>,
    /// The connections lost since the delivery.
    losses: watch::Receiver<u64>,
    /// Whether it is a dead letter already.
    from_dead_letters: bool,
    _under_way: Option<UnderWay>,
    shared: Arc<Shared>,
    group: Arc<str>,
}

impl Settle for Unsettled {
    /// When its channel is gone, the broker gives a delivery to another member. The client itself may report a lost
    /// connection late.
    fn is_lost(&self) -> bool {
        self.acker.poisoned() || self.losses.has_changed().unwrap_or(true)
    }

    async fn ack(self) -> Result<(), BusError> {
        told(self.acker.ack(BasicAckOptions::default())).await
    }

    /// The broker moves it unchanged to the dead letters. A dead letter is not answered, and is there again when the
    /// channel is closed: its queue has no other one behind it.
    async fn reject(self) -> Result<(), BusError> {
        if self.from_dead_letters {
            return Ok(());
        }
        told(self.acker.reject(BasicRejectOptions { requeue: false })).await
    }

    /// A missing queue is declared again: the member does not notice that this one is gone.
    async fn park(&self, message: &Message) -> Result<(), BusError> {
        use PublishError::{Denied, TimedOut, Unroutable};
        let topology = &self.shared.topology;
        let (exchange, key) = (topology.dead_exchange(), topology.group(&self.group));
        let parked = self.shared.publisher.publish(&exchange, &key, message, Some(&self.came)).await;
        if matches!(parked, Err(Denied { .. } | TimedOut { .. } | Unroutable { .. })) {
            // Whatever the result, the lane retries.
            let _ = timeout(OPENING, topology.declare_dead_letters(&self.shared.links, &self.group)).await;
        }
        parked.map_err(not_kept)
    }
}

/// Whether the broker was told. Over a broken connection that may never end, and would hold up its lane.
async fn told(telling: impl Future<Output = lapin::Result<bool>>) -> Result<(), BusError> {
    match step(telling).await {
        Ok(true) => Ok(()),
        // Its channel is gone.
        Ok(false) | Err(_) => Err(BusError::Lost),
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").field("group", &self.group).finish_non_exhaustive()
    }
}
