//! What a database says of a failure that others have wrapped: its code, whether it is in trouble itself, whether it
//! has stored anything, and what helps.

#[cfg(not(all(feature = "postgres", feature = "sqlite")))]
mod none;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::borrow::Cow;
use std::error::Error;
use std::iter::successors;

#[cfg(not(feature = "postgres"))]
use none as postgres;
#[cfg(not(feature = "sqlite"))]
use none as sqlite;

use super::StoreError;
use crate::bus;
use crate::domain::DecodeError;
use crate::error::error_type;

/// The code of the first error that has one, among a failure and its causes.
pub(crate) fn status_code(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|error| postgres::code(error).or_else(|| sqlite::code(error)))
}

/// The event that cannot be read, if that is among a failure and its causes.
pub(crate) fn unreadable<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DecodeError> {
    causes(error).find_map(|error| match error.downcast_ref() {
        Some(StoreError::Decode(error)) => Some(error),
        _ => error.downcast_ref(),
    })
}

/// The name of an error of the system or of a database's driver.
pub(crate) fn drivers_name(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    let of_system = error.downcast_ref().map(|error: &std::io::Error| error_type(&error.kind()));
    of_system.or_else(|| postgres::name(error)).or_else(|| sqlite::name(error))
}

/// The name of the first error that is one of these, or of a store, among a failure and its causes.
pub(crate) fn known_name(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    causes(error).find_map(|error| {
        let of_store = error.downcast_ref().map(|error: &StoreError| Cow::Borrowed(error.error_type()));
        of_store.or_else(|| drivers_name(error))
    })
}

/// The code of a failure for which a statement is to blame, whatever its parameters, such as a table or a column that is
/// not there. `SQLite` has one code for that and for what cannot be computed, which can it no better another time.
pub(crate) fn wrong_statement(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|error| {
        let wrong = postgres::code(error).filter(|code| code.starts_with("42"));
        wrong.or_else(|| sqlite::code(error).filter(|code| code == "1"))
    })
}

/// Whether a failure, or one of its causes, is that of a store in trouble, such as a connection that was lost, or that
/// of a bus that was shut down.
pub(crate) fn is_trouble(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| {
        error.downcast_ref().is_some_and(StoreError::is_trouble)
            || postgres::is_trouble(error)
            || sqlite::is_trouble(error)
            || bus::is_closed(error)
    })
}

/// Whether the database says of a write that it has stored nothing; otherwise that is not known.
pub(crate) fn is_undone(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| postgres::is_undone(error) || sqlite::is_undone(error))
}

/// What helps, where to wait and try again does not, or not alone.
pub(crate) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    causes(error).find_map(|error| postgres::remedy(error).or_else(|| sqlite::remedy(error)))
}

/// An error and its causes.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::dispatch::{DispatchError, DispatchJsonError};
    use crate::snapshot::SnapshotError;
    use crate::store::AppendError;

    #[derive(Debug, thiserror::Error)]
    #[error("it was not passed on")]
    struct Wrapped(#[source] Box<dyn Error>);

    fn is_so(error: impl Error + 'static) -> bool {
        let alone = is_trouble(&error);
        assert_eq!(is_trouble(&Wrapped(Box::new(Wrapped(Box::new(error))))), alone);
        alone
    }

    #[test]
    fn a_store_in_trouble_is_found_in_whatever_wraps_it() {
        let away = || StoreError::backend("append events", "nobody is there");
        let refused = || StoreError::refused("append events", "it is too long");
        for (error, expected) in [(away as fn() -> _, true), (|| StoreError::Closed, true), (refused, false)] {
            assert_eq!(is_so(error()), expected);
            assert_eq!(is_so(AppendError::Store(error())), expected);
            assert_eq!(is_so(SnapshotError::Store(error())), expected);
            assert_eq!(is_so(DispatchError::<Infallible>::Load(error())), expected);
            assert_eq!(is_so(DispatchError::<Infallible>::Append(error().into())), expected);
            assert_eq!(is_so(DispatchJsonError::Load(error())), expected);
            assert_eq!(is_so(DispatchJsonError::Append(error().into())), expected);
        }
        assert!(!is_so(Wrapped("no store at all".into())));
    }
}
