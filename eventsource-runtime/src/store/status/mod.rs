//! The code that a database gives to a failure.

#[cfg(not(all(feature = "postgres", feature = "sqlite")))]
mod none;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error;
use std::iter::successors;

#[cfg(not(feature = "postgres"))]
use none as postgres;
#[cfg(not(feature = "sqlite"))]
use none as sqlite;

/// The code of the first error that has one, among a failure and its causes.
pub(crate) fn status_code(error: &(dyn Error + 'static)) -> Option<String> {
    let mut errors = successors(Some(error), |&error| error.source());
    errors.find_map(|error| postgres::code(error).or_else(|| sqlite::code(error)))
}
