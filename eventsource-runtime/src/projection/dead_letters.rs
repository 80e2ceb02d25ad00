//! Dealing with dead letters: listing, retrying, resolving.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::batch::{Applied, Events};
use super::dead_letter::{DeadLetter, Letters};
use super::error::ProjectionError;
use super::options::Options;
use super::step::{Mode, Step};
use super::{Projection, ProjectionStore};
use crate::domain::StoredEvent;
use crate::store::{AGAIN, Filter, Position, StreamId};
use crate::telemetry::names;

/// How many letters are read at a time.
const PAGE: usize = 100;

/// The dead letters of a projection: events that it could not apply, and those parked behind them.
///
/// It works alongside runners of the projection, in this process or in others: each letter is settled in a transaction
/// of its own, which takes turns with theirs. A letter holds no payload; the event is read from its stream.
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # use eventsource_runtime::projection::{DeadLetters, Projection};
/// # use eventsource_runtime::store::Memory;
/// # struct OrderViews;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct OrderPlaced;
/// # #[projection]
/// # impl OrderViews { fn placed(&self, _: &Recorded<OrderPlaced>) {} }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let letters = DeadLetters::new(MemoryStore::new(), OrderViews);
/// for letter in letters.list(Position::START, 100).await? {
///     println!("{} of {}: {}", letter.version, letter.stream, letter.reason);
///     letters.retry(&letter.stream).await?; // all of the stream's, in order
/// }
/// # Ok::<(), eventsource_runtime::projection::DeadLetterError>(()) }).unwrap();
/// ```
#[doc(alias = "dead letter queue")]
pub struct DeadLetters<S: ProjectionStore> {
    store: S,
    projection: Arc<dyn Projection<S::Backend>>,
    options: Options,
}

impl<S: ProjectionStore> DeadLetters<S> {
    /// The dead letters of a projection on a store. Retries run this projection, with the switches and the clock of a
    /// runner that was told nothing; for others, use
    /// [`ProjectionRunner::dead_letters`](super::ProjectionRunner::dead_letters).
    pub fn new<P: Projection<S::Backend>>(store: S, projection: P) -> Self {
        Self::with(store, projection, Options::default())
    }

    pub(super) fn with<P: Projection<S::Backend>>(store: S, projection: P, options: Options) -> Self {
        Self { store, projection: Arc::new(projection), options }
    }

    /// At most `limit` letters, of events after a position, in order; [`Position::START`] for the first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn list(&self, after: Position, limit: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        self.letters(Letters { stream: None, after, limit }).await
    }

    /// At most `limit` letters of one stream, of events after a position, in order.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn of_stream(
        &self,
        stream: &StreamId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        self.letters(Letters { stream: Some(stream.clone()), after, limit }).await
    }

    async fn letters(&self, letters: Letters) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let (name, after) = (self.projection.name(), letters.after);
        let listed = self.store.dead_letters(name, letters).await;
        let on = || format!("projection `{name}`, after position {after}");
        listed.map_err(|error| DeadLetterError(error.about(on, AGAIN)))
    }

    /// Applies the events of a stream's letters, in order, removing each letter in one transaction with its event's
    /// effect. Returns the number of events applied; when all are, the stream continues with its next event.
    ///
    /// # Errors
    /// The first event that failed again: its letter and those behind it stay, and what was applied before stays
    /// applied. [`DeadLetterError::event`] returns which. Or the store cannot be read or written.
    pub async fn retry(&self, stream: &StreamId) -> Result<u64, DeadLetterError> {
        let mut applied = 0;
        loop {
            let letters = self.of_stream(stream, Position::START, PAGE).await?;
            if letters.is_empty() {
                return Ok(applied);
            }
            for letter in letters {
                applied += u64::from(self.apply(letter.position).await?);
            }
        }
    }

    /// Removes a letter without applying its event, which was dealt with by other means, or never will be. Returns
    /// false if there is no letter at this position. Letters behind it stay until they are retried.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn resolve(&self, position: Position) -> Result<bool, DeadLetterError> {
        let scope = crate::telemetry::Scope::detached().muted();
        let settled = self.store.settle_dead_letter(Arc::clone(&self.projection), position, None, scope).await;
        settled.map_err(|error| self.unsettled(error, position))
    }

    /// Applies one letter's event; false if another caller was faster.
    async fn apply(&self, position: Position) -> Result<bool, DeadLetterError> {
        let event = self.event(position).await.map_err(DeadLetterError)?;
        let events = Events::from(vec![event.clone()]);
        let step = Step::new(&events, position, Mode::Live);
        let span = step.span(&*self.projection, &self.options);
        let scope = span.scope(false);
        let settled = self.store.settle_dead_letter(Arc::clone(&self.projection), position, Some(event), scope).await;
        if !matches!(settled, Ok(false)) {
            span.record(&mut |later| later.number(names::EVENTSOURCE_RETRY_COUNT, 0));
        }
        match &settled {
            Ok(false) => span.succeed(),
            Ok(true) => {
                span.in_scope(|| step.applied(&span, self.projection.name(), &self.options, &Applied::default()));
                span.succeed();
            }
            Err(error) => step.failed(span, &*self.projection, error),
        }
        settled.map_err(|error| self.unsettled(error, position))
    }

    fn unsettled(&self, error: ProjectionError, position: Position) -> DeadLetterError {
        let on = || format!("projection `{}`, position {position}", self.projection.name());
        DeadLetterError(error.about(on, AGAIN))
    }

    async fn event(&self, position: Position) -> Result<StoredEvent, ProjectionError> {
        let before = Position::new(position.get().saturating_sub(1));
        let page = self.store.read_all(before, &Filter::all(), 1).await.map_err(ProjectionError::store)?;
        let found = page.events.into_iter().find(|event| event.position == position);
        found.ok_or_else(|| {
            ProjectionError::new(format!("the event at position {position} is not in the store; resolve its letter"))
        })
    }
}

