//! What macro expansions call. Hidden, and not covered by semantic versioning: the runtime requires the macros' exact
//! version.

mod follow;
mod never;

use std::fmt::{Debug, Display};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use std::string::ToString;
pub use std::vec::Vec;

pub use serde;
pub use serde_json;
pub use uuid::Uuid;

pub use follow::{Follow, Handler, IntoStep, event_types, follow};
pub use never::{Never, Out, forget, never, unending};

pub use crate::domain::sensitive::{
    Field, HasSensitive, Hidden, Marked0, Marked1, Marked2, Marked3, MayBeSeen, Seen, Unmarked, WHOLE, Whole, WholeOf,
    field, may_be_seen, whole_if,
};
use crate::domain::{self, Aggregate, AnyEvent, DecodeError, Event, EventDef, EventRef, decode_payload};
use crate::error::BoxError;
use crate::telemetry::AttributeValue;
pub use crate::telemetry::expanded::{
    By, ByPlace, Fallible, Faults, Literal, NoResult, Outcome, Span, Teller, ToldResult, ToldValue, faults, told,
    told_of,
};
pub use crate::telemetry::{Attributes, Kind, Options, Slot};

/// The traits of a probe, of which one is used: imported together, none is reported as unused.
pub mod probe {
    /// Whether an answer can be counted.
    pub mod list {
        pub use super::super::{AnswerList as _, AnswerValue as _};
    }

    /// Whether it can be written as JSON.
    pub mod json {
        pub use super::super::{AnswerJson as _, AnswerOpaque as _};
    }

    /// Of an event in an aggregate's enum.
    pub mod member {
        pub use super::super::{MemberEvent as _, MemberOther as _};
    }

    /// Of a stored event that may be of that type.
    pub mod stored {
        pub use super::super::{ReadEvent as _, ReadOther as _};
    }

    /// Whether a value may be seen.
    pub mod shown {
        pub use super::super::{Marked0 as _, Marked1 as _, Marked2 as _, Marked3 as _, Unmarked as _, WholeOf as _};
    }

    /// Of what a traced function returns.
    pub mod told {
        pub use crate::telemetry::expanded::{ToldResult as _, ToldValue as _};
    }
}

#[cfg(feature = "otel")]
pub use crate::telemetry::expanded::{
    BoxedFuture, BoxedStream, Once, Running, Site, apart, cover_future, cover_stream, disabled, held, once, run, start,
    start_with, traced, traced_by,
};

/// An attribute that was named but has no value to record, with `otel` off: its type is checked all the same.
pub fn check<V: AttributeValue + ?Sized>(_: &V) {}

/// The same for a value recorded by its `Display`.
pub fn check_display<V: Display + ?Sized>(_: &V) {}

/// The same for a value recorded by its `Debug`.
pub fn check_debug<V: Debug + ?Sized>(_: &V) {}

/// The same for a parent or a link.
pub fn check_linked<L: crate::telemetry::Linked + ?Sized>(_: &L) {}

/// The result of decoding a stored event of a type that the aggregate does not list.
///
/// # Errors
/// Always.
pub fn unknown(event: &EventRef<'_>) -> Result<(), DecodeError> {
    Err(DecodeError::unknown_type(event))
}

/// Fails to compile if two events of one set are stored under one name: they could not be told apart when decoded.
pub const fn distinct_names<S>(events: &[EventDef<S>]) {
    let mut later = 1;
    while later < events.len() {
        let mut earlier = 0;
        while earlier < later {
            if share_a_name(&events[earlier], &events[later]) {
                refuse("two events of the aggregate are stored under one name; give one another `name` or `alias`");
            }
            earlier += 1;
        }
        later += 1;
    }
}

/// Ends a compile-time evaluation with an error at the caller's place. A `panic!` would also show one in its own
/// library, if the sources of that are installed.
#[track_caller]
#[allow(clippy::unnecessary_literal_unwrap, reason = "it panics in this crate, as `panic!` does not")]
const fn refuse(message: &'static str) {
    None::<()>.expect(message);
}

