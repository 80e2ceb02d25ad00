//! What expansions call. Hidden, and outside the promises of semantic versioning: the runtime requires the macros'
//! exact version.

use std::fmt::{Debug, Display};
use std::future::Future;

use serde::Serialize;

pub use serde;
pub use serde_json;

pub use crate::domain::sensitive::{Field, HasSensitive, Hidden, MayBeSeen, Seen, Unmarked, WHOLE, field, may_be_seen};
use crate::domain::{Event, EventDef, Recorded, StoredEvent};
use crate::projection::{ProjectionError, StepResult};
pub use crate::telemetry::{
    Attributes, Kind, Literal, Options, Outcome, Returned, ReturnedDebug, ReturnedResult, ReturnedValue, Slot, Span,
};
#[cfg(feature = "otel")]
pub use crate::telemetry::{Site, enter, start, sync, traced};
use crate::telemetry::{Start, log, names};

/// An attribute that was named but has no value to show, with `otel` off: its type is checked all the same.
pub fn check<V: crate::telemetry::AttributeValue + ?Sized>(_: &V) {}

/// The same for a value that is shown by its `Display`.
pub fn check_display<V: Display + ?Sized>(_: &V) {}

/// The same for a value that is shown by its `Debug`.
pub fn check_debug<V: Debug + ?Sized>(_: &V) {}

/// The same for a parent or a link.
pub fn check_linked<L: crate::telemetry::Linked + ?Sized>(_: &L) {}

/// Two events of one set that are stored under one name could not be told apart when they are read: fails to compile.
pub const fn distinct_names<S>(events: &[EventDef<S>]) {
    let mut later = 1;
    while later < events.len() {
        let mut earlier = 0;
        while earlier < later {
            assert!(
                !share_a_name(&events[earlier], &events[later]),
                "two events of the aggregate are stored under one name; give one another `name` or `alias`"
            );
            earlier += 1;
        }
        later += 1;
    }
}

const fn share_a_name<S>(one: &EventDef<S>, other: &EventDef<S>) -> bool {
    have_one_in_common((one.name(), one.aliases()), (other.name(), other.aliases()))
}

/// The stored names of events: of each the present one and the former ones.
pub type EventNames = &'static [(&'static str, &'static [&'static str])];

/// Two events of one projection that are stored under one name would both go to the first one's method: fails to
/// compile.
#[must_use]
pub const fn distinct_handlers(events: EventNames) -> EventNames {
    let mut later = 1;
    while later < events.len() {
        let mut earlier = 0;
        while earlier < later {
            assert!(
                !have_one_in_common(events[earlier], events[later]),
                "two events of the projection are stored under one name; give one another `name` or `alias`"
            );
            earlier += 1;
        }
        later += 1;
    }
    events
}

const fn have_one_in_common(one: (&str, &[&str]), (name, aliases): (&str, &[&str])) -> bool {
    let mut index = 0;
    while index < aliases.len() {
        if is_one_of(one, aliases[index]) {
            return true;
        }
        index += 1;
    }
    is_one_of(one, name)
}

const fn is_one_of((name, aliases): (&str, &[&str]), wanted: &str) -> bool {
    let mut index = 0;
    while index < aliases.len() {
        if same(aliases[index], wanted) {
            return true;
        }
        index += 1;
    }
    same(name, wanted)
}

/// `==` of texts, which a constant cannot have yet.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// What a query's method returns: the macro sees the type, but not through an alias.
#[diagnostic::on_unimplemented(
    message = "a query handler cannot return `{Self}`",
    note = "return `Result<the query's output, an error>`"
)]
pub trait Fallible {
    /// Why there is no answer.
    type Error;
}

impl<T, E> Fallible for Result<T, E> {
    type Error = E;
}

/// Gives a body that does not end a type. It is never called.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the branch that calls this is never taken")
}

/// The stored names of a projection's events, with the former ones.
#[must_use]
pub fn event_types(events: EventNames) -> Vec<&'static str> {
    events.iter().flat_map(|(name, aliases)| std::iter::once(*name).chain(aliases.iter().copied())).collect()
}

