//! Given events, when a command, then events: tests decisions without a store.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use serde_json::value::RawValue;

use super::difference::difference;
use crate::dispatch::BoxFuture;
use crate::domain::{Aggregate, AnyEvent, Command, EventSet, Handle, Handlers, IntoEvents, evolve_as_read};
use crate::repository::ServicesOf;
use crate::store::{Position, StreamId, Version};

/// Begins with what has happened to an aggregate: `()` for nothing, one event, or a `Vec`, an array or a tuple of
/// events.
///
/// Nothing is stored and nothing shared, so that such tests run in parallel under any test runner. The events are
/// encoded and decoded as in a store, so that what cannot be decoded is noticed too. A handler that awaits something is
/// tested with [`when_async`](Given::when_async), services are passed by [`with_services`](Given::with_services).
///
/// ```
/// use eventsource_runtime::prelude::*;
/// use eventsource_runtime::testing::given;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Opened;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Deposited { cents: u64 }
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, error = Refusal, events(Opened, Deposited))]
/// # struct Account { open: bool }
/// # impl Apply<Opened> for Account { fn apply(&mut self, _: Opened) { self.open = true; } }
/// # impl Apply<Deposited> for Account { fn apply(&mut self, _: Deposited) {} }
/// # #[derive(Debug, PartialEq, thiserror::Error)]
/// # enum Refusal { #[error("the account is closed")] Closed }
/// # #[derive(Command, Clone, serde::Deserialize)]
/// # #[command(aggregate = Account)]
/// # struct Deposit { #[command(id)] account: String, cents: u64 }
/// # #[command_handler]
/// # impl Account {
/// #     fn deposit(&self, command: Deposit) -> Result<Deposited, Refusal> {
/// #         if self.open { Ok(Deposited { cents: command.cents }) } else { Err(Refusal::Closed) }
/// #     }
/// # }
/// let deposit = Deposit { account: "ada".into(), cents: 500 };
/// given::<Account>(Opened).when(deposit.clone()).then(Deposited { cents: 500 });
/// given::<Account>(()).when(deposit).then_rejected(Refusal::Closed);
/// ```
///
/// # Panics
/// An event cannot be encoded, or not be decoded again.
#[doc(alias = "fixture")]
#[must_use = "say which command comes, with `when`"]
#[track_caller]
pub fn given<A: Handlers>(events: impl IntoEvents<A::Event>) -> Given<A> {
    let given = Given { state: A::default(), history: Vec::new(), services: () };
    given.and(collected(events))
}

/// An aggregate to which something has happened; created by [`given`].
pub struct Given<A, V = ()> {
    state: A,
    history: Vec<&'static str>,
    services: V,
}

/// What a command led to; created by [`Given::when`].
#[must_use = "say what the command leads to, with `then` or `then_rejected`"]
pub struct When<A: Handlers, V> {
    given: Given<A, V>,
    command: &'static str,
    decided: Result<Vec<A::Event>, A::Error>,
}

impl<A: Handlers> Given<A> {
    /// Passes the handlers what they need besides the state.
    pub fn with_services(self, services: A::Services) -> Given<A, A::Services> {
        Given { state: self.state, history: self.history, services }
    }
}

impl<A: Handlers, V> Given<A, V> {
    /// The state after everything that has happened.
    pub fn state(&self) -> &A {
        &self.state
    }

    #[track_caller]
    fn and(mut self, events: Vec<A::Event>) -> Self {
        let stream = StreamId::new(A::NAME, "test");
        for event in events {
            let event = event.as_event();
            read_back(&mut self.state, event, &stream, self.history.len() as u64 + 1);
            self.history.push(event.name());
        }
        self
    }
}

