//! The extended result code of SQLite.

use std::error::Error;
use std::sync::Arc;

pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    // Appends in one transaction share its failure.
    let shared = error.downcast_ref::<Arc<rusqlite::Error>>().map(|error| &**error);
    let said = shared.or_else(|| error.downcast_ref())?.sqlite_error()?;
    Some(said.extended_code.to_string())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::{AppendError, StoreError, status_code};

    #[test]
    fn the_code_is_found_behind_what_wraps_it() {
        let refused = || Connection::open_in_memory().unwrap().execute_batch("SELECT * FROM nowhere").unwrap_err();
        let error = StoreError::backend("read", refused());
        assert_eq!(status_code(&error).as_deref(), Some("1"));
        let error: AppendError = StoreError::backend("append", Arc::new(refused())).into();
        assert_eq!(status_code(&error).as_deref(), Some("1"));
        assert_eq!(status_code(&StoreError::Closed), None);
    }
}
