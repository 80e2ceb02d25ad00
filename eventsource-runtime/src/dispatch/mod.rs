//! Command and query buses: from a message to whoever handles it; and process managers, from an event to commands.

mod at_hand;
mod by_type;
mod command_bus;
mod command_span;
mod error;
mod handled;
mod json;
mod named;
mod process_manager;
mod query_bus;

use std::future::Future;
use std::pin::Pin;

use uuid::Uuid;

pub use command_bus::{CommandBus, CommandBusBuilder};
pub use error::{DispatchError, DispatchJsonError, ExecuteJsonError, PayloadFault, QueryError};
pub(crate) use handled::Handled;
pub(crate) use process_manager::is_own;
pub use process_manager::{
    ChainTooLong, IntoReaction, Met, ProcessManager, ProcessManagerRunner, ProcessManagers, Reaction, Rejected,
    Rejection,
};
pub use query_bus::{QueryBus, QueryBusBuilder};

use crate::domain::{Metadata, Recorded};
use crate::store::{Appended, Position, Version};

/// The longest message that comes in as JSON, in bytes: 1 MiB. JSON nested deeper than 128 levels is refused as well.
pub const MAX_JSON: usize = 1024 * 1024;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a command comes with.
///
/// Within a handler of a bus, or an async method of a projection, a command follows from the message or event at hand
/// without being told: its events bear the message's correlation id, or else the message's id, and as causation id the
/// message's id. Whatever the context sets takes precedence. This works within the handler's own future only; in a task
/// that it spawns, or in a handler of batches, use [`Context::following`].
///
/// ```
/// # use eventsource_runtime::dispatch::Context;
/// # use uuid::Uuid;
/// let request_id = Uuid::now_v7();
/// let context = Context { command_id: Some(request_id), ..Context::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Makes the command safe to retry: dispatched again with the same id to the same aggregate, it is not decided
    /// again but returns the first result. Commands that were refused or led to no event are decided again. One id is
    /// for one command, and the causation id of its events. Without it a new id is made, and nothing is looked up.
    pub command_id: Option<Uuid>,
    /// Shared by all that follows from one first message; if not given that of the message at hand, outside of a
    /// handler the command's id.
    pub correlation_id: Option<Uuid>,
    /// Kept with each event of the command.
    pub metadata: Metadata,
}

impl Context {
    /// The context of a command that an event led to: it belongs to the same correlation. Use it where the runtime
    /// cannot know which event is being handled: in a spawned task, or in a handler of batches.
    #[must_use]
    pub fn following<E>(event: &Recorded<E>) -> Self {
        Self { correlation_id: event.correlation_id().or(Some(event.event_id())), ..Self::default() }
    }
}

/// What a command led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Committed {
    /// The aggregate's version after the command.
    pub version: Version,
    /// Where to wait for, to read what the command wrote; the stream's last position if it led to no event.
    pub position: Position,
    /// How many events it led to.
    pub events: u64,
    /// The id under which the events were stored: a command that is dispatched again with it is not handled twice.
    pub command_id: Uuid,
    /// Whether the command had been handled before, so that nothing was done now.
    pub repeated: bool,
}

impl Committed {
    pub(crate) fn new(appended: Appended, command_id: Uuid) -> Self {
        let Appended { version, position, events, repeated } = appended;
        Self { version, position, events, command_id, repeated }
    }

    /// How many events were appended now, not by an earlier dispatch of the same command.
    fn appended(&self) -> u64 {
        if self.repeated { 0 } else { self.events }
    }
}
