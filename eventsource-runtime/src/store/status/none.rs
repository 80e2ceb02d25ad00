//! A database that is not built in.

use std::error::Error;

pub(super) fn code(_: &(dyn Error + 'static)) -> Option<String> {
    None
}

pub(super) fn is_trouble(_: &(dyn Error + 'static)) -> bool {
    false
}
