//! Message handlers: a function, or a type of yours.

use std::future::Future;
use std::ops::Deref;

use uuid::Uuid;

use super::handler_error::HandlerError;
use super::header;
use super::message::Message;
use crate::poll;
use crate::telemetry::{Linked, TraceContext};

/// A message as a handler gets it: the [`Message`] through `Deref`, and how it was delivered.
#[derive(Clone, Debug)]
pub struct Received {
    message: Message,
    attempt: u32,
    redelivered: bool,
    replayed: bool,
}

impl Received {
    pub(super) fn new(message: Message, redelivered: bool, replayed: bool) -> Self {
        // One that was put back from the dead letters has been handled before, whatever the broker knows.
        let was_dead = message.headers().get(header::DEAD_LETTER_ATTEMPTS).is_some();
        Self { message, attempt: 0, redelivered: redelivered || was_dead, replayed }
    }

    pub(super) fn attempted(&mut self, attempt: u32) {
        self.attempt = attempt;
    }

    /// How many earlier attempts to handle this delivery failed.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether this delivery was attempted before, or the broker marks it as an earlier one's repetition, or it came
    /// back from the dead letters with their headers. What a publisher has published twice, as a relay does after a
    /// crash, comes without a mark: only its [id](crate::bus::Message::id) tells.
    #[must_use]
    pub fn is_redelivered(&self) -> bool {
        self.redelivered || self.attempt > 0
    }

    /// Whether it is a dead letter that is being retried.
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

/// Handles messages one by one. Implemented for async functions of one argument; you can implement it for your types.
///
/// The same message may be delivered more than once: a handler whose effect must not be repeated stores the ids that it
/// has seen, in the same transaction as the effect. Commands that it dispatches in its own future carry the message's
/// correlation id, and the message's id as causation id: see [`Context`](crate::dispatch::Context).
///
/// # An inbox
///
/// Such a handler whose effect is in SQLite. A handler whose effect is a command needs none: it gives the command the id
/// that [`Message::command_id`] derives, by [`Context::command_id`](crate::dispatch::Context::command_id). The message's
/// own id would be that of one command only: the second consumer's would count as done. One whose effect is an e-mail
/// cannot have an inbox, since an e-mail cannot be rolled back: it sends the message's id along, so that the recipient
/// can tell.
///
#[cfg_attr(feature = "sqlite", doc = "```")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// # use std::sync::{Arc, Mutex};
/// # use eventsource_runtime::bus::{HandlerError, InProcessBus, Message, MessageHandler, Received};
/// # use eventsource_runtime::store::StreamId;
/// use eventsource_runtime::store::rusqlite::Connection;
///
/// struct Stock(Arc<Mutex<Connection>>);
///
/// impl MessageHandler for Stock {
///     async fn handle(&self, message: Received) -> Result<(), HandlerError> {
///         let id = message.id().ok_or_else(|| HandlerError::new("a message without an id").permanent())?;
///         let tables = Arc::clone(&self.0);
///         // The transaction blocks its thread, which must not be one that runs tasks.
///         tokio::task::spawn_blocking(move || {
///             let mut connection = tables.lock().expect("nobody panics with it");
///             let transaction = connection.transaction()?;
///             // Other consumers that share the table use names of their own.
///             let inbox = "INSERT INTO inbox VALUES ('stock', ?1) ON CONFLICT DO NOTHING";
///             if transaction.execute(inbox, [id.to_string()])? == 1 {
///                 transaction.execute("UPDATE stock SET pieces = pieces - 1", [])?;
///             }
///             // If this is not reached, neither is kept, and a redelivered message finds everything as it was.
///             Ok(transaction.commit()?)
///         })
///         .await?
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let tables = Connection::open_in_memory()?;
/// tables.execute_batch(
///     "CREATE TABLE inbox (consumer TEXT, event TEXT, PRIMARY KEY (consumer, event));
///      CREATE TABLE stock (pieces INTEGER);
///      INSERT INTO stock VALUES (10)",
/// )?;
/// let (bus, tables) = (InProcessBus::new(), Arc::new(Mutex::new(tables)));
/// let running = bus.subscribe("stock").handle(Stock(Arc::clone(&tables))).await?;
/// let placed = Message::new(StreamId::new("Order", 42), "OrderPlaced", "{}");
/// bus.publish_all([placed.clone(), placed]).await?;
/// bus.shutdown().await?;
/// let pieces: u32 = tables.lock().unwrap().query_row("SELECT pieces FROM stock", [], |row| row.get(0))?;
/// assert_eq!(pieces, 9);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// Ids may be deleted once no message as old can come again, from a broker or relay that was set back or from the dead
/// letters.
///
/// # An inbox of versions
///
/// With ids, a dead letter that is [handled again](super::Traced::retry_dead_letters) takes effect behind later events
/// of its stream: right for what adds up, such as pieces in stock, and wrong for a copy of a state, which it would set
/// back. Such a handler keeps the version of the last event of each stream instead, and passes over what is not newer:
/// a repeated message as well as an outdated one. The row also keeps others from the stream until the transaction ends.
/// In PostgreSQL, with a table `seen (consumer TEXT, stream TEXT, version BIGINT, PRIMARY KEY (consumer, stream))`:
///
#[cfg_attr(feature = "postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "postgres"), doc = "```ignore")]
/// # use eventsource_runtime::bus::{HandlerError, MessageHandler, Received};
/// # use eventsource_runtime::prelude::*;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct PriceChanged { cents: i64 }
/// use eventsource_runtime::store::tokio_postgres::Client;
///
/// struct Prices(tokio::sync::Mutex<Client>);
///
/// impl MessageHandler for Prices {
///     async fn handle(&self, message: Received) -> Result<(), HandlerError> {
///         let changed = message.decode::<PriceChanged>()?;
///         let (article, version) = (changed.aggregate_id(), changed.version());
///         let mut client = self.0.lock().await;
///         let transaction = client.transaction().await?;
///         let seen = "INSERT INTO seen AS last VALUES ('prices', $1, $2)
///             ON CONFLICT (consumer, stream) DO UPDATE SET version = excluded.version
///             WHERE last.version < excluded.version";
///         if transaction.execute(seen, &[&article, &version]).await? == 1 {
///             let upsert = "INSERT INTO prices VALUES ($1, $2)
///                 ON CONFLICT (article) DO UPDATE SET cents = excluded.cents";
///             transaction.execute(upsert, &[&article, &changed.cents]).await?;
///         }
///         // If this is not reached, the server keeps neither.
///         Ok(transaction.commit().await?)
///     }
/// }
/// ```
///
/// A client does not connect again once its connection is lost: a service takes one from a pool each time.
#[doc(alias = "inbox")]
pub trait MessageHandler: Send + Sync + 'static {
    /// Handles a message. The next one of its stream follows when this one is done.
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

/// Handles messages in batches, each in one span. Implemented for async functions of one argument; you can implement it
/// for your types.
///
/// A batch that fails is handled again message by message, each a batch of its own.
pub trait BatchHandler: Send + Sync + 'static {
    /// Handles messages; those of one stream are in order.
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

// The user's functions are called within the futures: in the span, and where panics are caught.
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

/// A handler of batches; a single message is a batch of one.
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
pub(super) async fn catch_panic(body: impl Future<Output = Result<(), HandlerError>>) -> Result<(), HandlerError> {
    poll::catch_panic(body).await.unwrap_or_else(|_| Err(HandlerError::panicked()))
}
