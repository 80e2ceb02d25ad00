//! How a body ended, as its span tells it.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::ops::Deref;

use super::{Attributes, Values, backend};
use crate::error::{error_type, short_name};

/// What a finished body leaves on its span.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The name of the failure, if it failed.
    pub error_type: Option<Cow<'static, str>>,
    /// What the failure says, where somebody records that.
    pub error_text: Option<String>,
    /// What `record(..)` names.
    pub attributes: Attributes,
}

/// The span of a plain body, which ends with what is told of that.
pub trait Ends {
    /// The body is done. Whether anybody can see what would be told of it; if not, that was all.
    fn left(&mut self) -> bool;

    /// Records attributes, if anybody can see them.
    fn record(&mut self, keys: &[&'static str], values: &mut dyn Values);

    /// Ends the span.
    fn end(&mut self, outcome: Outcome);

    /// Ends the span of which there is nothing to tell.
    fn succeed(&mut self);
}

/// Finds out whether a returned value is an error, whatever its type: of the methods of one name, the compiler tries the
/// one that takes this itself first, then that of a `&`, then that of a `&mut`, and then that of what it derefs to; so
/// `Returned(&value).__es_tell(..)` picks the most telling one. Its methods have names that no trait in the user's scope has.
#[derive(Debug)]
pub struct Returned<'a, R: ?Sized>(pub &'a R);

/// A value that is no `Result`.
#[derive(Clone, Copy, Debug)]
pub struct NoResult;

/// Never to the value itself, whose type may not be known yet.
impl<R: ?Sized> Deref for Returned<'_, R> {
    type Target = NoResult;

    fn deref(&self) -> &NoResult {
        &NoResult
    }
}

/// A `Result` whose error names its variant, and says more where somebody records that and it can.
pub trait ReturnedDebug: Sized {
    /// Takes the error's name.
    fn __es_tell(self, outcome: &mut Outcome);

    /// Ends a span with it.
    fn __es_end(self, span: &mut impl Ends) {
        end(span, |outcome| self.__es_tell(outcome));
    }
}

impl<T, E: Debug + Display> ReturnedDebug for Returned<'_, Result<T, E>> {
    fn __es_tell(self, outcome: &mut Outcome) {
        if let Err(error) = self.0 {
            outcome.error_type = Some(error_type(error));
            outcome.error_text = backend::error_text_for_any(error);
        }
    }
}

impl<T, E: Debug> ReturnedDebug for &Returned<'_, Result<T, E>> {
    fn __es_tell(self, outcome: &mut Outcome) {
        if let Err(error) = self.0 {
            outcome.error_type = Some(error_type(error));
        }
    }
}

/// A `Result` whose error has a type and nothing else.
pub trait ReturnedResult: Sized {
    /// Takes the name of the error's type.
    fn __es_tell(self, outcome: &mut Outcome);

    /// Ends a span with it.
    fn __es_end(self, span: &mut impl Ends) {
        end(span, |outcome| self.__es_tell(outcome));
    }
}

impl<T, E> ReturnedResult for &mut Returned<'_, Result<T, E>> {
    fn __es_tell(self, outcome: &mut Outcome) {
        if self.0.is_err() {
            outcome.error_type = Some(Cow::Borrowed(short_name::<E>()));
        }
    }
}

/// Any other value: no failure.
pub trait ReturnedValue: Sized {
    /// Nothing to take.
    fn __es_tell(self, _outcome: &mut Outcome) {}

    /// Ends a span with nothing.
    fn __es_end(self, span: &mut impl Ends) {
        if span.left() {
            span.succeed();
        }
    }
}

impl ReturnedValue for NoResult {}

#[inline]
fn end(span: &mut impl Ends, tell: impl FnOnce(&mut Outcome)) {
    if span.left() {
        let mut outcome = Outcome::default();
        tell(&mut outcome);
        span.end(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Opaque;

    #[derive(Debug)]
    struct Refused;

    #[derive(Debug, thiserror::Error)]
    #[error("said")]
    struct Said;

    #[test]
    fn an_error_is_found_behind_any_type() {
        let mut outcome = Outcome::default();
        Returned(&Err::<(), _>(Refused)).__es_tell(&mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Refused"));
        Returned(&Err::<(), _>(Opaque)).__es_tell(&mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Opaque"));
        Returned(&Err::<(), _>(Said)).__es_tell(&mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Said"));
        Returned(&Ok::<_, Said>(1)).__es_tell(&mut outcome);
        Returned(&Ok::<_, Refused>(1)).__es_tell(&mut outcome);
        Returned(&Ok::<_, Opaque>(1)).__es_tell(&mut outcome);
        Returned(&7).__es_tell(&mut outcome);
        Returned("any").__es_tell(&mut outcome);
        assert_eq!(outcome.error_type, None);
        assert_eq!(outcome.error_text, None, "nobody records what errors say");
    }
}
