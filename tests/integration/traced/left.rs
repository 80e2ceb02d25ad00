//! What is left before its end: a stream at its first failure, and what panics where somebody catches that.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use async_trait::async_trait;
use eventsource_runtime::prelude::*;
use futures_util::stream::{self, Stream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use super::{Opaque, Refused, numbers, rendered};

/// It was told as cancelled, though all that it had to say had been heard.
#[tokio::test]
async fn a_stream_that_is_dropped_at_its_first_failure_has_failed() {
    let (collected, tree) = rendered(async { numbers(4).try_collect::<Vec<_>>().await }).await;
    assert!(collected.is_err());
    assert!(tree.starts_with("numbers ERROR\n  . count=4\n  . error.type=Refused\n  values\n"), "{tree}");
    assert_eq!(tree.matches("\n  values\n").count(), 3, "{tree}");
}

#[tokio::test]
async fn a_stream_that_is_dropped_in_a_panic_after_a_failure_has_panicked() {
    let dropped_in_panic = async {
        let mut numbers = Box::pin(numbers(4));
        while numbers.next().await.expect("it is not at its end").is_ok() {}
        panic!("elsewhere")
    };
    let (_, tree) = rendered(AssertUnwindSafe(dropped_in_panic).catch_unwind()).await;
    assert!(tree.starts_with("numbers ERROR\n  . count=4\n  . error.type=panic\n"), "{tree}");
}

#[traced]
fn breaks() -> impl Future<Output = Result<(), Refused>> {
    async {
        tokio::task::yield_now().await;
        panic!("in a poll")
    }
}

#[async_trait]
trait Breaks {
    #[traced]
    async fn breaks(&self) {
        breaks().await.unwrap();
    }
}

impl Breaks for Opaque {}

#[traced]
fn breaking() -> impl Stream<Item = u8> {
    stream::iter([0, 1]).map(|number| if number == 0 { number } else { panic!("in a poll") })
}

#[traced]
fn after() {}

/// Whose drop makes a span.
struct Transaction;

impl Drop for Transaction {
    fn drop(&mut self) {
        after();
    }
}

#[traced(record("rows" = rows))]
fn saves(transaction: Transaction, rows: u32) -> Result<(), Refused> {
    let _ = &transaction;
    if rows == 0 { Err(Refused("empty")) } else { Ok(()) }
}

#[traced(record("is.begun" = size_of_val(&transaction) == 0))]
fn begins(transaction: Transaction) {}

/// What is recorded is lent to the body, and was dropped when the span had ended.
#[tokio::test]
async fn what_is_recorded_is_dropped_within_the_span() {
    let both = async {
        saves(Transaction, 7).unwrap();
        saves(Transaction, 0).unwrap_err();
        begins(Transaction);
    };
    let ((), tree) = rendered(both).await;
    let saved = "saves\n  . rows=7\n  after\nsaves ERROR\n  . error.type=Refused\n  . rows=0\n  after\n";
    assert_eq!(tree, format!("{saved}begins\n  . is.begun=true\n  after\n"));
}

/// What panicked is dropped when the panic is over, and was told as cancelled.
#[tokio::test]
async fn a_panic_that_somebody_catches_fails_the_span() {
    let caught = async {
        AssertUnwindSafe(breaks()).catch_unwind().await.unwrap_err();
        after();
    };
    let ((), tree) = rendered(caught).await;
    assert_eq!(tree, "breaks ERROR\n  . error.type=panic\nafter\n");

    let (caught, tree) = rendered(AssertUnwindSafe(async { Opaque.breaks().await }).catch_unwind()).await;
    assert!(caught.is_err());
    assert_eq!(tree, "opaque.breaks ERROR\n  . error.type=panic\n  breaks ERROR\n    . error.type=panic\n");

    let caught = async {
        let caught: Vec<_> = AssertUnwindSafe(breaking()).catch_unwind().collect().await;
        after();
        caught
    };
    let (caught, tree) = rendered(caught).await;
    assert!(matches!(caught[..], [Ok(0), Err(_)]));
    assert_eq!(tree, "breaking ERROR\n  . error.type=panic\nafter\n");
}
