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
    /// applied. [`DeadLetterError::event`] returns which. Or the store cannot be read or written, or still has the
    /// stream's first letter after that was retried.
    pub async fn retry(&self, stream: &StreamId) -> Result<u64, DeadLetterError> {
        let (mut applied, mut tried) = (0, None);
        loop {
            let letters = self.of_stream(stream, Position::START, PAGE).await?;
            let Some(first) = letters.first().map(|letter| letter.position) else { return Ok(applied) };
            // Whoever settled it, it is gone, unless somebody has set it aside again or the store does not settle it:
            // then this would go on forever.
            if tried.replace(first) == Some(first) {
                return Err(DeadLetterError(ProjectionError::remaining(first)));
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::delegate;
    use crate::error::BoxError;
    use crate::projection::error::Refused;
    use crate::projection::{Batch, BuiltElsewhere, CheckpointOnly, Claim, LeaseLost, Partition};
    use crate::store::{EventStore, ExpectedVersion, Memory, NewEvent, Origin, StoreError};
    use crate::telemetry::Scope;

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

    /// Settles no letter, whatever it says.
    #[derive(Clone)]
    struct Keeping {
        memory: Memory,
        says: bool,
        asked: Arc<AtomicUsize>,
    }

    impl EventStore for Keeping {
        delegate!(memory: info append fold read_stream read_all head changed);
    }

    impl ProjectionStore for Keeping {
        type Backend = Memory;

        delegate!(memory: open_projection lease_projection apply_batch reset_projection dead_letters);

        async fn settle_dead_letter(
            &self,
            _: Arc<dyn Projection<Memory>>,
            _: Position,
            _: Option<StoredEvent>,
            _: Scope,
        ) -> Result<bool, ProjectionError> {
            assert!(self.asked.fetch_add(1, Ordering::SeqCst) < 10, "it is asked again and again");
            Ok(self.says)
        }
    }

    /// It was tried again for ever, at full speed.
    #[tokio::test]
    async fn a_retry_ends_though_its_store_keeps_the_letter() {
        for says in [false, true] {
            let (memory, stream, part) = (Memory::default(), StreamId::new("Order", 42), Partition::whole("Kept"));
            let (id, origin) = (Uuid::now_v7(), Arc::new(Origin::at(Timestamp::from_micros(0))));
            let event = NewEvent { id, event_type: "Counted", schema_version: 1, payload: "{}".into(), origin };
            let at = memory.append(&stream, ExpectedVersion::Any, vec![event]).await.unwrap().position;
            memory.open_projection(Arc::new(CheckpointOnly("Kept")), 1, Position::START).await.unwrap();
            let claim = Claim::new(Uuid::now_v7(), "a test", std::time::Duration::from_mins(1));
            assert_eq!(memory.lease_projection(part, claim.clone()).await.unwrap().taken, None);
            let event = memory.read_all(Position::START, &Filter::all(), 1).await.unwrap().events.remove(0);
            let letter = DeadLetter::parked(&event, Timestamp::from_micros(0));
            let batch = Batch::new(part, claim, Position::START, at).set_aside(Some(letter));
            memory.apply_batch(Arc::new(CheckpointOnly("Kept")), batch, Scope::current()).await.unwrap();
            let letters = DeadLetters::new(Keeping { memory, says, asked: Arc::default() }, CheckpointOnly("Kept"));
            let error = letters.retry(&stream).await.unwrap_err();
            assert!(error.to_string().contains("position 1 is still a dead letter"), "{error}");
            assert_eq!((error.event(), error.is_permanent()), (None, false));
        }
    }
}