/// The fixed part of a projection's method.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// The span's name: `handler.` and the method's name.
    pub span: &'static str,
    /// The method's name.
    pub method: &'static str,
}

/// Reads the event that a projection's method takes.
///
/// # Errors
/// The payload does not fit the type.
pub fn decode<E: Event>(event: &StoredEvent) -> Result<Recorded<E>, ProjectionError> {
    Ok(event.decode()?)
}

/// Runs a projection's method in its `handler.{method}` span.
///
/// # Errors
/// What the method returned.
pub fn handle<E: Event, R: IntoStep>(event: &Recorded<E>, handler: &Handler, body: impl FnOnce() -> R) -> StepResult {
    let span = handler_span(event, handler);
    let result = span.in_scope(body).into_step();
    end_handler(span, &result);
    result
}

/// Runs an async method of a projection in its `handler.{method}` span.
///
/// # Errors
/// What the method returned.
pub async fn handle_async<E: Event, F>(event: &Recorded<E>, handler: &Handler, body: F) -> StepResult
where
    F: Future<Output: IntoStep>,
{
    let span = handler_span(event, handler);
    let result = span.run(body).await.into_step();
    end_handler(span, &result);
    result
}

fn handler_span<E: Event>(event: &Recorded<E>, handler: &Handler) -> Span {
    Start::new(handler.span, Kind::Internal).begin(
        &mut |known| {
            known.text(names::CQRS_SIDE, "projection");
            known.text(names::EVENTSOURCE_HANDLER_NAME, handler.method);
            known.string(names::EVENTSOURCE_EVENT_TYPE, event.event_type());
            known.number(names::EVENTSOURCE_VERSION, event.version().get());
            known.number(names::EVENTSOURCE_POSITION, event.position().get());
        },
        &mut |user| Event::attributes(&**event, user),
    )
}

fn end_handler(span: Span, result: &StepResult) {
    match result {
        Ok(()) => span.succeed(),
        Err(error) => {
            span.in_scope(|| log::failure(error.error_type()));
            span.fail(error.error_type().to_owned());
        }
    }
}

/// What a projection's method may return: nothing, or a `Result` of nothing with any error.
#[diagnostic::on_unimplemented(
    message = "a projection's method cannot return `{Self}`",
    note = "return `Result<(), ProjectionError>`"
)]
pub trait IntoStep {
    /// The step's result.
    fn into_step(self) -> StepResult;
}

impl IntoStep for () {
    fn into_step(self) -> StepResult {
        Ok(())
    }
}

impl<E: Into<ProjectionError>> IntoStep for Result<(), E> {
    fn into_step(self) -> StepResult {
        self.map_err(Into::into)
    }
}

/// Finds out how many items an answer holds, whatever its type: `(&&Answer(&output)).count()`.
#[derive(Debug)]
pub struct Answer<'a, T: ?Sized>(pub &'a T);

/// An answer that is a list.
pub trait AnswerList {
    /// Its length.
    fn count(&self) -> Option<usize>;
}

impl<T> AnswerList for &Answer<'_, Vec<T>> {
    fn count(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<T> AnswerList for &Answer<'_, Option<T>> {
    fn count(&self) -> Option<usize> {
        Some(usize::from(self.0.is_some()))
    }
}

/// Any other answer.
pub trait AnswerValue {
    /// No count.
    fn count(&self) -> Option<usize> {
        None
    }
}

impl<T: ?Sized> AnswerValue for Answer<'_, T> {}

/// An answer that can be written as JSON.
pub trait AnswerJson {
    /// The JSON.
    fn json(&self) -> Option<serde_json::Result<serde_json::Value>>;
}

impl<T: Serialize + ?Sized> AnswerJson for &Answer<'_, T> {
    fn json(&self) -> Option<serde_json::Result<serde_json::Value>> {
        Some(serde_json::to_value(self.0))
    }
}

/// An answer that cannot.
pub trait AnswerOpaque {
    /// No JSON.
    fn json(&self) -> Option<serde_json::Result<serde_json::Value>> {
        None
    }
}

impl<T: ?Sized> AnswerOpaque for Answer<'_, T> {}
