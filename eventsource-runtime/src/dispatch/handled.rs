//! What the surrounding handler is handling, so that what it dispatches is linked to it.

use std::future::Future;

use uuid::Uuid;

use super::process_manager::reactions;
use crate::domain::{Metadata, Recorded};

tokio::task_local! {
    /// Only in the handler's own task: what it spawns may outlive it.
    static HANDLED: Handled;
}

/// What a handler is handling: a message, a batch, or an event.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handled {
    /// Shared by all that follows.
    pub(crate) correlation_id: Option<Uuid>,
    /// The id of the message or event.
    pub(crate) id: Option<Uuid>,
    /// The reactions of process managers that led to the event; a message tells of none.
    reactions: Metadata,
    /// Whether an in-process bus delivered it.
    in_process: bool,
}

impl Handled {
    /// A message of a bus. One without a correlation id begins its own.
    pub(crate) fn message(id: Option<Uuid>, correlation_id: Option<Uuid>, in_process: bool) -> Self {
        Self { correlation_id: correlation_id.or(id), id, in_process, ..Self::default() }
    }

    /// Several messages: what follows is linked to none of them.
    pub(crate) fn batch(in_process: bool) -> Self {
        Self { in_process, ..Self::default() }
    }

    pub(crate) fn event<E>(event: &Recorded<E>) -> Self {
        let event = event.envelope();
        Self {
            correlation_id: Some(event.correlation()),
            id: Some(event.id),
            reactions: reactions(&event.metadata),
            in_process: Self::is_in_process(),
        }
    }

    /// What the caller's handler is handling; empty outside a handler.
    pub(crate) fn current() -> Self {
        HANDLED.try_with(Self::clone).unwrap_or_default()
    }

    /// Whether the caller runs in a handler.
    pub(crate) fn is_any() -> bool {
        HANDLED.try_with(|_| ()).is_ok()
    }

    /// Whether the caller runs in a handler of an in-process bus: what it publishes must not wait for itself.
    pub(crate) fn is_in_process() -> bool {
        HANDLED.try_with(|handled| handled.in_process).unwrap_or_default()
    }

    /// The metadata of what a handler dispatches or appends: what is given, and the reactions that led to the event,
    /// for those that follow. What is given goes first.
    pub(crate) fn metadata(self, given: &Metadata) -> Metadata {
        if self.reactions.is_empty() {
            return given.clone();
        }
        let mut metadata = self.reactions;
        metadata.extend(given);
        metadata
    }

    /// Runs a handler that handles this.
    pub(crate) fn scope<F: Future>(self, handler: F) -> impl Future<Output = F::Output> {
        HANDLED.scope(self, handler)
    }
}

/// Runs a future as part of handling an event: the events of commands that it dispatches have the event's correlation
/// id, or else the event's id, and the event's id as causation id, unless the command's [`Context`](super::Context)
/// says otherwise; process managers count it as a part of what led to the event (see
/// [`max_depth`](super::ProcessManagerRunner::max_depth)). For where the runtime cannot know which event is being
/// handled: a spawned task or a batch handler.
///
/// It is that future, no more: dropping it drops that one. What that one spawns is not part of it.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// use eventsource_runtime::dispatch::caused_by;
///
/// # async fn bill(order: uuid::Uuid) {}
/// # struct OrderPlaced { order: uuid::Uuid }
/// # fn placed(event: &Recorded<OrderPlaced>) {
/// let billed = bill(event.order); // dispatches commands
/// tokio::spawn(caused_by(event, billed));
/// # }
/// ```
pub fn caused_by<E, F: Future>(event: &Recorded<E>, body: F) -> impl Future<Output = F::Output> + use<E, F> {
    let handled = Handled::event(event);
    // Where it runs tells whether that is an in-process bus's handler: a task of its own is none.
    async move { Handled { in_process: Handled::is_in_process(), ..handled }.scope(body).await }
}
