//! What handles messages: a function, or a type of yours.

use std::future::Future;
use std::ops::Deref;

use uuid::Uuid;

use super::error::HandlerError;
use super::message::Message;
use super::wire::header;
use crate::poll;
use crate::telemetry::{Linked, TraceContext};

/// A message as a handler gets it: the [`Message`] through `Deref`, and how it came.
#[derive(Clone, Debug)]
pub struct Received {
    message: Message,
    attempt: u32,
    redelivered: bool,
    replayed: bool,
}

impl Received {
    pub(super) fn new(message: Message, redelivered: bool, replayed: bool) -> Self {
        // One that was put back from the dead letters has been handled before, whatever the broker knows of that.
        let was_dead = message.headers().get(header::DEAD_LETTER_ATTEMPTS).is_some();
        Self { message, attempt: 0, redelivered: redelivered || was_dead, replayed }
    }

    pub(super) fn attempted(&mut self, attempt: u32) {
        self.attempt = attempt;
    }

    /// How often this delivery was handled in vain before.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether the message may have been handled before, in this delivery or in an earlier one.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.redelivered || self.attempt > 0
    }

    /// Whether it is a dead letter that is tried again.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// The message alone.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.message
    }
}

impl Deref for Received {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Linked for Received {
    fn contexts(&self, add: &mut dyn FnMut(&TraceContext, Option<Uuid>)) {
        self.message.contexts(add);
    }
}

/// Handles messages one by one. Implemented by async functions of one argument, and open for implementation.
///
/// The same message may come more than once: a handler whose effect must not be doubled keeps the ids that it has seen,
/// in the same transaction as the effect. Commands that it dispatches in its own future bear the message's correlation
/// id, and as causation id the message's id: see [`Context`](crate::dispatch::Context).
pub trait MessageHandler: Send + Sync + 'static {
    /// Handles a message. The next one of its stream is handled when this one is done with.
    fn handle(&self, message: Received) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, R> MessageHandler for F
where
    F: Fn(Received) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle(&self, message: Received) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(message)
    }
}

/// Handles messages in batches, in one span. Implemented by async functions of one argument, and open for
/// implementation.
///
/// A batch that fails is handled again message by message, each a batch of its own.
pub trait BatchHandler: Send + Sync + 'static {
    /// Handles messages, of which those of one stream are in order.
    fn handle_batch(&self, messages: Vec<Received>) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, R> BatchHandler for F
where
    F: Fn(Vec<Received>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), HandlerError>> + Send,
{
    fn handle_batch(&self, messages: Vec<Received>) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(messages)
    }
}

/// Either kind of handler, as a lane calls it.
pub(super) trait Handler: Send + Sync + 'static {
    fn one(&self, message: Received) -> impl Future<Output = Result<(), HandlerError>> + Send;
    fn many(&self, messages: Vec<Received>) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A handler of single messages, which gets those of a batch one after the other.
pub(super) struct OneByOne<H>(pub(super) H);

// The user's functions are called within the futures: in the span, and where a panic is caught.
impl<H: MessageHandler> Handler for OneByOne<H> {
    async fn one(&self, message: Received) -> Result<(), HandlerError> {
        self.0.handle(message).await
    }

    async fn many(&self, messages: Vec<Received>) -> Result<(), HandlerError> {
        for message in messages {
            self.0.handle(message).await?;
        }
        Ok(())
    }
}

/// A handler of batches, for which a single message is one.
pub(super) struct InBatches<H>(pub(super) H);

impl<H: BatchHandler> Handler for InBatches<H> {
    async fn one(&self, message: Received) -> Result<(), HandlerError> {
        self.0.handle_batch(vec![message]).await
    }

    async fn many(&self, messages: Vec<Received>) -> Result<(), HandlerError> {
        self.0.handle_batch(messages).await
    }
}

/// Turns a panic of a handler into its failure.
pub(super) async fn caught(body: impl Future<Output = Result<(), HandlerError>>) -> Result<(), HandlerError> {
    poll::caught(body).await.unwrap_or_else(|_| Err(HandlerError::panicked()))
}
