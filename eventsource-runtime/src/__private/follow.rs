//! How a projection's method gets its event and its span.

use std::future::Future;

use super::{EventNames, Span};
use crate::dispatch::Handled;
use crate::domain::{Event, Recorded, StoredEvent, is_one_of};
use crate::projection::{ProjectionError, StepResult};
use crate::store::Position;
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Kind, Start, guarded_by_type, names};

/// What a projection needs to know of an event that it follows. Only this requires the type to be an event, so that the
/// compiler reports a missing impl once.
#[derive(Debug)]
pub struct Follow<E> {
    names: (&'static str, &'static [&'static str]),
    decode: fn(&StoredEvent) -> Result<Recorded<E>, ProjectionError>,
    attributes: fn(&E, &mut Attributes),
}

/// The events of that type.
#[must_use]
pub const fn follow<E: Event>() -> Follow<E> {
    Follow {
        names: (E::NAME, E::ALIASES),
        decode: |event| Ok(event.decode()?),
        attributes: |event, user| event.attributes(user),
    }
}

/// The fixed part of a projection's method.
#[derive(Clone, Copy, Debug)]
pub struct Handler {
    /// The span's name: `handler.` and the method's name.
    pub span: &'static str,
    /// The method's name.
    pub method: &'static str,
}

impl<E> Follow<E> {
    /// The stored name, and the former ones.
    #[must_use]
    pub const fn names(&self) -> (&'static str, &'static [&'static str]) {
        self.names
    }

    /// Whether a stored event has one of them.
    #[must_use]
    pub fn is(&self, event: &StoredEvent) -> bool {
        is_one_of(&event.event_type, self.names)
    }

    /// Decodes the event that a method takes.
    ///
    /// # Errors
    /// The payload does not fit the type.
    pub fn decode(&self, event: &StoredEvent) -> Result<Recorded<E>, ProjectionError> {
        (self.decode)(event)
    }

    /// Runs a method in its `handler.{method}` span.
    ///
    /// # Errors
    /// What the method returned.
    pub fn handle<R: IntoStep>(&self, event: &Recorded<E>, handler: &Handler, body: impl FnOnce() -> R) -> StepResult {
        let span = self.span(event, handler);
        let result = span.in_scope(body).into_step();
        end(span, event.position(), handler, &result);
        result
    }

    /// Runs an async method in its `handler.{method}` span.
    ///
    /// # Errors
    /// What the method returned.
    pub async fn handle_async<F>(&self, event: &Recorded<E>, handler: &Handler, body: F) -> StepResult
    where
        F: Future<Output: IntoStep>,
    {
        let span = self.span(event, handler);
        let result = span.run(Handled::event(event).scope(body)).await.into_step();
        end(span, event.position(), handler, &result);
        result
    }

    fn span(&self, event: &Recorded<E>, handler: &Handler) -> Span {
        Start::new(handler.span, Kind::Internal, || true).begin(
            &mut |known| {
                known.text(names::CQRS_SIDE, "projection");
                known.text(names::EVENTSOURCE_HANDLER_NAME, handler.method);
                known.string(names::EVENTSOURCE_EVENT_TYPE, event.event_type());
                known.number(names::EVENTSOURCE_VERSION, event.version().get());
                known.number(names::EVENTSOURCE_POSITION, event.position().get());
            },
            &mut |user| {
                guarded_by_type(|| (self.attributes)(event, user));
            },
        )
    }
}

fn end(span: Span, position: Position, handler: &Handler, result: &StepResult) {
    match result {
        // The step's failure is logged in any case: without a span of the method's own it would be the same again.
        Err(error) if span.is_recording() => {
            let failed = Failed::new(names::LOG_PROJECTION, handler.span).at(Some(position));
            span.fail(failed, error.error_type().to_owned(), &Chain(error.cause()));
        }
        Ok(()) | Err(_) => span.succeed(),
    }
}

/// The stored names of a projection's events, with the former ones.
#[must_use]
pub fn event_types(events: EventNames) -> Vec<&'static str> {
    events.iter().flat_map(|(name, aliases)| std::iter::once(*name).chain(aliases.iter().copied())).collect()
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

// Otherwise a boxed error gives one error for each bound of `Error`, and none says what to return.
#[diagnostic::do_not_recommend]
impl<E: Into<ProjectionError>> IntoStep for Result<(), E> {
    fn into_step(self) -> StepResult {
        self.map_err(Into::into)
    }
}
