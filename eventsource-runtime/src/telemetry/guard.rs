//! Code of the user's that telemetry alone asks for: whatever it does, the program does what it would have done.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::backend::Mute;

/// Runs it; nothing after a panic, which ends here.
///
/// Spans are off in it: one that an attribute's `Display` makes would be a stray, and one of the very function whose
/// attribute it is would ask for that attribute again, without end.
#[inline]
pub(crate) fn guarded<R>(code: impl FnOnce() -> R) -> Option<R> {
    let _mute = Mute::new();
    contained(code)
}

/// The same with spans as they are.
#[inline]
pub(crate) fn contained<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(discard).ok()
}

/// Drops what a panic said. That may panic as well; what is said then is left alone.
#[cold]
fn discard(said: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(said))) {
        std::mem::forget(again);
    }
}
