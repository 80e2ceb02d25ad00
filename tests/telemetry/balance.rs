//! Spans that four threads start, poll, enter, hand on and drop as the dice fall: each ends once, and not before what
//! it covers.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{Scope, Telemetry, span};
use eventsource_tests::dice::Dice;
use opentelemetry::Context as OtelContext;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

const THREADS: usize = 4;
const STEPS: usize = 5_000;

/// What is known of a span: whether what it covers is over, and how often it ended.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    over: bool,
    started: usize,
    ended: usize,
    /// It ended while what it covers went on.
    early: bool,
}

/// Each span by the number that it shows.
#[derive(Clone, Debug, Default)]
struct Book(Arc<Mutex<HashMap<i64, Known>>>);

impl Book {
    fn of<R>(&self, number: i64, change: impl FnOnce(&mut Known) -> R) -> R {
        change(self.0.lock().unwrap().entry(number).or_default())
    }
}

fn number(span: &SpanData) -> Option<i64> {
    let shown = span.attributes.iter().find(|attribute| attribute.key.as_str() == "number")?;
    shown.value.to_string().parse().ok()
}

impl SpanProcessor for Book {
    fn on_start(&self, span: &mut Span, _: &OtelContext) {
        if let Some(number) = span.exported_data().as_ref().and_then(number) {
            self.of(number, |known| known.started += 1);
        }
    }

    fn on_end(&self, span: SpanData) {
        if let Some(number) = number(&span) {
            self.of(number, |known| {
                known.ended += 1;
                known.early |= !known.over;
            });
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Waits for as many polls as it is told to. In each, its span is the current one; when it is dropped, too.
struct Covered {
    book: Book,
    number: i64,
    polls: u64,
    span: Option<u64>,
}

impl Covered {
    fn is_current(&mut self) {
        let current = TraceContext::current().map(|context| context.span_id());
        assert!(current.is_some() && *self.span.get_or_insert(current.unwrap()) == current.unwrap());
        assert!(self.book.of(self.number, |known| known.started == 1 && known.ended == 0));
    }
}

impl Future for Covered {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.is_current();
        nested(self.span);
        if self.polls == 0 {
            return Poll::Ready(());
        }
        self.polls -= 1;
        Poll::Pending
    }
}

impl Drop for Covered {
    fn drop(&mut self) {
        if self.span.is_some() {
            self.is_current();
        }
        self.book.of(self.number, |known| known.over = true);
    }
}

#[traced]
fn nested(above: Option<u64>) {
    let current = TraceContext::current().map(|context| context.span_id());
    assert!(current != above, "it has a span of its own");
}

/// A span on its way, and what surrounds its future.
struct Item {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    scope: Scope,
}

fn item(book: &Book, number: i64, dice: &mut Dice) -> Item {
    let body = Covered { book: book.clone(), number, polls: dice.below(5), span: None };
    // In a block, which drops it as soon as it is done: until then the span lasts.
    #[expect(clippy::redundant_async_block, reason = "a future that is done is dropped later than what it awaited")]
    let covered = span("covered").attribute("number", number).run(async { body.await });
    Item { future: Box::pin(covered), scope: Scope::current() }
}

fn is_done(item: &mut Item) -> bool {
    item.future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn in_its_scope(item: &mut Item) -> bool {
    item.scope.clone().in_scope(|| is_done(item))
}

/// What one thread does with the items that all share.
fn play(book: &Book, shared: &Mutex<Vec<Item>>, mut dice: Dice, first: i64) {
    for step in 0..STEPS {
        let taken = {
            let mut shared = shared.lock().unwrap();
            let count = shared.len() as u64;
            (count > 0).then(|| shared.swap_remove(usize::try_from(dice.below(count)).unwrap()))
        };
        let Some(mut taken) = taken.filter(|_| dice.below(3) > 0) else {
            let number = first + i64::try_from(step).unwrap();
            let made = span("maker").in_scope(|| item(book, number, &mut dice));
            shared.lock().unwrap().push(made);
            continue;
        };
        let done = match dice.below(6) {
            0 => true,
            1 => span("around").in_scope(|| is_done(&mut taken)),
            2 => in_its_scope(&mut taken),
            3 => thread::scope(|scope| scope.spawn(|| in_its_scope(&mut taken)).join().unwrap()),
            _ => is_done(&mut taken),
        };
        if !done {
            shared.lock().unwrap().push(taken);
        }
    }
}

#[test]
fn spans_that_threads_hand_on_at_random_end_once_and_in_time() {
    let (seed, book) = (Dice::seed(), Book::default());
    let telemetry = Telemetry::builder("tests").span_processor(book.clone()).build().unwrap();
    let (shared, together) = (Mutex::new(Vec::new()), Barrier::new(THREADS));
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (book, shared, together, telemetry) = (&book, &shared, &together, &telemetry);
            scope.spawn(move || {
                let _attached = telemetry.attach();
                together.wait();
                play(book, shared, Dice(seed.wrapping_add(thread)), i64::try_from(thread).unwrap() << 32);
            });
        }
    });
    drop(shared);
    let book = book.0.lock().unwrap();
    let started = book.values().filter(|known| known.started > 0).count();
    assert!(started > STEPS, "{started} spans");
    for (number, known) in book.iter() {
        let Known { over, started, ended, early } = *known;
        assert!(over && started <= 1 && ended == started && !early, "{number}: {known:?}");
    }
}
