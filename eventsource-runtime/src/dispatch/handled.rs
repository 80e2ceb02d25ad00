//! What the handler that surrounds the caller is at, so that what it dispatches follows from that.

use std::future::Future;

use uuid::Uuid;

use crate::domain::Recorded;

tokio::task_local! {
    /// In the task of the handler alone: what it spawns may outlive it.
    static HANDLED: Handled;
}

/// What a handler is at: a message, a batch of them, or an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handled {
    /// Shared by all that follows.
    pub(crate) correlation_id: Option<Uuid>,
    /// The event itself.
    pub(crate) id: Option<Uuid>,
    /// By a bus within the process.
    in_process: bool,
}

impl Handled {
    /// A message of a bus. One without a correlation begins its own.
    pub(crate) fn message(id: Option<Uuid>, correlation_id: Option<Uuid>, in_process: bool) -> Self {
        Self { correlation_id: correlation_id.or(id), id, in_process }
    }

    /// Several messages: nothing follows from one of them more than from another.
    pub(crate) fn batch(in_process: bool) -> Self {
        Self { in_process, ..Self::default() }
    }

    pub(crate) fn event<E>(event: &Recorded<E>) -> Self {
        let id = Some(event.event_id());
        Self { correlation_id: event.correlation_id().or(id), id, in_process: Self::is_in_process() }
    }

    /// What the caller's handler is at; nothing outside of one.
    pub(crate) fn current() -> Self {
        HANDLED.try_with(|handled| *handled).unwrap_or_default()
    }

    /// Whether the caller runs in a handler of a bus within the process: what that publishes must not wait for itself.
    pub(crate) fn is_in_process() -> bool {
        Self::current().in_process
    }

    /// Runs a handler that is at this.
    pub(crate) fn scope<F: Future>(self, handler: F) -> impl Future<Output = F::Output> {
        HANDLED.scope(self, handler)
    }
}
