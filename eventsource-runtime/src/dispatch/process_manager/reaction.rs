//! What a process does: events of its own, commands, and scheduled events.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::scheduled::{ScheduledEvent, When};
use crate::clock::Timestamp;
use crate::domain::{Aggregate, AnyEvent, Command, Event, EventSet, Handle, Includes, IntoEvents, json};
use crate::error::BoxError;
use crate::projection::ProjectionError;

/// The reaction of a process to an event or to a refused command.
///
/// All of it is written in one append before the first command is dispatched.
///
/// ```
/// # use std::time::Duration;
/// # use eventsource_runtime::prelude::*;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Asked {}
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Overdue {}
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Asked, Overdue))]
/// # struct Payment;
/// # impl Apply<Asked> for Payment { fn apply(&mut self, _: Asked) {} }
/// # impl Apply<Overdue> for Payment { fn apply(&mut self, _: Overdue) {} }
/// let reaction: Reaction<Payment> =
///     Reaction::new().record(Asked {}).record_after(Duration::from_secs(1800), Overdue {});
/// ```
#[must_use = "a method returns it"]
pub struct Reaction<M> {
    pub(crate) events: Vec<Box<dyn ProcessEvent>>,
    pub(crate) scheduled: Vec<ScheduledEvent>,
    pub(super) commands: Vec<Sent>,
    pub(crate) unwritable: Option<Unwritable>,
    of: PhantomData<fn() -> M>,
}

/// A command cannot be stored; nothing of the reaction was.
#[derive(Debug, thiserror::Error)]
#[error("command `{command}` {problem}")]
pub(crate) struct Unwritable {
    command: &'static str,
    problem: &'static str,
    source: BoxError,
}

/// A command as it is stored.
pub(super) struct Sent {
    pub(super) name: &'static str,
    pub(super) payload: Box<RawValue>,
}

/// An event of the process. `M: Aggregate` is required only where one is recorded, not wherever reactions are handled:
/// so the compiler reports once that it is missing.
pub(crate) trait ProcessEvent: Send + Sync {
    fn as_event(&self) -> &dyn AnyEvent;
}

impl<S: EventSet> ProcessEvent for S {
    fn as_event(&self) -> &dyn AnyEvent {
        EventSet::as_event(self)
    }
}

impl<M> Reaction<M> {
    /// Creates an empty reaction.
    pub fn new() -> Self {
        Self { events: Vec::new(), scheduled: Vec::new(), commands: Vec::new(), unwritable: None, of: PhantomData }
    }

    /// Dispatches a command, after those before it. It is stored as JSON until then.
    #[expect(clippy::needless_pass_by_value, reason = "it is the process's no more, as with `CommandBus::dispatch`")]
    pub fn dispatch<C: Command + Serialize>(mut self, command: C) -> Self
    where
        C::Aggregate: Handle<C>,
    {
        match json::raw(&command) {
            Ok(payload) => self.commands.push(Sent { name: C::NAME, payload }),
            Err(json::Unwritable { problem, source }) => {
                self.unwritable.get_or_insert(Unwritable { command: C::NAME, problem, source });
            }
        }
        self
    }

    /// The commands, by name and as they are stored.
    #[cfg(feature = "testing")]
    pub(crate) fn sent(&self) -> impl Iterator<Item = (&'static str, &RawValue)> {
        self.commands.iter().map(|command| (command.name, &*command.payload))
    }

    /// A command that cannot be stored is something: it must be told.
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.scheduled.is_empty() && self.commands.is_empty() && self.unwritable.is_none()
    }
}

impl<M: Aggregate> Reaction<M> {
    /// Records events of the process itself, from which its state is rebuilt.
    pub fn record(mut self, events: impl IntoEvents<M::Event>) -> Self {
        let mut own = Vec::new();
        events.into_events(&mut own);
        self.events.extend(own.into_iter().map(|event| Box::new(event) as Box<dyn ProcessEvent>));
        self
    }

