//! A database that is not built in.

use std::borrow::Cow;
use std::error::Error;

pub(super) fn code(_: &(dyn Error + 'static)) -> Option<String> {
    None
}

pub(super) fn name(_: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    None
}

pub(super) fn is_trouble(_: &(dyn Error + 'static)) -> bool {
    false
}

pub(super) fn is_undone(_: &(dyn Error + 'static)) -> bool {
    false
}

pub(super) fn remedy(_: &(dyn Error + 'static)) -> Option<&'static str> {
    None
}
