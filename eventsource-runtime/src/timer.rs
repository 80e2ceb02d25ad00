//! Tokio's timer: whether there is one, and deadlines on it.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

/// What counts as forever; the clock has an end.
pub(crate) const FAR: Duration = Duration::from_hours(365 * 24);

thread_local! {
    /// The runtime that was asked last, and whether it has a timer.
    static ASKED: Cell<Option<(Id, bool)>> = const { Cell::new(None) };
}

/// Whether `tokio::time` works here: in a Tokio runtime built with `enable_time`.
pub(crate) fn is_there() -> bool {
    let Ok(runtime) = Handle::try_current() else { return false };
    let id = runtime.id();
    if let Some((asked, answer)) = ASKED.get()
        && asked == id
    {
        return answer;
    }
    // Only a panic tells, and its message says what to write; once a thread is enough.
    let answer = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    ASKED.set(Some((id, answer)));
    answer
}

/// When a deadline that begins now ends.
pub(crate) fn until(deadline: Duration) -> Instant {
    Instant::now() + deadline.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_may_be_without_end() {
        assert!(until(Duration::MAX) > Instant::now() + FAR / 2);
        assert!(until(Duration::ZERO) <= Instant::now());
    }
}
