//! Publishing with confirmations of all replicas, and without a gap in any stream.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::KafkaOptions;
use super::apart;
use super::context::State;
use super::options::refused;
use super::pipeline::{self, Fault, Pipeline, Target};
use crate::bus::Published;
use crate::bus::behind::Behind;
use crate::bus::brokers::Pauses;
use crate::bus::error::{BusError, PublishError};
use crate::bus::message::Message;
use crate::sync::Mutex;
use crate::timer::until;

/// What is attempted when a pipeline is made.
const MAKING: &str = "make a Kafka producer";

pub(super) struct Publisher {
    config: ClientConfig,
    state: Arc<State>,
    current: Arc<Mutex<Current>>,
    /// Is there while anybody needs it.
    alone: Mutex<Weak<Alone>>,
    timeout: Duration,
    largest: usize,
}

/// The pipeline that all share, and the one that is to replace it.
struct Current {
    pipeline: Arc<Pipeline>,
    next: Next,
}

/// What a thread makes for all who lost the same pipeline, of whom some may not be polled for a while. It is closed
/// unless the thread runs.
type Next = watch::Receiver<Option<KafkaResult<Arc<Pipeline>>>>;

/// The pipeline of those who publish one message at a time, in turn: one for all of them, with nothing unconfirmed.
type Alone = tokio::sync::Mutex<Option<Pipeline>>;

type Outcome = Option<Result<Published, PublishError>>;

/// The messages of one call, and their outcomes.
struct Batch<'m> {
    to: Target<'m>,
    messages: &'m [Message],
    outcomes: Vec<Outcome>,
    behind: Behind,
}

/// How a round of publishing ended.
enum Round {
    Done,
    Cut,
    Late,
    Refused(KafkaError),
}

/// Why what is left of a batch is not published, or not known to be.
enum End {
    /// After so much time.
    Late(Duration),
    /// What was attempted, and what it failed at.
    Failed(&'static str, KafkaError),
}

impl Publisher {
    pub(super) fn new(client: ClientConfig, options: &KafkaOptions, state: Arc<State>) -> Result<Self, BusError> {
        let config = pipeline::config(client, options);
        let pipeline = Pipeline::new(&config, &state).map_err(|error| refused(MAKING, error))?;
        let current = Current { pipeline: Arc::new(pipeline), next: watch::channel(None).1 };
        let timeout = options.publish_timeout;
        let largest = usize::try_from(options.largest).unwrap_or(usize::MAX);
        Ok(Self { config, state, current: Arc::new(Mutex::new(current)), alone: Mutex::default(), timeout, largest })
    }

    /// A pipeline to replace a spent one, if there is one by then.
    async fn instead_of(&self, spent: &Arc<Pipeline>, until: Instant) -> Result<Arc<Pipeline>, End> {
        spent.cut();
        let mut next = self.next_after(spent);
        let made = timeout_at(until, next.wait_for(Option::is_some)).await.map_err(|_| self.late())?;
        let made = made.ok().and_then(|made| made.clone());
        // There may have been no thread.
        made.unwrap_or(Err(KafkaError::Canceled)).map_err(|error| End::Failed(MAKING, error))
    }

    /// What comes after a spent pipeline: the current one, or the one that a thread makes, which is begun here unless
    /// it has been.
    fn next_after(&self, spent: &Arc<Pipeline>) -> Next {
        let mut current = self.current.lock();
        if !Arc::ptr_eq(&current.pipeline, spent) {
            return watch::channel(Some(Ok(Arc::clone(&current.pipeline)))).1;
        }
        // An error says that it is closed.
        if current.next.has_changed().is_err() {
            let (made, next) = watch::channel(None);
            current.next = next;
            let (config, state, shared) = (self.config.clone(), Arc::clone(&self.state), Arc::clone(&self.current));
            drop(apart::run(move || {
                let fresh = Pipeline::new(&config, &state).map(Arc::new);
                if let Ok(fresh) = &fresh {
                    shared.lock().pipeline = Arc::clone(fresh);
                }
                made.send_replace(Some(fresh));
            }));
        }
        current.next.clone()
    }

