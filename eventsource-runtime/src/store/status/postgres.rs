//! The SQLSTATE of PostgreSQL.

use std::error::Error;

use crate::store::PostgresError;

pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    error.downcast_ref::<PostgresError>()?.code().map(str::to_owned)
}
