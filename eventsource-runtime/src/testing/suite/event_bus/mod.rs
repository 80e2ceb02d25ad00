//! What every bus must do. [`event_bus_suite!`](crate::event_bus_suite) makes a test of each function.

#![allow(clippy::missing_panics_doc, reason = "a test says no by a panic")]

mod delivery;
mod failure;

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;

pub use delivery::*;
pub use failure::*;

use super::a_stream;
use crate::bus::{EventBus, HandlerError, Message, Received, SubscriptionBuilder, Traced};
use crate::store::StreamId;

/// Makes a module of tests that run the suite on a bus. The closure is called for each test and opens a bus without
/// messages and groups.
///
/// ```no_run
/// use eventsource_runtime::bus::InProcessBus;
/// use eventsource_runtime::event_bus_suite;
///
/// event_bus_suite!(in_process, || async { InProcessBus::new() });
/// ```
#[macro_export]
macro_rules! event_bus_suite {
    ($name:ident, $open:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the closure may need nothing of its surroundings")]
            use super::*;
            $crate::event_bus_suite! { @cases [$crate::suite_tests] [event_bus $open] }
        }
    };
    // Hands the names of all cases to another macro, behind `@` and what the caller wishes to get back.
    (@cases [$($macro:tt)+] $back:tt) => {
        $($macro)+! { @ $back
            a_message_comes_as_it_was_sent
            what_is_malformed_comes_all_the_same
            every_group_gets_every_message
            messages_of_a_stream_keep_their_order
            members_of_a_group_share_its_messages
            a_batch_is_what_is_there
            only_the_wanted_events_are_handled
            a_handler_may_publish_to_itself
            shutting_down_finishes_what_was_taken
            what_was_not_settled_comes_again
            a_message_that_fails_is_tried_again
            a_message_that_keeps_failing_is_a_dead_letter
            a_panic_is_a_failure
            a_failing_batch_costs_the_messages_at_fault_alone
            dead_letters_are_tried_again_when_asked
            a_dead_letter_that_fails_again_goes_back
        }
    };
}

/// How long a test waits for what must happen; a new group takes its time on some brokers.
const PATIENCE: Duration = Duration::from_mins(1);

/// The output of `body`, which must come in time.
async fn in_time<F: Future>(body: F) -> F::Output {
    tokio::time::timeout(PATIENCE, body).await.expect("it happens in time")
}

/// A message whose payload is its ordinal.
fn numbered(stream: &StreamId, ordinal: usize) -> Message {
    Message::new(stream.clone(), "OrderPlaced", ordinal.to_string())
}

fn ordinal(message: &Message) -> usize {
    std::str::from_utf8(message.payload()).ok().and_then(|text| text.parse().ok()).expect("the payload is a number")
}

/// A subscription that does not keep a test waiting.
fn subscription<B: EventBus>(bus: &Traced<B>, group: &str) -> SubscriptionBuilder<B> {
    bus.subscribe(group).max_retries(3).pauses(Duration::from_millis(1), Duration::from_millis(4))
}

async fn publish<B: EventBus>(bus: &Traced<B>, messages: impl IntoIterator<Item = Message>) {
    in_time(bus.publish_all(messages)).await.expect("a bus takes messages");
}

/// What a handler saw.
struct Seen(mpsc::UnboundedReceiver<Received>);

impl Seen {
    async fn next(&mut self) -> Received {
        in_time(self.0.recv()).await.expect("the handler is there")
    }

    async fn take(&mut self, count: usize) -> Vec<Received> {
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            taken.push(self.next().await);
        }
        taken
    }

    /// The next messages, this many different ones; a bus may deliver one twice.
    async fn different(&mut self, count: usize) -> Vec<Received> {
        let (mut ids, mut taken) = (HashSet::new(), Vec::with_capacity(count));
        while taken.len() < count {
            let received = self.next().await;
            if ids.insert(received.id()) {
                taken.push(received);
            }
        }
        taken
    }
}

/// A handler that reports what it gets and returns what it is told.
fn showing<A>(answer: A) -> (Seen, impl Fn(Received) -> std::future::Ready<Result<(), HandlerError>>)
where
    A: Fn(&Received) -> Result<(), HandlerError>,
{
    let (sender, seen) = mpsc::unbounded_channel();
    let handler = move |received: Received| {
        let answer = answer(&received);
        // A test may have seen enough.
        let _ = sender.send(received);
        std::future::ready(answer)
    };
    (Seen(seen), handler)
}

fn agreeing() -> (Seen, impl Fn(Received) -> std::future::Ready<Result<(), HandlerError>>) {
    showing(|_| Ok(()))
}
