//! Whether the text of errors is recorded.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;

use super::pipeline::Active;
use super::toggle;
use crate::telemetry::failure;

/// Whether any set-up of this process does or did so: otherwise only a load is spent.
static BY_ANY: AtomicBool = AtomicBool::new(false);

/// A set-up records the text of errors.
pub(super) fn is_recorded() {
    BY_ANY.store(true, Ordering::Relaxed);
}

/// The text of an error, if any set-up records it: it is left out later if that of the span does not.
pub(in crate::telemetry) fn error_text_for_any(error: &dyn Display) -> Option<String> {
    BY_ANY.load(Ordering::Relaxed).then(|| failure::shown(error))
}

/// Whether the set-up of the code that runs here records the text of errors.
pub(in crate::telemetry) fn records_error_text() -> bool {
    let records = |current: &Context| Active::of(current).pipeline().is_some_and(|pipeline| pipeline.error_text);
    BY_ANY.load(Ordering::Relaxed) && toggle::has_context() && Context::map_current(records)
}