impl<A: Handlers, V> Given<A, V> {
    /// Passes the aggregate a command. [`with_services`](Given::with_services) comes before it, if the handlers borrow
    /// any; what a generic function writes is said where a bus gets
    /// [an aggregate](crate::dispatch::CommandBusBuilder::aggregate).
    ///
    /// # Panics
    /// The handler awaits something; then use [`when_async`](Self::when_async).
    #[track_caller]
    pub fn when<C: Command<Aggregate = A>>(self, command: C) -> When<A, V>
    where
        A: Handle<C>,
        A::Services: ServicesOf<A, V>,
    {
        let decided = {
            let handled = pin!(self.state.handle(command, A::Services::borrowed(&self.services)));
            match handled.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(decided) => decided,
                Poll::Pending => panic!("the handler of `{}` waits for something; use `when_async(..).await`", C::NAME),
            }
        };
        When { given: self, command: C::NAME, decided }
    }

    /// Passes the aggregate a command whose handler awaits something: `given(..).when_async(command).await.then(..)`,
    /// in a test with a runtime, such as `#[tokio::test]`.
    // Boxed, since of a future whose type has the services in it each use would report again that they are missing.
    pub fn when_async<C: Command<Aggregate = A>>(self, command: C) -> BoxFuture<'static, When<A, V>>
    where
        A: Handle<C>,
        A::Services: ServicesOf<A, V>,
        V: Send + Sync + 'static,
    {
        Box::pin(async move {
            let decided = self.state.handle(command, A::Services::borrowed(&self.services)).await;
            When { given: self, command: C::NAME, decided }
        })
    }
}

impl<A: Handlers, V> When<A, V> {
    /// The command leads to exactly these events: `()` for none. They are compared in their stored form, so that they
    /// need neither `PartialEq` nor `Debug`. The test may continue from there with the next command.
    ///
    /// # Panics
    /// It leads to something else; the panic shows what.
    #[track_caller]
    pub fn then(self, expected: impl IntoEvents<A::Event>) -> Given<A, V> {
        let expected = shown::<A>(&collected(expected));
        match self.decided {
            Err(error) => panic!(
                "{} {}: {error} ({error:?})\n\nexpected:\n\n{}",
                self.given.told(self.command),
                if A::is_fault(&error) { "failed" } else { "was rejected" },
                difference(&expected, "")
            ),
            Ok(events) => {
                let actual = shown::<A>(&events);
                assert!(
                    expected == actual,
                    "{} led to other events (- expected, + actual):\n\n{}",
                    self.given.told(self.command),
                    difference(&expected, &actual)
                );
                self.given.and(events)
            }
        }
    }

    /// The command is rejected with this error.
    ///
    /// # Panics
    /// It leads to events, fails, or is rejected with another error; the panic shows what.
    #[expect(clippy::needless_pass_by_value, reason = "a test writes the error down, and does not keep it")]
    #[track_caller]
    pub fn then_rejected(self, expected: A::Error) -> Given<A, V>
    where
        A::Error: PartialEq,
    {
        let wanted = format!("{expected:?}");
        self.then_rejected_if(&wanted, |refusal| *refusal == expected)
    }

    /// The command is rejected with an error for which a closure returns true. `wanted` tells in the panic what was
    /// expected.
    ///
    /// # Panics
    /// It leads to events, fails, or is rejected with another error; the panic shows what.
    #[track_caller]
    pub fn then_rejected_if(self, wanted: &str, is_expected: impl FnOnce(&A::Error) -> bool) -> Given<A, V> {
        self.then_err(false, wanted, is_expected)
    }

    /// The command fails with one of the aggregate's errors that are [faults](crate::Aggregate::is_fault), for which a
    /// closure returns true: it is not rejected, and may succeed later. `wanted` tells in the panic what was expected.
    ///
    /// # Panics
    /// It leads to events, is rejected, or fails with another error; the panic shows what.
    #[track_caller]
    pub fn then_failed_if(self, wanted: &str, is_expected: impl FnOnce(&A::Error) -> bool) -> Given<A, V> {
        self.then_err(true, wanted, is_expected)
    }

    #[track_caller]
    fn then_err(self, fault: bool, wanted: &str, is_expected: impl FnOnce(&A::Error) -> bool) -> Given<A, V> {
        let told = self.given.told(self.command);
        let ended = |fault| if fault { "failed" } else { "was rejected" };
        let not = if fault { "did not fail" } else { "was not rejected" };
        match self.decided {
            Err(error) if A::is_fault(&error) != fault => {
                panic!("{told} {not}: it {}: {error} ({error:?})", ended(!fault))
            }
            Err(error) => assert!(
                is_expected(&error),
                "{told} {} otherwise (- expected, + actual):\n\n{}",
                ended(fault),
                difference(wanted, &format!("{error:?}"))
            ),
            Ok(events) => {
                panic!("{told} {not} (- expected, + actual):\n\n{}", difference(wanted, &shown::<A>(&events)))
            }
        }
        self.given
    }
}