    /// Stores a dead letter, which has headers that its message did not have.
    pub(super) async fn park(&self, topic: &str, letter: &Message) -> Result<(), PublishError> {
        let to = Target { topic, largest: usize::MAX, until: until(self.timeout) };
        let parked = self.publish_to(to, std::slice::from_ref(letter)).await;
        parked.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Publishes messages concurrently, in their order.
    pub(super) fn publish_all(
        &self,
        topic: &str,
        messages: &[Message],
    ) -> impl Future<Output = Vec<Result<Published, PublishError>>> {
        self.publish_to(Target { topic, largest: self.largest, until: until(self.timeout) }, messages)
    }

    async fn publish_to(&self, to: Target<'_>, messages: &[Message]) -> Vec<Result<Published, PublishError>> {
        let pipeline = Arc::clone(&self.current.lock().pipeline);
        let mut first = None;
        if let [message] = messages {
            match pipeline.publish(to, message).await {
                Ok(place) => return vec![Ok(Published::at(place))],
                Err(fault) => first = Some(fault),
            }
        }
        // Boxed, so that the futures of single publications are small.
        Box::pin(self.publish_in_rounds(to, messages, pipeline, first)).await
    }

    /// What was cut off by the failure of others is published again, possibly twice: the confirmations are lost with
    /// the pipeline. A single message has failed before.
    async fn publish_in_rounds(
        &self,
        to: Target<'_>,
        messages: &[Message],
        mut pipeline: Arc<Pipeline>,
        mut first: Option<Fault>,
    ) -> Vec<Result<Published, PublishError>> {
        let outcomes = messages.iter().map(|_| None).collect();
        let mut batch = Batch { to, messages, outcomes, behind: Behind::default() };
        let mut pauses = Pauses::default();
        let end = loop {
            let round = match first.take() {
                Some(Fault::TooLarge(size)) => {
                    batch.fail(0, too_large(to, size));
                    Round::Done
                }
                Some(fault) => Round::Done.and(fault),
                None => self.round(&pipeline, &mut batch).await,
            };
            match round {
                Round::Done => break None,
                // Another caller's timeout expired, or the brokers forgot the producer.
                Round::Cut if Instant::now() < to.until => {}
                Round::Cut | Round::Late => {
                    pipeline.cut();
                    let broken = pipeline.broken();
                    break Some(broken.map_or_else(|| self.late(), failed));
                }
                Round::Refused(error) if is_of_one_message(&error) => {
                    let _ = self.instead_of(&pipeline, to.until).await;
                    break self.publish_alone(&mut batch).await.err();
                }
                Round::Refused(error) => {
                    let _ = self.instead_of(&pipeline, to.until).await;
                    break Some(failed(error));
                }
            }
            match self.instead_of(&pipeline, to.until).await {
                Ok(fresh) => pipeline = fresh,
                Err(end) => break Some(end),
            }
            // Nothing is begun, nor cut off for others, that has no time left.
            if timeout_at(to.until, pauses.next()).await.is_err() {
                break Some(self.late());
            }
        };
        batch.finish(end)
    }

    /// Hands over all that is left, and waits for the brokers' confirmations.
    async fn round(&self, pipeline: &Pipeline, batch: &mut Batch<'_>) -> Round {
        let mut sent = Vec::with_capacity(batch.messages.len());
        let mut end = Round::Done;
        for (place, message) in batch.messages.iter().enumerate() {
            if !batch.is_left(place) {
                continue;
            }
            match pipeline.send(batch.to, message).await {
                Ok(confirmation) => sent.push((place, confirmation)),
                Err(Fault::TooLarge(size)) => batch.fail(place, too_large(batch.to, size)),
                Err(fault) => {
                    end = end.and(fault);
                    break;
                }
            }
        }
        for (place, confirmation) in sent {
            match pipeline.confirmed(confirmation, batch.to.until).await {
                Ok(place_of) => batch.outcomes[place] = Some(Ok(Published::at(place_of))),
                Err(fault) => end = end.and(fault),
            }
        }
        end
    }

    /// Publishes what is left one message at a time, each in a request of its own: brokers refuse a whole request for
    /// one message at fault. All whose messages were in it take turns, one message each.
    async fn publish_alone(&self, batch: &mut Batch<'_>) -> Result<(), End> {
        let alone = self.alone();
        for (place, message) in batch.messages.iter().enumerate() {
            if !batch.is_left(place) {
                continue;
            }
            let mut kept = timeout_at(batch.to.until, alone.lock()).await.map_err(|_| self.late())?;
            // Taken out: it goes with what it has not confirmed, also if the caller does.
            let pipeline = match kept.take() {
                Some(pipeline) => pipeline,
                None => self.one_by_one(batch.to.until).await?,
            };
            match pipeline.publish(batch.to, message).await {
                Ok(place_of) => {
                    batch.outcomes[place] = Some(Ok(Published::at(place_of)));
                    *kept = Some(pipeline);
                }
                Err(Fault::TooLarge(size)) => {
                    batch.fail(place, too_large(batch.to, size));
                    *kept = Some(pipeline);
                }
                Err(Fault::Late) => return Err(self.late()),
                Err(Fault::Cut) => return Err(pipeline.broken().map_or_else(|| self.late(), failed)),
                Err(Fault::Refused(error)) if is_of_one_message(&error) => {
                    batch.fail(place, at_fault(batch.to.topic, &error));
                }
                Err(Fault::Refused(error)) => return Err(failed(error)),
            }
        }
        Ok(())
    }

    /// A pipeline that sends each message in a request of its own.
    async fn one_by_one(&self, until: Instant) -> Result<Pipeline, End> {
        let (mut config, state) = (self.config.clone(), Arc::clone(&self.state));
        config.set("batch.num.messages", "1");
        let made = timeout_at(until, apart::run(move || Pipeline::new(&config, &state))).await;
        let made = made.map_err(|_| self.late())?.unwrap_or(Err(KafkaError::Canceled));
        made.map_err(|error| End::Failed(MAKING, error))
    }

    /// What those share who publish one message at a time now.
    fn alone(&self) -> Arc<Alone> {
        let mut alone = self.alone.lock();
        alone.upgrade().unwrap_or_else(|| {
            let shared = Arc::default();
            *alone = Arc::downgrade(&shared);
            shared
        })
    }

    fn late(&self) -> End {
        End::Late(self.timeout)
    }
}

impl Round {
    /// Adds a fault to the round; a refusal by the brokers counts most.
    fn and(self, fault: Fault) -> Self {
        match (self, fault) {
            (Self::Refused(error), _) | (_, Fault::Refused(error)) => Self::Refused(error),
            (Self::Late, _) | (_, Fault::Late) => Self::Late,
            _ => Self::Cut,
        }
    }
}

impl Batch<'_> {
    /// Whether a message is still to be published. One that comes after a failed one of its stream is not.
    fn is_left(&mut self, place: usize) -> bool {
        if self.outcomes[place].is_none()
            && let Err(error) = self.behind.check(&self.messages[place])
        {
            self.outcomes[place] = Some(Err(error));
        }
        self.outcomes[place].is_none()
    }