const fn share_a_name<S>(one: &EventDef<S>, other: &EventDef<S>) -> bool {
    have_one_in_common((one.name(), one.aliases()), (other.name(), other.aliases()))
}

/// The stored names of events: for each the present one and the former ones.
pub type EventNames = &'static [(&'static str, &'static [&'static str])];

/// Fails to compile if two events of one projection are stored under one name: both would go to the first one's method.
#[must_use]
pub const fn distinct_handlers(events: EventNames) -> EventNames {
    let mut later = 1;
    while later < events.len() {
        let mut earlier = 0;
        while earlier < later {
            if have_one_in_common(events[earlier], events[later]) {
                refuse(
                    "two of the events that are handled here are stored under one name; give one another `name` or `alias`",
                );
            }
            earlier += 1;
        }
        later += 1;
    }
    events
}

/// Fails to compile if two commands have one name: the refusals of both would go to the first one's method.
pub const fn distinct_commands(names: &[&str]) {
    let mut later = 1;
    while later < names.len() {
        let mut earlier = 0;
        while earlier < later {
            if same(names[earlier], names[later]) {
                refuse("two of the commands whose refusals are handled here have one name; give one another `name`");
            }
            earlier += 1;
        }
        later += 1;
    }
}

const fn have_one_in_common(one: (&str, &[&str]), (name, aliases): (&str, &[&str])) -> bool {
    let mut index = 0;
    while index < aliases.len() {
        if is_named(one, aliases[index]) {
            return true;
        }
        index += 1;
    }
    is_named(one, name)
}

const fn is_named((name, aliases): (&str, &[&str]), wanted: &str) -> bool {
    let mut index = 0;
    while index < aliases.len() {
        if same(aliases[index], wanted) {
            return true;
        }
        index += 1;
    }
    same(name, wanted)
}

/// `==` of texts, which is not available in constants yet.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// The return type of a query's method with that output: the macro sees the type, but not through an alias.
#[diagnostic::on_unimplemented(
    message = "the handler of a query whose output is `{O}` cannot return `{Self}`",
    note = "return `Result<{O}, E>`, where `E` is any error that can be sent"
)]
pub trait Answers<O> {
    /// Why there is no answer.
    type Error: Into<BoxError> + Send + 'static;

    /// The same.
    #[allow(clippy::missing_errors_doc, reason = "it is the value itself")]
    fn answer(self) -> Result<O, Self::Error>;
}

#[diagnostic::do_not_recommend]
impl<O, E: Into<BoxError> + Send + 'static> Answers<O> for Result<O, E> {
    type Error = E;

    fn answer(self) -> Self {
        self
    }
}

/// The value of a message's field that is named as an attribute; a field has no expression to prefix with `%`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute",
    note = "name a field that holds a number, a text, a flag, a UUID or a list of texts, or implement `AttributeValue` for its type",
    note = "what is `Sensitive` cannot be shown at all"
)]
pub trait FieldValue {
    /// Records the field.
    fn field(&self, slot: &mut Slot<'_>);
}

#[diagnostic::do_not_recommend]
impl<V: AttributeValue + ?Sized> FieldValue for V {
    fn field(&self, slot: &mut Slot<'_>) {
        self.record(slot);
    }
}

/// Records a field.
pub fn record_field<V: FieldValue + ?Sized>(slot: &mut Slot<'_>, value: &V) {
    value.field(slot);
}

/// What can be stored as a snapshot: one trait, so that one error says that it cannot.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is kept as a snapshot, but cannot be written and read again",
    note = "add `#[derive(Serialize, Deserialize)]` to `{Self}`, or remove `snapshot(..)`"
)]
pub trait Kept: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<A: Serialize + DeserializeOwned> Kept for A {}

/// The id of an aggregate: `<A as Aggregate>::Id`, without asking the type once more for its `Default`.
pub type IdOf<A> = <A as Identified>::Id;