impl<S: ProjectionStore> fmt::Debug for DeadLetters<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("projection", &self.projection.name()).finish_non_exhaustive()
    }
}

/// Dead letters could not be listed, or one could not be settled. It says what its cause says, which is its source: the
/// error of the step, or a [`StoreError`](crate::store::StoreError).
pub struct DeadLetterError(ProjectionError);

impl DeadLetterError {
    /// The event that failed again; `None` if the store failed.
    #[must_use]
    pub fn event(&self) -> Option<Position> {
        self.0.event()
    }

    /// A short, stable name for telemetry: of what went wrong.
    #[must_use]
    pub fn error_type(&self) -> &str {
        self.0.error_type()
    }

    /// Whether it cannot help to try again, as far as the runtime knows: no store in trouble is behind the error, no
    /// stream to which others append without a pause, and no other program that settles a letter. The step of an event
    /// fails until somebody mends the cause.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.0.is_permanent()
    }
}

impl Error for DeadLetterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.cause())
    }
}

impl fmt::Display for DeadLetterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Shows the name and the message: the `Debug` of the cause may quote what was to be written.
impl fmt::Debug for DeadLetterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetterError({}: {})", self.0.error_type(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BoxError;
    use crate::projection::error::Refused;
    use crate::projection::{BuiltElsewhere, LeaseLost, Partition};
    use crate::store::StoreError;

    /// `?` did not take it, as it takes each error.
    #[test]
    fn what_went_wrong_with_a_letter_is_an_error_with_its_cause() {
        let error = BoxError::from(DeadLetterError(Refused { _row: "secret" }.into()));
        assert_eq!(error.to_string(), "a row is refused");
        assert_eq!(format!("{error:?}"), "DeadLetterError(Refused: a row is refused)");
        assert!(matches!(error.source(), Some(cause) if cause.is::<Refused>()));
    }

    #[test]
    fn it_cannot_help_to_try_again_unless_something_passes() {
        let away = || StoreError::backend("settle a letter", "nobody is there");
        let passes: [ProjectionError; 5] = [
            ProjectionError::store(away()),
            ProjectionError::store(StoreError::Closed),
            ProjectionError::overtaken(Refused { _row: "" }),
            LeaseLost::new(Partition::whole("process_letters.Shipping")).into(),
            BuiltElsewhere::new("P").into(),
        ];
        for error in passes {
            assert!(!DeadLetterError(error).is_permanent());
        }
        let lasts = [
            Refused { _row: "" }.into(),
            ProjectionError::store(StoreError::refused("settle a letter", "no such table")),
            ProjectionError::new("the event is not in the store"),
        ];
        for error in lasts {
            assert!(DeadLetterError(error).is_permanent());
        }
    }
}
