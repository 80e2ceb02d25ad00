//! When an event comes, then a reaction: tests process managers without a store.

use std::fmt;

use uuid::Uuid;

use super::difference::difference;
use super::given::{named, one_shown, read_back, source};
use crate::clock::Timestamp;
use crate::dispatch::{IntoReaction, ProcessEvent, ProcessManager, Reaction, Rejection, When};
use crate::domain::{Aggregate, AnyEvent, Command, Envelope, Event, Recorded, StoredEvent};
use crate::projection::ProjectionError;
use crate::store::{Position, StreamId, Version};

/// An event as a projection or a process manager receives it: the first of that stream and of the feed, recorded in
/// 1970. It has been encoded and decoded as in a store.
///
/// ```
/// use eventsource_runtime::prelude::*;
/// use eventsource_runtime::store::StreamId;
/// use eventsource_runtime::testing::recorded;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced { cents: u64 }
/// # struct Invoices;
/// # #[projection]
/// # impl Invoices { fn placed(&self, event: &Recorded<OrderPlaced>) {} }
///
/// let event = recorded(StreamId::new("Order", 42), OrderPlaced { cents: 1999 });
/// assert_eq!((event.aggregate_id(), event.cents), ("42", 1999));
/// Invoices.placed(&event);
/// ```
///
/// # Panics
/// The event cannot be encoded, or not be decoded again.
#[expect(clippy::needless_pass_by_value, reason = "a test writes the event down, and does not keep it")]
#[must_use]
#[track_caller]
pub fn recorded<E: Event>(stream: StreamId, event: E) -> Recorded<E> {
    let decoded = as_stored(stream, &event, (1, Timestamp::from_micros(0))).decode();
    decoded.unwrap_or_else(|error| panic!("`{}` cannot be read back: {error}: {}", E::NAME, source(&error)))
}

#[track_caller]
fn as_stored(stream: StreamId, event: &dyn AnyEvent, (number, at): (u64, Timestamp)) -> StoredEvent {
    let payload = event.encode().unwrap_or_else(|error| panic!("{error}: {}", source(&error)));
    let place = (stream, Version::new(1), Position::new(number));
    let id = Uuid::from_u128(number.into());
    let envelope = Envelope::new(id, place, (event.name(), event.version()), at);
    StoredEvent::new(envelope, payload.into())
}

/// Begins with a process to which nothing has happened.
///
/// As with [`given`](fn@super::given), nothing is stored and nothing shared, and events and commands are encoded and
/// decoded as they are when stored.
///
/// ```
/// # use std::convert::Infallible;
/// # use std::time::Duration;
/// use eventsource_runtime::prelude::*;
/// use eventsource_runtime::store::StreamId;
/// use eventsource_runtime::testing::process;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct OrderPlaced { cents: u64 }
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Asked {}
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Overdue {}
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct Paid {}
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Paid))]
/// # struct Bill;
/// # impl Apply<Paid> for Bill { fn apply(&mut self, _: Paid) {} }
/// # #[derive(Command, Clone, Serialize, Deserialize)]
/// # #[command(aggregate = Bill)]
/// # struct Remind { #[command(id)] order: String }
/// # #[command_handler]
/// # impl Bill { fn remind(&self, _: Remind) -> Result<(), Infallible> { Ok(()) } }
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Asked, Overdue))]
/// # struct Payment;
/// # impl Apply<Asked> for Payment { fn apply(&mut self, _: Asked) {} }
/// # impl Apply<Overdue> for Payment { fn apply(&mut self, _: Overdue) {} }
/// # #[process_manager]
/// # impl Payment {
/// #     fn placed(&self, _: &Recorded<OrderPlaced>) -> Reaction<Self> {
/// #         Reaction::new().record(Asked {}).record_after(Duration::from_secs(3600), Overdue {})
/// #     }
/// #     fn overdue(&self, event: &Recorded<Overdue>) -> Remind {
/// #         Remind { order: event.aggregate_id().to_owned() }
/// #     }
/// # }
///
/// process::<Payment>()
///     .when(StreamId::new("Order", 42), OrderPlaced { cents: 1999 })
///     .then(Reaction::new().record(Asked {}).record_after(Duration::from_secs(3600), Overdue {}))
///     .when_due()
///     .then(Remind { order: "42".into() });
/// ```
#[must_use = "say which event comes, with `when`"]
pub fn process<M: ProcessManager>() -> Process<M> {
    let now = Timestamp::from_micros(0);
    Process { state: M::default(), id: None, history: Vec::new(), unmet: Vec::new(), now, scheduled: Vec::new() }
}

