//! User code that only telemetry runs: whatever it does, the program behaves as without it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::backend::Mute;

/// Runs it; returns nothing after a panic, which ends here.
///
/// Spans are off in it: one that an attribute's `Display` makes would be stray, and one of the very function whose
/// attribute it is would compute that attribute again, without end.
#[inline]
pub(crate) fn guarded<R>(code: impl FnOnce() -> R) -> Option<R> {
    let _mute = Mute::new();
    contained(code)
}

/// The same, where the code is generic over a user's type: a few instructions more, but what catches a panic is
/// compiled once, rather than for each type.
pub(crate) fn guarded_by_type<R>(code: impl FnOnce() -> R) -> Option<R> {
    let (mut code, mut result) = (Some(code), None);
    let run: &mut dyn FnMut() = &mut || result = code.take().map(|code| code());
    guarded(run);
    result
}

/// [`guarded`], with spans as they are.
#[inline]
pub(crate) fn contained<R>(code: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(code)).map_err(discard).ok()
}

/// Drops a panic's payload. That may panic as well; the payload of that is leaked.
#[cold]
fn discard(said: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(said))) {
        std::mem::forget(again);
    }
}
