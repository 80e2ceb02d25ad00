//! What every adapter must do, as suites of tests; ours run them, and so may yours.
//!
//! Minor releases add cases, which a store or a bus may fail that has passed all others: in CI pin the minor version.

pub mod event_bus;
pub mod event_store;
pub mod projection_store;
pub mod snapshot_store;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use uuid::Uuid;

use crate::store::StreamId;

/// Makes a test of each case that a suite names.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    (@ [$suite:ident $open:expr] $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::testing::run($crate::testing::suite::$suite::$case($open));
            }
        )*
    };
}

/// A stream that no other test has.
fn a_stream() -> StreamId {
    StreamId::new("Order", Uuid::now_v7())
}

/// Polls a future so many times and drops it; returns its output if it was done by then.
async fn dropped_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|task| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(task) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // There is no further poll: what would wake the future later no longer matters.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