/// A process to which something has happened; created by [`process`].
pub struct Process<M> {
    state: M,
    /// That of the first event.
    id: Option<String>,
    history: Vec<&'static str>,
    /// Its own events that no method has seen yet, as they are shown.
    unmet: Vec<String>,
    /// It goes on only to what is due.
    now: Timestamp,
    scheduled: Vec<(Timestamp, Box<dyn ProcessEvent>)>,
}

/// How a process reacted; created by [`Process::when`] and its like.
#[must_use = "say what the reaction is, with `then`"]
pub struct Reacted<M> {
    process: Process<M>,
    to: String,
    reaction: Result<Reaction<M>, ProjectionError>,
}

/// What has happened, without the state.
impl<M> fmt::Debug for Process<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("id", &self.id).field("history", &self.history).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for Reacted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reacted").field("to", &self.to).field("reaction", &self.reaction).finish_non_exhaustive()
    }
}

impl<M: ProcessManager> Process<M> {
    /// The state after everything that has happened.
    pub fn state(&self) -> &M {
        &self.state
    }

    /// An event of that stream comes. If it is the process's own, the method sees a state to which it has been applied,
    /// as it does in production; one that an earlier [`then`](Reacted::then) has recorded is not applied again.
    ///
    /// # Panics
    /// The manager has no method for it, or it belongs to another process than the events before.
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the event down, and does not keep it")]
    #[track_caller]
    pub fn when<E: Event>(mut self, stream: StreamId, event: E) -> Reacted<M> {
        let number = self.history.len() as u64 + 1;
        let Some(reaction) = self.meet(&stream, &event, number) else {
            panic!("`{}` has no method for `{}`", M::name(), E::NAME);
        };
        self.reacted(E::NAME, reaction)
    }

    /// The aggregate refuses a command of the process.
    ///
    /// # Panics
    /// The command cannot be written as JSON.
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the command down, and does not keep it")]
    #[track_caller]
    pub fn when_rejected<C>(self, command: C, refusal: <C::Aggregate as Aggregate>::Error) -> Reacted<M>
    where
        C: Command + serde::Serialize,
    {
        let rejection = Rejection::of(&command, refusal);
        let rejection = rejection.unwrap_or_else(|error| panic!("`{}` cannot be written: {error}", C::NAME));
        let reaction = self.state.rejected(&rejection);
        self.reacted(&format!("refused {}", C::NAME), reaction)
    }

    /// The time has come for the event that is scheduled to be recorded first. A manager without a method for it does
    /// nothing more than record it.
    ///
    /// # Panics
    /// None is scheduled.
    #[track_caller]
    pub fn when_due(mut self) -> Reacted<M> {
        let first = (0..self.scheduled.len()).min_by_key(|index| self.scheduled[*index].0);
        let Some(first) = first else { panic!("`{}` has scheduled no event", M::name()) };
        let (moment, due) = self.scheduled.remove(first);
        self.now = self.now.max(moment);
        let event = due.as_event();
        self.record(event);
        // It is the same event that the method sees.
        let number = self.history.len() as u64;
        let own = self.own_stream();
        let reaction = self.meet(&own, event, number).unwrap_or_else(|| Ok(Reaction::new()));
        self.reacted(event.name(), reaction)
    }