    /// Records an event of the process after a delay: a timeout, to which the manager reacts if it has a method for it.
    /// It is recorded once, however often the program restarts meanwhile, and at once if it is overdue at a start. The
    /// method checks the state to see whether the event still matters.
    ///
    /// The delay begins when the manager reacts. If that may be late, as after an outage, and the timeout is not to be,
    /// use [`record_at`](Self::record_at). It begins by the clock of the process that reacts, and ends by that of
    /// whichever process runs the manager and is first to get there: if these are two, what their clocks differ by adds
    /// to the wait, or takes from it.
    #[doc(alias("deadline", "timeout"))]
    pub fn record_after<E: Event>(self, delay: Duration, event: E) -> Self
    where
        M::Event: Includes<E>,
    {
        self.record_later(When::After(delay), event)
    }

    /// The same at a moment, such as `event.recorded_at() + delay`, or one that the event names. If it has passed, the
    /// event is recorded at once.
    ///
    /// Each process that runs the manager goes by its own clock, and the first by whose clock the moment has come
    /// records the event; `recorded_at` is by the clock of the process that appended. What these differ by adds to the
    /// wait, or takes from it: if the manager's is ahead by more than the delay, there is none. If that would be worse
    /// than a wait that begins late, use [`record_after`](Self::record_after).
    pub fn record_at<E: Event>(self, moment: Timestamp, event: E) -> Self
    where
        M::Event: Includes<E>,
    {
        self.record_later(When::At(moment), event)
    }

    fn record_later<E: Event>(mut self, when: When, event: E) -> Self
    where
        M::Event: Includes<E>,
    {
        self.scheduled.push(ScheduledEvent { when, event: Box::new(M::Event::include(event)) });
        self
    }
}

impl<M> Default for Reaction<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts only; the contents may be anything.
impl<M> fmt::Debug for Reaction<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reaction")
            .field("events", &self.events.len())
            .field("later", &self.scheduled.len())
            .field("commands", &self.commands.iter().map(|command| command.name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// What a process manager's method may return: a [`Reaction`], one command, `()`, an `Option` of these, or a `Result`
/// of these whose error implements `Error`, or is a [`ProjectionError`]. Open for implementation, for types of your own.
#[diagnostic::on_unimplemented(
    message = "a process manager's method cannot return `{Self}`",
    note = "return `Reaction<Self>`, one command that is `Serialize`, `()`, or an `Option` or a `Result` of these"
)]
pub trait IntoReaction<M> {
    /// The reaction.
    ///
    /// # Errors
    /// The method failed. The event is retried, and then left to the manager's [`OnFailure`](crate::projection::OnFailure).
    fn into_reaction(self) -> Result<Reaction<M>, ProjectionError>;
}

impl<M> IntoReaction<M> for Reaction<M> {
    fn into_reaction(self) -> Result<Self, ProjectionError> {
        Ok(self)
    }
}

impl<M> IntoReaction<M> for () {
    fn into_reaction(self) -> Result<Reaction<M>, ProjectionError> {
        Ok(Reaction::new())
    }
}

impl<M, C: Command + Serialize> IntoReaction<M> for C
where
    C::Aggregate: Handle<C>,
{
    fn into_reaction(self) -> Result<Reaction<M>, ProjectionError> {
        Ok(Reaction::new().dispatch(self))
    }
}

impl<M: Aggregate, T: IntoReaction<M>> IntoReaction<M> for Option<T> {
    fn into_reaction(self) -> Result<Reaction<M>, ProjectionError> {
        self.map_or_else(|| Ok(Reaction::new()), T::into_reaction)
    }
}

impl<M: Aggregate, T: IntoReaction<M>, E: Into<ProjectionError>> IntoReaction<M> for Result<T, E> {
    fn into_reaction(self) -> Result<Reaction<M>, ProjectionError> {
        self.map_err(Into::into)?.into_reaction()
    }
}

type React<M> = Box<dyn Fn(&M) -> Result<Reaction<M>, ProjectionError> + Send + Sync>;

/// An event that a manager has a method for: the process that it belongs to, and the method. Made by macros.
pub struct Met<M> {
    pub(crate) process: String,
    pub(crate) react: React<M>,
}

impl<M> Met<M> {
    /// The process of that id, and its reaction in a given state.
    pub fn new(
        process: String,
        react: impl Fn(&M) -> Result<Reaction<M>, ProjectionError> + Send + Sync + 'static,
    ) -> Self {
        Self { process, react: Box::new(react) }
    }
}

impl<M> fmt::Debug for Met<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Met").field("process", &self.process).finish_non_exhaustive()
    }
}
