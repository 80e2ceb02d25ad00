//! Command and query buses, which route messages to handlers, and process managers, which react to events with
//! commands.

mod command_bus;
mod command_span;
mod error;
mod handled;
mod json;
mod process_manager;
mod query_bus;
mod query_error;
mod routes;

use std::future::Future;
use std::pin::Pin;

use uuid::Uuid;

pub use command_bus::{CommandBus, CommandBusBuilder};
pub use error::{DispatchError, DispatchJsonError, PayloadFault};
pub(crate) use handled::Handled;
pub use handled::caused_by;
pub(crate) use process_manager::is_own;
pub use process_manager::{
    ChainTooLong, IntoReaction, ManagerDeadLetters, Met, ProcessManager, ProcessManagerRunner, Reaction, Rejected,
    Rejection,
};
#[cfg(feature = "testing")]
pub(crate) use process_manager::{ProcessEvent, When};
pub use query_bus::{QueryBus, QueryBusBuilder};
pub use query_error::{ExecuteJsonError, QueryError};

use crate::domain::{Metadata, Recorded};
use crate::store::{Appended, ExpectedVersion, Position, Version};

/// The maximum length of an incoming JSON message, in bytes: 1 MiB. JSON nested deeper than 127 levels is refused too.
pub const MAX_JSON: usize = 1024 * 1024;

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// For futures that are spawned: what runs a task is then compiled once, rather than for each one's type.
pub(crate) fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(future)
}

/// The ids and metadata that a command comes with.
///
/// In a bus handler or an async projection method, a command is linked to the current message or event automatically:
/// its events carry the message's correlation id, or else the message's id, and the message's id as causation id. Those
/// of a projection's method also carry how many reactions of process managers led to its event, so that
/// [`max_depth`](ProcessManagerRunner::max_depth) bounds what goes on through it. Whatever the context sets takes
/// precedence. This works in the handler's own future only; in a spawned task or a batch handler, use [`caused_by`].
///
/// ```
/// # use eventsource_runtime::dispatch::Context;
/// # use uuid::Uuid;
/// let request_id = Uuid::now_v7();
/// let context = Context { command_id: Some(request_id), ..Context::default() };
/// ```
///
/// Write `..Context::default()` at the end, as there: minor releases may add fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Makes the command safe to retry: a second dispatch with the same id to the same aggregate returns the first
    /// result without deciding again. Commands that were refused or led to no event are decided again. Use an id for
    /// one command only: another command with it, to the same aggregate, returns the first one's result. From a key
    /// that a client chooses, derive an id together with all that it asks for (`Uuid::new_v5` of the key, the route and
    /// the body). For a command that follows from a message use the one that
    /// [`Message::command_id`](crate::bus::Message::command_id) derives. It is the causation id of its events. If
    /// unset, a new id is made and nothing is looked up.
    pub command_id: Option<Uuid>,
    /// The version at which the aggregate must be, such as the one that a client has seen (`If-Match`): at another, the
    /// command is not decided, and fails with a [`DispatchError::conflict`] that
    /// [is outdated](DispatchError::is_outdated) instead of being retried: it cannot help to dispatch it again with the
    /// same context. A command that was handled already returns its first result whatever this says. Anything unless
    /// set.
    pub expected_version: Option<ExpectedVersion>,
    /// Shared by all that follows from one initial message. Defaults to that of the current message, outside a handler
    /// to the command's id.
    pub correlation_id: Option<Uuid>,
    /// Stored with each event of the command. Names that begin with `process_manager.` are the runtime's own: do not
    /// take them from a caller that you do not trust.
    pub metadata: Metadata,
}

impl Context {
    /// The context of a command that belongs to the correlation of an event. It does not say that the event caused the
    /// command: for the causation id too, dispatch it within [`caused_by`].
    #[must_use]
    pub fn following<E>(event: &Recorded<E>) -> Self {
        Self { correlation_id: Some(event.envelope().correlation()), ..Self::default() }
    }
}

/// The outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The aggregate's version after the command.
    pub version: Version,
    /// The position to wait for before reading what was written; the stream's last position if there was no event.
    pub position: Position,
    /// How many events it led to.
    pub events: u64,
    /// The id under which the events were stored: a command dispatched again with it is not handled twice.
    pub command_id: Uuid,
    /// Whether the command had already been handled, so that this dispatch did nothing.
    pub repeated: bool,
}

impl Committed {
    pub(crate) fn new(appended: Appended, command_id: Uuid) -> Self {
        let Appended { version, position, events, repeated } = appended;
        Self { version, position, events, command_id, repeated }
    }

    /// How many events this dispatch appended, rather than an earlier one of the same command.
    fn appended(&self) -> u64 {
        if self.repeated { 0 } else { self.events }
    }
}