    /// What the manager's method for the event returns, if it has one.
    #[track_caller]
    fn meet(
        &mut self,
        stream: &StreamId,
        event: &dyn AnyEvent,
        number: u64,
    ) -> Option<Result<Reaction<M>, ProjectionError>> {
        let met = M::meet(&as_stored(stream.clone(), event, (number, self.now)));
        let met = met.unwrap_or_else(|error| panic!("`{}` cannot be read back: {}", event.name(), error.cause()))?;
        let id = met.process;
        let known = self.id.get_or_insert_with(|| id.clone());
        assert!(*known == id, "`{}` belongs to the process `{id}`, and this is `{known}`", event.name());
        if *stream != self.own_stream() {
            self.history.push(event.name());
        } else if let Some(place) = self.unmet.iter().position(|unmet| *unmet == one_shown(event)) {
            self.unmet.remove(place);
        } else {
            // A runner reads the process to the end of its stream first, where this event stands.
            self.apply(event);
        }
        Some((met.react)(&self.state))
    }

    fn reacted(self, to: &str, reaction: Result<Reaction<M>, ProjectionError>) -> Reacted<M> {
        Reacted { process: self, to: to.to_owned(), reaction: reaction.and_then(written) }
    }

    fn own_stream(&self) -> StreamId {
        StreamId::new(M::NAME, self.id.as_deref().unwrap_or("test"))
    }

    /// Applies an event that may come to a method later.
    #[track_caller]
    fn record(&mut self, event: &dyn AnyEvent) {
        self.apply(event);
        self.unmet.push(one_shown(event));
    }

    #[track_caller]
    fn apply(&mut self, event: &dyn AnyEvent) {
        let stream = self.own_stream();
        read_back(&mut self.state, event, &stream, self.history.len() as u64 + 1);
        self.history.push(event.name());
    }
}

impl<M: ProcessManager> Reacted<M> {
    /// The process reacts exactly so: with a [`Reaction`], one command, or `()` for nothing. Events and commands are
    /// compared in their stored form. The test may continue from there.
    ///
    /// # Panics
    /// It reacts otherwise, or its method fails; the panic shows what.
    #[track_caller]
    pub fn then(self, expected: impl IntoReaction<M>) -> Process<M> {
        let expected = expected.into_reaction().and_then(written);
        let expected = shown(&expected.unwrap_or_else(|error| panic!("the expected reaction: {}", error.cause())));
        let Self { mut process, to, reaction } = self;
        match reaction {
            Err(error) => panic!("`{}` failed at {to}: {}", M::name(), error.cause()),
            Ok(reaction) => {
                let actual = shown(&reaction);
                assert!(
                    expected == actual,
                    "`{}` reacted otherwise to {to} (- expected, + actual):\n\n{}",
                    M::name(),
                    difference(&expected, &actual)
                );
                for event in &reaction.events {
                    process.record(event.as_event());
                }
                let now = process.now;
                process
                    .scheduled
                    .extend(reaction.scheduled.into_iter().map(|later| (later.when.due(now), later.event)));
            }
        }
        process
    }

    /// The manager's method fails; returns its error.
    ///
    /// # Panics
    /// It does not fail; the panic shows the reaction.
    #[track_caller]
    pub fn then_failed(self) -> ProjectionError {
        match self.reaction {
            Err(error) => error,
            Ok(reaction) => panic!("`{}` did not fail at {}:\n\n{}", M::name(), self.to, shown(&reaction)),
        }
    }
}

/// The reaction, if it can be stored.
fn written<M>(reaction: Reaction<M>) -> Result<Reaction<M>, ProjectionError> {
    if let Some(unwritable) = reaction.unwritable {
        return Err(unwritable.into());
    }
    let later = reaction.scheduled.iter().map(|later| &later.event);
    for event in reaction.events.iter().chain(later) {
        event.as_event().encode()?;
    }
    Ok(reaction)
}

/// What is recorded, now and later, and the commands, in order.
fn shown<M>(reaction: &Reaction<M>) -> String {
    let events = reaction.events.iter().map(|event| format!("records {}", one_shown(event.as_event())));
    let later = reaction.scheduled.iter().map(|later| {
        let event = one_shown(later.event.as_event());
        match later.when {
            When::After(delay) => format!("records after {delay:?} {event}"),
            When::At(moment) => format!("records at {moment} {event}"),
        }
    });
    let commands = reaction.sent().map(|(name, command)| format!("dispatches {}", named(name, command)));
    let lines: Vec<_> = events.chain(later).chain(commands).collect();
    if lines.is_empty() { "no reaction".to_owned() } else { lines.join("\n") }
}
