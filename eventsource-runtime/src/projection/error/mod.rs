//! Why a projection's step failed.

mod judged;

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::changed::PartitionsChanged;
use super::partition::Partition;
use crate::dispatch::{ChainTooLong, DispatchJsonError};
use crate::domain::{DecodeError, StoredEvent};
use crate::error::{BoxError, error_type, error_type_or, made_from_any};
use crate::store::{Position, StoreError, is_trouble};
use crate::telemetry::Scope;
use crate::telemetry::log::Reason;

/// Any error that a projection's step can end with; `?` converts every other error into it.
///
/// Like a boxed error it does not implement [`Error`], so that `?` can convert all types that do; its cause is in
/// [`ProjectionError::cause`]. What does not implement it either, such as an `anyhow::Error` or a boxed error, is
/// converted by [`from_boxed`](Self::from_boxed):
///
/// ```
/// # use eventsource_runtime::projection::ProjectionError;
/// # type Failure = Box<dyn std::error::Error + Send + Sync>; // or `anyhow::Error`
/// # fn price(text: &str) -> Result<u64, Failure> { Ok(text.parse()?) }
/// fn priced(text: &str) -> Result<u64, ProjectionError> {
///     let price = price(text).map_err(ProjectionError::from_boxed)?; // `price` fails with an `anyhow::Error`
///     Ok(price)
/// }
/// # assert_eq!(priced("7").unwrap(), 7);
/// # assert_eq!(priced("x").unwrap_err().cause().to_string(), "invalid digit found in string");
/// ```
#[expect(clippy::struct_excessive_bools, reason = "what is known of it, each for itself")]
pub struct ProjectionError {
    error_type: Cow<'static, str>,
    cause: BoxError,
    /// The event whose step failed; `None` if it was not a step.
    event: Option<Box<StoredEvent>>,
    /// Up to where its batch was applied and is kept nevertheless.
    kept: Option<Position>,
    /// Whether the cause's message may be kept where others read it.
    is_told: bool,
    /// Whether others only kept what it needed in use.
    waits: bool,
    /// Whether something that it needed is in trouble: it said so, or others appended to its stream first, each time.
    trouble: bool,
    /// Whether no retry can help.
    permanent: bool,
    /// The scope of the step; `None` if it was not a step. Later log records about the error belong there.
    scope: Option<Scope>,
}