impl<A: Handlers, V> Given<A, V> {
    fn told(&self, command: &str) -> String {
        match &*self.history {
            [] => format!("`{command}`, given no events,"),
            events => format!("`{command}`, given {},", events.join(", ")),
        }
    }
}

/// Applies an event as it will be read back.
#[track_caller]
pub(super) fn read_back<A: Aggregate>(state: &mut A, event: &dyn AnyEvent, stream: &StreamId, number: u64) {
    let place = (Version::new(number), Position::new(number));
    let evolved = evolve_as_read(state, event, stream, place);
    if let Err(error) = evolved.unwrap_or_else(|error| panic!("{error}: {}", source(&error))) {
        panic!("`{}` cannot be read back: {error}: {}", event.name(), source(&error));
    }
}

fn collected<S>(events: impl IntoEvents<S>) -> Vec<S> {
    let mut list = Vec::new();
    events.into_events(&mut list);
    list
}

fn shown<A: Handlers>(events: &[A::Event]) -> String {
    if events.is_empty() {
        return "no events".to_owned();
    }
    let shown: Vec<_> = events.iter().map(|event| one_shown(event.as_event())).collect();
    shown.join("\n")
}

/// The event's name and stored form, a field per line.
pub(super) fn one_shown(event: &dyn AnyEvent) -> String {
    let payload = match event.encode() {
        Ok(payload) => payload,
        Err(error) => return format!("{} that cannot be written: {}", event.name(), source(&error)),
    };
    match serde_json::from_slice::<&RawValue>(&payload) {
        Ok(fields) => named(event.name(), fields),
        Err(_) => format!("{} {}", event.name(), String::from_utf8_lossy(&payload)),
    }
}

/// A name and what is stored of it.
pub(super) fn named(name: &str, fields: &RawValue) -> String {
    if fields.get() == "null" { name.to_owned() } else { format!("{name} {}", laid_out(fields, "\n")) }
}

/// With an entry per line and keys in order, since maps have none. Numbers are left as they were written: a `Value`
/// would round integers of more than 64 bits.
fn laid_out(json: &RawValue, line: &str) -> String {
    let text = json.get();
    let inner = format!("{line}  ");
    let entries: Vec<_> = match text.as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
            Ok(fields) => fields.iter().map(|(key, value)| format!("{key:?}: {}", laid_out(value, &inner))).collect(),
            Err(_) => return text.to_owned(),
        },
        Some(b'[') => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(values) => values.iter().map(|value| laid_out(value, &inner)).collect(),
            Err(_) => return text.to_owned(),
        },
        _ => return text.to_owned(),
    };
    let (open, close) = (&text[..1], &text[text.len() - 1..]);
    if entries.is_empty() {
        return format!("{open}{close}");
    }
    format!("{open}{inner}{}{line}{close}", entries.join(&format!(",{inner}")))
}

pub(super) fn source(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

impl<A: Handlers, V> fmt::Debug for Given<A, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("aggregate", &A::NAME).field("history", &self.history).finish_non_exhaustive()
    }
}

impl<A: Handlers, V> fmt::Debug for When<A, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").field("given", &self.given).field("command", &self.command).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_order_and_numbers_as_they_are() {
        let shown = |json: &str| laid_out(serde_json::from_str(json).unwrap(), "\n");
        assert_eq!(
            shown(r#"{"b":[1,{"c":null}],"a":"x\"","d":{},"e":[]}"#),
            shown(r#"{"d":{},"a":"x\"","e":[],"b":[1,{"c":null}]}"#)
        );
        assert_eq!(shown(r#"{"b":[1,-0.50],"a":[]}"#), "{\n  \"a\": [],\n  \"b\": [\n    1,\n    -0.50\n  ]\n}");
        assert_ne!(shown("[18446744073709551616]"), shown("[18446744073709551617]"));
    }
}
