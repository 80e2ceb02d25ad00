//! What a handler fails with.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::as_event::MessageError;
use crate::error::{BoxError, error_type, error_type_or, made_from_any};
use crate::store::is_trouble;
use crate::telemetry::PANIC;

/// A handler failed.
///
/// Made from any error with `?`. The message is retried a few times and then stored as a dead letter;
/// [`HandlerError::permanent`] says that a retry cannot help, as a [`MessageError`] does by itself. A store in trouble
/// is waited for ([`SubscriptionBuilder::patience`](super::SubscriptionBuilder::patience)), and so is whatever else the
/// handler needs if it fails with [`HandlerError::trouble`]. Its cause is in [`HandlerError::cause`].
///
/// What does not implement [`Error`], such as an `anyhow::Error` or a boxed error, is converted by
/// [`from_boxed`](Self::from_boxed):
///
/// ```
/// # use eventsource_runtime::bus::{HandlerError, Received};
/// # type Failure = Box<dyn std::error::Error + Send + Sync>; // or `anyhow::Error`
/// # async fn send_mail(_: &Received) -> Result<(), Failure> { Ok(()) }
/// async fn notify(message: Received) -> Result<(), HandlerError> {
///     send_mail(&message).await.map_err(HandlerError::from_boxed)?; // it fails with an `anyhow::Error`
///     Ok(())
/// }
/// ```
pub struct HandlerError {
    cause: BoxError,
    error_type: Cow<'static, str>,
    permanent: bool,
    /// Whether the handler says that something it needs is in trouble.
    trouble: bool,
}

impl HandlerError {
    /// A failure without an error type of its own.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::of("HandlerError", reason.into())
    }

    /// A failure with any cause, also one that is no [`Error`]: an `anyhow::Error`, an `eyre::Report`, a boxed error.
    ///
    /// Convert errors of stores, databases and messages with `?`, before anything boxes them: by their type the runtime
    /// tells a store in trouble, which it waits for, and what a retry cannot help, from other failures, and `anyhow`
    /// hides it.
    pub fn from_boxed<E: Into<BoxError>>(error: E) -> Self {
        let cause = error.into();
        Self::caused(error_type_or::<E>(&cause), cause)
    }

    /// A failure for which something that the handler needs is to blame, and not the message: a mail server that does
    /// not answer, a database of another driver. The message is retried for as long as the
    /// [`patience`](super::SubscriptionBuilder::patience) lasts, as if a store was in trouble, and costs none of its
    /// retries.
    ///
    /// ```
    /// # use eventsource_runtime::bus::{HandlerError, Received};
    /// # async fn connect() -> std::io::Result<()> { Ok(()) }
    /// async fn notify(message: Received) -> Result<(), HandlerError> {
    ///     connect().await.map_err(HandlerError::trouble)?; // fails while the mail server is away
    ///     Ok(())
    /// }
    /// ```
    pub fn trouble<E: Into<BoxError>>(error: E) -> Self {
        Self { trouble: true, ..Self::from_boxed(error) }
    }

    fn of(error_type: &'static str, cause: impl Into<BoxError>) -> Self {
        Self::caused(Cow::Borrowed(error_type), cause.into())
    }

    fn caused(error_type: Cow<'static, str>, cause: BoxError) -> Self {
        // What a message lacks, a retry does not add.
        Self { error_type, permanent: cause.is::<MessageError>(), trouble: false, cause }
    }

    /// Marks a failure that a retry cannot fix: the message becomes a dead letter at once.
    #[must_use]
    pub fn permanent(self) -> Self {
        Self { permanent: true, ..self }
    }

    /// The handler panicked; the panic's message may hold anything, and stays out of the error.
    pub(super) fn panicked() -> Self {
        Self::of(PANIC, "the handler panicked")
    }

    pub(super) fn timed_out(after: Duration) -> Self {
        Self::of("timeout", format!("the handler took longer than {after:?}; see `SubscriptionBuilder::timeout`"))
    }

    /// A short, stable name for telemetry.
    #[must_use]
    pub fn error_type(&self) -> &str {
        &self.error_type
    }

    /// What went wrong; of a panic it does not say what.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.cause
    }

    /// Whether a retry cannot help: see [`HandlerError::permanent`].
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// Whether something that the handler needs is in trouble: it says so, or a store or a bus does.
    pub(super) fn is_trouble(&self) -> bool {
        self.trouble || is_trouble(&*self.cause)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::caused(error_type(&error), Box::new(error))
    }
}

made_from_any!(HandlerError);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{BusError, PublishError};
    use crate::store::StoreError;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("no credit")]
    struct NoCredit;

    #[test]
    fn a_handlers_error_tells_its_cause_and_whether_a_retry_can_help() {
        let error = HandlerError::from(NoCredit);
        assert!(!error.is_permanent());
        let error = error.permanent();
        assert!(error.is_permanent());
        assert_eq!(error.cause().downcast_ref(), Some(&NoCredit));
    }

    #[test]
    fn a_message_that_is_not_understood_is_not_understood_later() {
        let missing = || MessageError::Missing { header: "event_id" };
        assert!(HandlerError::from(missing()).is_permanent());
        assert!(HandlerError::from_boxed(missing()).is_permanent());
    }

    #[test]
    fn what_is_no_error_itself_is_a_cause_too() {
        let boxed: Result<(), BoxError> = Err(NoCredit.into());
        let error = boxed.map_err(HandlerError::from_boxed).unwrap_err();
        assert_eq!((error.error_type(), error.is_permanent()), ("NoCredit", false));
        assert_eq!(error.cause().downcast_ref(), Some(&NoCredit));
    }

    #[test]
    fn what_a_handler_needs_is_in_trouble_if_it_says_so_or_a_store_or_a_bus_does() {
        let said = HandlerError::trouble(NoCredit);
        assert_eq!((said.error_type(), said.is_trouble(), said.is_permanent()), ("NoCredit", true, false));
        assert_eq!(said.cause().downcast_ref(), Some(&NoCredit));
        let boxed: BoxError = NoCredit.into();
        assert!(HandlerError::trouble(boxed).is_trouble());
        assert!(HandlerError::from(StoreError::Closed).is_trouble());
        assert!(!HandlerError::from(NoCredit).is_trouble() && !HandlerError::new("no credit").is_trouble());
    }

    /// Messages whose handlers publish would be dead letters of a program that is shut down.
    #[test]
    fn a_bus_that_is_shut_down_is_no_fault_of_the_message_that_is_handled() {
        for closed in [HandlerError::from(PublishError::Closed), HandlerError::from(BusError::Closed)] {
            assert!(closed.is_trouble() && !closed.is_permanent(), "{closed:?}");
        }
        let invalid = HandlerError::from(PublishError::invalid("orders", "the key", "is too long"));
        assert!(!invalid.is_trouble());
    }
}