impl ProjectionError {
    /// A failure without a cause. The reason is kept with the dead letter, if there is one: name nothing confidential
    /// in it.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::of("projection", reason.into())
    }

    /// A failure with any cause, also one that is no [`Error`]: an `anyhow::Error`, an `eyre::Report`, a boxed error.
    /// Of its text the dead letter keeps nothing, as with `?`.
    ///
    /// Convert errors of the step's transaction with `?`, before anything boxes them: by their type the runtime tells a
    /// store in trouble, which it waits for, from an event at fault, and `anyhow` hides it.
    pub fn from_boxed<E: Into<BoxError>>(error: E) -> Self {
        let cause = error.into();
        Self::bare(error_type_or::<E>(&cause), cause, false)
    }

    /// A failure for which something that the step needs is to blame, and not the event: a server that does not answer,
    /// a database of another driver. The event is retried for as long as the
    /// [`patience`](super::ProjectionRunner::patience) lasts, whatever the policy, as if the store was in trouble.
    ///
    /// ```
    /// # use eventsource_runtime::projection::ProjectionError;
    /// # fn index(_: &str) -> std::io::Result<()> { Ok(()) }
    /// fn indexed(text: &str) -> Result<(), ProjectionError> {
    ///     index(text).map_err(ProjectionError::trouble) // fails while the search server is away
    /// }
    /// # assert!(indexed("7").is_ok());
    /// ```
    pub fn trouble<E: Into<BoxError>>(error: E) -> Self {
        Self::from_boxed(error).passing()
    }

    /// Marks a failure that a retry cannot fix: the policy decides at once, as it does by itself if the cause is a
    /// [`DecodeError`] or a [`ChainTooLong`]. A set-up or a reset that fails with it stops the projection at once. The
    /// trouble of the store in which the step writes is waited for nevertheless.
    ///
    /// ```
    /// # use eventsource_runtime::projection::ProjectionError;
    /// fn country(code: &str) -> Result<&'static str, ProjectionError> {
    ///     match code {
    ///         "SE" => Ok("Sweden"),
    ///         _ => Err(ProjectionError::new("a country without a name").permanent()),
    ///     }
    /// }
    /// # assert_eq!(country("SE").unwrap(), "Sweden");
    /// ```
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { permanent: true, trouble: false, ..self }
    }

    fn of(error_type: &'static str, cause: impl Into<BoxError>) -> Self {
        Self::bare(Cow::Borrowed(error_type), cause.into(), true)
    }

    fn bare(error_type: Cow<'static, str>, cause: BoxError, is_told: bool) -> Self {
        // What the program cannot read, it cannot read later; and the length of a chain is stored.
        let permanent = cause.is::<DecodeError>() || cause.is::<ChainTooLong>();
        let (event, kept, waits, trouble, scope) = (None, None, false, false, None);
        Self { error_type, cause, event, kept, is_told, waits, trouble, permanent, scope }
    }

    /// Marks the error as that of the step for an event; stores call this. It is left to the projection's policy, while
    /// an error of the store itself is retried until the store works. So is one that comes from the trouble of a store
    /// that the step called, to dispatch a command for example, as long as a [`StoreError`] is among its causes, or what
    /// PostgreSQL or SQLite reported: it stays unmarked. So does what the step calls [`trouble`](Self::trouble), and not
    /// what it calls [`permanent`](Self::permanent).
    #[must_use]
    pub fn at(self, event: &StoredEvent) -> Self {
        if self.trouble {
            return self;
        }
        if !self.permanent && is_trouble(&*self.cause) {
            return Self::store(StoreError::backend("call another store from a projection's step", self.cause));
        }
        self.blaming(event)
    }

    /// Marks the error as that of the step for an event, whatever its cause.
    pub(crate) fn blaming(self, event: &StoredEvent) -> Self {
        Self { event: Some(Box::new(event.clone())), ..self }
    }

    /// The event whose step failed; `None` if the store failed.
    #[must_use]
    pub fn event(&self) -> Option<Position> {
        self.event.as_ref().map(|event| event.position)
    }

    /// Marks the error as that of a batch of which everything up to a position was applied, and is kept.
    pub(crate) fn keeping(self, kept: Option<Position>) -> Self {
        Self { kept, ..self }
    }

    pub(crate) fn kept(&self) -> Option<Position> {
        self.kept
    }

    /// Marks the error as that of a step in a span.
    pub(super) fn within(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }

    /// Runs a closure in the scope of the step: its span has ended, but log records still belong to it.
    pub(super) fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        match &self.scope {
            Some(scope) => scope.in_scope(body),
            None => body(),
        }
    }

    /// A store that cannot build aside.
    pub(super) fn no_aside(projection: &str) -> Self {
        Self::new(format!("the store of projection `{projection}` cannot build it aside; rebuild it in place"))
    }

    /// A batch for a projection that the store does not know.
    pub(crate) fn not_open(projection: &str) -> Self {
        Self::new(format!("projection `{projection}` has no checkpoint in this store; open it first"))
    }

    /// A part that the store does not know, of a projection that has `stored` parts.
    pub(crate) fn no_part(partition: Partition, stored: u32) -> Self {
        // The number may have been changed to this since the part was looked up: then the next look finds it.
        if stored == 0 || stored == partition.count {
            return Self::not_open(partition.projection);
        }
        PartitionsChanged::new(partition.projection, stored, partition.count).into()
    }

    /// Marks a cause whose message others may read.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn told(self) -> Self {
        Self { is_told: true, ..self }
    }

    /// A failure of the store itself.
    #[must_use]
    pub fn store(error: StoreError) -> Self {
        Self::of(error.error_type(), error)
    }

    /// A letter that was retried and is still there.
    pub(super) fn remaining(letter: Position) -> Self {
        let reason = format!(
            "the event at position {letter} is still a dead letter after its retry; retry the stream again if another \
             program may have set it aside meanwhile"
        );
        Self::new(reason).passing()
    }

    /// Adds to the failure of a store what it was about; other errors stay as they are.
    pub(crate) fn about(mut self, on: impl FnOnce() -> String, advice: &str) -> Self {
        if let Some(error) = self.cause.downcast_mut::<StoreError>() {
            let failed = std::mem::replace(error, StoreError::Closed);
            *error = failed.about(on, advice);
        }
        self
    }

    /// The error of a step, or of the projection's task, that panicked.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
        let reason = format!("panicked: {}", said.unwrap_or("it did not say why"));
        Self { is_told: false, ..Self::of("panic", reason) }
    }

    /// The reason, as a dead letter keeps it: of a user's own error only its name, since its text may be confidential.
    pub(super) fn reason(&self) -> String {
        if self.is_told { self.cause.to_string() } else { format!("`{}`; what it said is not kept", self.error_type) }
    }

    /// What went wrong.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.cause
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    /// The error of something that is in trouble, and no event at fault.
    pub(crate) fn passing(self) -> Self {
        Self { trouble: true, permanent: false, ..self }
    }

    /// The error under the name that its cause has elsewhere.
    pub(crate) fn named(self, error_type: &'static str) -> Self {
        Self { error_type: Cow::Borrowed(error_type), ..self }
    }

    /// Why, as the log tells it.
    pub(crate) fn logged(&self) -> Reason<'_> {
        Reason::new(&self.error_type, &*self.cause, self.event.as_deref())
    }

    /// The error of the same failure, as the server tells it: with what the step says of a retry.
    #[cfg(feature = "postgres")]
    pub(crate) fn retold(self, told: Self) -> Self {
        Self { trouble: self.trouble, permanent: self.permanent, ..told }
    }

    /// The name of the error, and what went wrong.
    pub(super) fn into_parts(self) -> (Cow<'static, str>, BoxError) {
        (self.error_type, self.cause)
    }

    /// A conflict that came each time: others append to the stream without a pause.
    pub(crate) fn overtaken(error: impl Error + Send + Sync + 'static) -> Self {
        Self::from(error).named("conflict").passing()
    }

    /// Marks the failure of a store whose connections others had in use for longer than a call waits.
    #[cfg(feature = "postgres")]
    pub(crate) fn waiting(self) -> Self {
        Self { waits: true, ..self }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ProjectionError {
    fn from(error: E) -> Self {
        let said_by_us: &dyn Any = &error;
        let is_told = said_by_us.is::<StoreError>()
            || said_by_us.is::<DecodeError>()
            || said_by_us.is::<DispatchJsonError>()
            || said_by_us.is::<ChainTooLong>();
        Self::bare(error_type(&error), Box::new(error), is_told)
    }
}

made_from_any!(ProjectionError);

/// An error of a user's, whose `Debug` says what must not be told.
#[cfg(test)]
#[derive(Debug, thiserror::Error)]
#[error("a row is refused")]
pub(super) struct Refused {
    pub(super) _row: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_quotes_nothing_that_display_does_not() {
        let error = ProjectionError::from(Refused { _row: "secret" });
        assert_eq!(format!("{error:?}"), "ProjectionError(Refused: a row is refused)");
    }

    /// As `anyhow::Error` is: no error itself, with a `Debug` that is its message.
    struct Anyhow(Refused);

    impl From<Anyhow> for BoxError {
        fn from(error: Anyhow) -> Self {
            error.0.into()
        }
    }

    #[test]
    fn what_is_no_error_itself_is_a_cause_whose_text_is_not_kept() {
        let error = ProjectionError::from_boxed(Anyhow(Refused { _row: "secret" }));
        assert!(error.cause().is::<Refused>());
        assert_eq!(error.reason(), "`Refused`; what it said is not kept");
        let boxed = ProjectionError::from_boxed(BoxError::from("text of a user"));
        assert_eq!((boxed.error_type(), &*boxed.reason()), ("Error", "`Error`; what it said is not kept"));
    }
}
