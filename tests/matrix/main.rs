//! Items of every legal shape, generated so that each level of each factor meets each level of every other one, where
//! the language lets them: with our macros they compile, do what their twins do without, and leave their spans.

// What is generated varies the shape, not the style; `tests/hygiene` has the lints.
#![allow(warnings, clippy::all, clippy::pedantic, missing_docs, reason = "generated in every shape there is")]

mod drops;

/// What the items are made of.
pub mod support {
    pub use std::fmt::{Debug, Display};
    pub use std::future::Future;
    pub use std::marker::PhantomData;
    pub use std::pin::Pin;
    pub use std::sync::Arc;
    pub use std::sync::atomic::AtomicU32;
    pub use std::sync::atomic::Ordering::Relaxed;

    pub use async_trait::async_trait;
    pub use eventsource_runtime::prelude::*;
    pub use futures_util::{FutureExt, Stream, StreamExt};
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::Value;

    /// The runtime behind another name.
    pub mod renamed {
        pub use eventsource_runtime as es;
    }

    /// Names that an expansion must not meet.
    pub struct Site;
    pub struct Attributes;
    pub struct Span;
    pub struct Outcome;

    pub struct Item {
        pub name: &'static str,
        pub plain: fn() -> String,
        pub traced: fn() -> String,
        pub spans: usize,
        pub failed: bool,
    }

    #[derive(Clone, Copy, Debug)]
    pub struct Point {
        pub x: u32,
        pub y: u32,
    }

    #[derive(Debug)]
    pub struct Refused(pub u32);

    impl Display for Refused {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "refused: {}", self.0)
        }
    }

    impl std::error::Error for Refused {}

    /// An id of the user's own.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Key(pub u32);

    impl Display for Key {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{}", self.0)
        }
    }

    /// What handlers borrow.
    pub struct Clock;

    /// A domain, and what it tells after one command.
    pub struct Domain {
        pub name: &'static str,
        pub run: fn() -> Later<String>,
        pub expected: &'static str,
    }

    pub struct Opaque;

    pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;
    pub type Several<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

    pub fn same(number: &u32) -> &u32 {
        number
    }

    pub fn block<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        let mut task = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut task) {
                return value;
            }
        }
    }

    pub fn collect<S: Stream>(stream: S) -> Vec<S::Item> {
        block(stream.collect())
    }
}

pub mod functions {
    include!(concat!(env!("OUT_DIR"), "/functions.rs"));
}

pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/messages.rs"));
}

use eventsource_tests::recorder::Recorder;
use opentelemetry::trace::Status;

/// How many items an edition has at least.
const OF_AN_EDITION: usize = 850;
/// How many of them are functions.
const FUNCTIONS: usize = 390;
/// What our macros stand at in a domain: three events, two aggregates, a command and its handler, a query and its
/// handler, a projection, a process manager.
const OF_A_DOMAIN: usize = 11;

/// Everything that is wrong with the items, one a line.
fn faults(items: &[support::Item]) -> Vec<String> {
    items.iter().filter_map(|item| fault(item).map(|fault| format!("{}: {fault}", item.name))).collect()
}

fn fault(item: &support::Item) -> Option<String> {
    let recorder = Recorder::new();
    let plain = (item.plain)();
    let traced = support::block(recorder.run(async { (item.traced)() }));
    if traced != plain {
        return Some(format!("returned {traced}, not {plain}"));
    }
    let spans = recorder.spans();
    if spans.len() != item.spans || recorder.open_spans() != 0 {
        return Some(format!("{} spans, {} open", spans.len(), recorder.open_spans()));
    }
    let failed = spans.iter().any(|span| matches!(span.status, Status::Error { .. }));
    (failed != (item.failed && item.spans > 0)).then(|| format!("failed: {failed}"))
}

#[test]
fn functions_do_what_their_twins_do_and_leave_their_spans() {
    let faults = faults(functions::ITEMS);
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), functions::ITEMS.len(), faults.join("\n"));
    assert!(functions::ITEMS.len() >= FUNCTIONS, "only {}", functions::ITEMS.len());
    let all = functions::ITEMS.len() + messages::DOMAINS.len() * OF_A_DOMAIN;
    assert!(all >= OF_AN_EDITION, "only {all}");
}

#[tokio::test]
async fn domains_do_what_was_asked_of_them() {
    let mut faults = Vec::new();
    for domain in messages::DOMAINS {
        let recorder = Recorder::new();
        let told = recorder.run((domain.run)()).await;
        if told != domain.expected {
            faults.push(format!("{}: {told}, not {}", domain.name, domain.expected));
        }
        if recorder.open_spans() != 0 {
            faults.push(format!("{}: {} spans are open", domain.name, recorder.open_spans()));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), messages::DOMAINS.len(), faults.join("\n"));
    assert!(messages::DOMAINS.len() >= 45, "only {}", messages::DOMAINS.len());
}
