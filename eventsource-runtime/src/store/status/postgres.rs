//! The SQLSTATE of PostgreSQL, and its troubles.

use std::error::Error;

use crate::store::PostgresError;

pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    error.downcast_ref::<PostgresError>()?.code().map(str::to_owned)
}

pub(super) fn is_trouble(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(PostgresError::is_trouble)
}
