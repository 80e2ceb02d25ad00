//! How a body ended, as its span tells it.

use std::borrow::Cow;
use std::fmt::Debug;

use super::Attributes;
use crate::error::{error_type, short_name};

/// What a finished body leaves on its span.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The name of the failure, if it failed.
    pub error_type: Option<Cow<'static, str>>,
    /// What `record(..)` names.
    pub attributes: Attributes,
}

/// Finds out whether a returned value is an error, whatever its type: the method that needs the fewest borrows wins,
/// so `(&&&Returned(&value)).outcome(..)` picks the most telling one.
#[derive(Debug)]
pub struct Returned<'a, R: ?Sized>(pub &'a R);

/// A `Result` whose error names its variant.
pub trait ReturnedDebug {
    /// Takes the error's name.
    fn outcome(&self, outcome: &mut Outcome);
}

impl<T, E: Debug> ReturnedDebug for &&Returned<'_, Result<T, E>> {
    fn outcome(&self, outcome: &mut Outcome) {
        if let Err(error) = self.0 {
            outcome.error_type = Some(error_type(error));
        }
    }
}

/// A `Result` whose error has a type and nothing else.
pub trait ReturnedResult {
    /// Takes the name of the error's type.
    fn outcome(&self, outcome: &mut Outcome);
}

impl<T, E> ReturnedResult for &Returned<'_, Result<T, E>> {
    fn outcome(&self, outcome: &mut Outcome) {
        if self.0.is_err() {
            outcome.error_type = Some(Cow::Borrowed(short_name::<E>()));
        }
    }
}

/// Any other value: no failure.
pub trait ReturnedValue {
    /// Nothing to take.
    fn outcome(&self, _outcome: &mut Outcome) {}
}

impl<R: ?Sized> ReturnedValue for Returned<'_, R> {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Opaque;

    #[derive(Debug)]
    struct Refused;

    #[test]
    #[expect(clippy::needless_borrow, reason = "as expansions write it, whatever the type")]
    fn an_error_is_found_behind_any_type() {
        let mut outcome = Outcome::default();
        (&&&Returned(&Err::<(), _>(Refused))).outcome(&mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Refused"));
        (&&&Returned(&Err::<(), _>(Opaque))).outcome(&mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Opaque"));
        (&&&Returned(&Ok::<_, Refused>(1))).outcome(&mut outcome);
        (&&&Returned(&7)).outcome(&mut outcome);
        assert_eq!(outcome.error_type, None);
    }
}