    fn fail(&mut self, place: usize, error: PublishError) {
        self.behind.note(&self.messages[place]);
        self.outcomes[place] = Some(Err(error));
    }

    /// All outcomes. Of what is left, the first message of each stream is told why the rounds ended, and the others are
    /// behind it.
    fn finish(mut self, end: Option<End>) -> Vec<Result<Published, PublishError>> {
        // If they ended well, nothing is left.
        let end = end.unwrap_or_else(|| failed(KafkaError::Canceled));
        for (place, message) in self.messages.iter().enumerate() {
            if self.outcomes[place].is_none() {
                let behind = self.behind.check(message).err();
                self.fail(place, behind.unwrap_or_else(|| end.told(self.to.topic)));
            }
        }
        self.outcomes.into_iter().flatten().collect()
    }
}

impl End {
    fn told(&self, topic: &str) -> PublishError {
        match self {
            Self::Late(waited) => PublishError::timed_out(topic, *waited),
            Self::Failed(attempt, error) => PublishError::backend(attempt, error.clone()),
        }
    }
}

/// Whether the error is about one message, rather than a topic or the publisher.
fn is_of_one_message(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let too_large = [Code::MessageBatchTooLarge, Code::MessageSizeTooLarge];
    let invalid = [Code::InvalidMessage, Code::InvalidMessageSize, Code::InvalidRecord, Code::InvalidTimestamp];
    error.rdkafka_error_code().is_some_and(|code| too_large.contains(&code) || invalid.contains(&code))
}

fn too_large(to: Target<'_>, size: usize) -> PublishError {
    PublishError::too_large(to.topic, size, to.largest)
}

fn at_fault(topic: &str, error: &KafkaError) -> PublishError {
    let (part, problem) = match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            ("the size", "it is more than the topic takes; see its `max.message.bytes`")
        }
        // The batch is the message alone by now.
        Some(RDKafkaErrorCode::MessageBatchTooLarge) => {
            ("the size", "it is more than a segment of the topic takes; see its `segment.bytes`")
        }
        _ => ("the message", "the brokers call it invalid"),
    };
    PublishError::invalid(topic, part, problem)
}

fn failed(error: KafkaError) -> End {
    End::Failed("publish to a topic of Kafka", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StreamId;

    #[test]
    fn a_message_that_is_too_large_for_its_topic_is_refused_by_the_setting_that_it_exceeds() {
        use RDKafkaErrorCode::{MessageBatchTooLarge, MessageSizeTooLarge};
        for (code, setting) in [(MessageSizeTooLarge, "max.message.bytes"), (MessageBatchTooLarge, "segment.bytes")] {
            let told = at_fault("orders", &KafkaError::MessageProduction(code));
            assert!(told.is_permanent() && told.to_string().contains(setting), "{told}");
        }
    }

    #[test]
    fn of_what_is_left_each_stream_fails_once_and_the_rest_of_it_is_behind() {
        let of = |id: u32| Message::new(StreamId::new("Order", id), "OrderPlaced", "{}");
        let messages = [of(1), of(2), of(1), of(2)];
        // What failed otherwise than by the clock was told to the first stream alone.
        for (end, told) in [(End::Late(Duration::from_secs(1)), "timeout"), (failed(KafkaError::Canceled), "backend")] {
            let mut outcomes: Vec<Outcome> = messages.iter().map(|_| None).collect();
            outcomes[0] = Some(Ok(Published::default()));
            let to = Target { topic: "orders", largest: 9, until: Instant::now() };
            let batch = Batch { to, messages: &messages, outcomes, behind: Behind::default() };
            let finished = batch.finish(Some(end));
            let all = finished.iter().map(|outcome| outcome.as_ref().map_or_else(PublishError::error_type, |_| "ok"));
            assert_eq!(all.collect::<Vec<_>>(), ["ok", told, told, "behind"]);
        }
    }
}
