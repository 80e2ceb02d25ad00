//! Whether there is a Tokio timer.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::{Handle, Id};

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
