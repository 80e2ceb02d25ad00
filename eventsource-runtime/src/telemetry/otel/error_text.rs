//! Whether what errors say is recorded.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;

use super::pipeline::Active;
use super::toggle;
use crate::telemetry::failure;

/// Whether a set-up of this process does so, or did: so that nothing but a load is spent where none ever does.
static BY_ANY: AtomicBool = AtomicBool::new(false);

/// A set-up records what errors say.
pub(super) fn is_recorded() {
    BY_ANY.store(true, Ordering::Relaxed);
}

/// What an error says, where any set-up records it: it is left out later if that of the span does not.
pub(in crate::telemetry) fn error_text_for_any(error: &dyn Display) -> Option<String> {
    BY_ANY.load(Ordering::Relaxed).then(|| failure::shown(error))
}

/// Whether the set-up of the code that runs here records what errors say.
pub(in crate::telemetry) fn records_error_text() -> bool {
    let records = |current: &Context| Active::of(current).pipeline().is_some_and(|pipeline| pipeline.error_text);
    BY_ANY.load(Ordering::Relaxed) && toggle::has_context() && Context::map_current(records)
}