/// What has an id.
pub trait Identified {
    /// The id.
    type Id;
}

impl<A: Aggregate> Identified for A {
    type Id = A::Id;
}

/// An event in the enum of an aggregate: `Member(event).__es_any()`. That a type is no event is reported where the list
/// names it, and not again here.
#[derive(Debug)]
pub struct Member<'a, E>(pub &'a E);

/// A type that is an event.
pub trait MemberEvent<'a> {
    /// The event.
    fn __es_any(self) -> &'a dyn AnyEvent;
}

impl<'a, E: Event> MemberEvent<'a> for Member<'a, E> {
    fn __es_any(self) -> &'a dyn AnyEvent {
        self.0
    }
}

/// Any other type.
pub trait MemberOther<'a> {
    /// Never called: such an aggregate does not compile.
    fn __es_any(&self) -> &'a dyn AnyEvent {
        never()
    }
}

impl<'a, E> MemberOther<'a> for Member<'a, E> {}

/// A stored event that may be one of that type: `Stored::<E>::new(event).__es_read()`. That the type is no event is not
/// reported here either.
#[derive(Debug)]
pub struct Stored<'a, 'e, E>(&'a EventRef<'e>, PhantomData<fn() -> E>);

impl<'a, 'e, E> Stored<'a, 'e, E> {
    /// Takes the stored event.
    #[must_use]
    pub fn new(event: &'a EventRef<'e>) -> Self {
        Self(event, PhantomData)
    }
}

/// A type that is an event.
pub trait ReadEvent<E> {
    /// Decodes it, if it is stored under that type's name of today or a former one.
    ///
    /// # Errors
    /// It is, and its payload does not fit.
    fn __es_read(self) -> Result<Option<E>, DecodeError>;
}

impl<E: Event> ReadEvent<E> for Stored<'_, '_, E> {
    #[inline]
    fn __es_read(self) -> Result<Option<E>, DecodeError> {
        let Self(event, _) = self;
        if domain::is_one_of(event.event_type, (E::NAME, E::ALIASES)) {
            decode_payload(event).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Any other type.
pub trait ReadOther<E> {
    /// Never called: such an aggregate does not compile.
    #[allow(clippy::missing_errors_doc, reason = "it is never called")]
    fn __es_read(&self) -> Result<Option<E>, DecodeError> {
        never()
    }
}

impl<E> ReadOther<E> for Stored<'_, '_, E> {}

/// Determines how many items an answer holds, whatever its type: `(&&Answer(&output)).count()`.
#[derive(Debug)]
pub struct Answer<'a, T: ?Sized>(pub &'a T);

/// An answer that is a list.
pub trait AnswerList {
    /// Its length.
    fn __es_count(&self) -> Option<usize>;
}

impl<T> AnswerList for &Answer<'_, Vec<T>> {
    fn __es_count(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

impl<T> AnswerList for &Answer<'_, Option<T>> {
    fn __es_count(&self) -> Option<usize> {
        Some(usize::from(self.0.is_some()))
    }
}

/// Any other answer.
pub trait AnswerValue {
    /// No count.
    fn __es_count(&self) -> Option<usize> {
        None
    }
}

impl<T: ?Sized> AnswerValue for Answer<'_, T> {}

/// An answer that can be written as JSON.
pub trait AnswerJson {
    /// The JSON.
    fn __es_json(&self) -> Option<serde_json::Result<serde_json::Value>>;
}

impl<T: Serialize + ?Sized> AnswerJson for &Answer<'_, T> {
    fn __es_json(&self) -> Option<serde_json::Result<serde_json::Value>> {
        Some(domain::json::tree(self.0))
    }
}

/// An answer that cannot.
pub trait AnswerOpaque {
    /// No JSON.
    fn __es_json(&self) -> Option<serde_json::Result<serde_json::Value>> {
        None
    }
}

impl<T: ?Sized> AnswerOpaque for Answer<'_, T> {}
