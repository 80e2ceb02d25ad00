//! What every adapter must do, as suites of tests; ours run them, and so may yours.
//!
//! Minor releases add cases, which a store or a bus may fail that has passed all others: in CI pin the minor version.
//!
//! # What the suites do not test
//!
//! Each case opens a store of its own, and those who call it at once are tasks with clones of it, in one process. So a
//! store passes that keeps its positions, leases or turns in the memory of the process, and breaks as soon as two
//! processes share a database. Nothing is stopped, killed or opened again, and no connection is lost. Nor does a case
//! see the errors of a store that fails or is closed, how much memory a call takes, or how long one takes.
//!
//! Of a store for several processes, test yourself with two that are opened on one database, each with connections,
//! caches and threads of its own:
//!
//! - Both append to one stream with the version that they saw: one wins each version, and the other gets a conflict.
//! - An append that was made by one is made again by the other: it is stored once, and has its first result. The same
//!   at once.
//! - While both append, a subscription of each shows every event once, in order of position, and none appears behind a
//!   reader: let one writer take its position and commit after another that took its own later.
//! - An append by one is seen by whoever waits in [`changed`](crate::store::EventStore::changed) of the other, after
//!   the polling interval at the latest, and [`head`](crate::store::EventStore::head) of the other has moved.
//! - A snapshot that one saved is loaded by the other.
//! - Of a projection's lease claimed by both, one has it. After a takeover the late batch, the late reset and the
//!   renewal of the first are refused, even if the clocks of the two processes differ; a batch of one, and a letter
//!   that the other settles, take turns; so do two that open the projection, for the first time or in other parts.
//!
//! And with a process of its own: kill it, again and again, while it appends and applies batches. What it has
//! acknowledged is there when the database is opened again, each append is whole or absent, each event took effect
//! once, and nothing that it held keeps others out for longer than a lease. Cut its connections as well: an append that
//! fails then may have been made, made again has the first result, and the store works on without being opened again.

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
