//! Each switch by itself: off, it leaves no span, evaluates nothing and allocates nothing.

use std::fmt::{self, Debug, Formatter};
use std::future::ready;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{self, Telemetry};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::everything::{evaluated, evaluations};
use eventsource_tests::recorder::Recorder;
use futures_util::{Stream, StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{ALLOCATOR, turn};

/// What is counted: allocations, the expressions that were evaluated, spans.
type Left = (usize, Vec<&'static str>, usize);

/// Functions of each kind, by their names, each called until all that it returns is there.
type Functions = [(&'static str, fn(&str) -> usize); 4];

/// The same functions in a module: without spans, or with `#[traced]` that an expression switches.
macro_rules! functions {
    ($module:ident $($on:expr)?) => {
        mod $module {
            use super::*;

            pub(super) const ALL: Functions = [
                ("a function", plain),
                ("an async function", |text| done(waiting(text))),
                ("a function that returns a stream", |text| done(streamed(text).fold(0, |_, item| ready(item)))),
                ("a function that returns a boxed stream", |text| done(boxed(text).fold(0, |_, item| ready(item)))),
            ];

            $(#[traced(
                "each",
                enable_tracing = $on,
                attributes("length" = evaluated("attribute", text.len()), "shown" = %evaluated("attribute", "shown")),
                record("same" = evaluated("record", *result))
            )])?
            fn plain(text: &str) -> usize {
                text.len()
            }

            $(#[traced(
                "each",
                enable_tracing = $on,
                attributes("length" = evaluated("attribute", text.len()), "shown" = %evaluated("attribute", "shown")),
                record("same" = evaluated("record", *result))
            )])?
            async fn waiting(text: &str) -> usize {
                tokio::task::yield_now().await;
                text.len()
            }

            $(#[traced(
                "each",
                enable_tracing = $on,
                attributes("length" = evaluated("attribute", text.len()), "shown" = %evaluated("attribute", "shown"))
            )])?
            fn streamed(text: &str) -> impl Stream<Item = usize> + use<> {
                stream::iter([text.len()])
            }

            $(#[traced(
                "each",
                enable_tracing = $on,
                attributes("length" = evaluated("attribute", text.len()), "shown" = %evaluated("attribute", "shown"))
            )])?
            fn boxed(text: &str) -> Pin<Box<dyn Stream<Item = usize>>> {
                Box::pin(stream::iter([text.len()]))
            }
        }
    };
}
functions!(bare);
functions!(switched evaluated("option", true));
functions!(off_by_its_option black_box(false));

/// Polls a future until it is done.
fn done<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

#[traced("each", links = evaluated("links", link()))]
fn linked(text: &str) -> usize {
    text.len()
}

fn link() -> Option<TraceContext> {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok()
}

/// How often some code allocates, at the least: the test's harness may allocate on another thread meanwhile, but not
/// each time.
fn allocations(mut code: impl FnMut()) -> usize {
    let mut once = || {
        let before = ALLOCATOR.stats().allocations;
        code();
        ALLOCATOR.stats().allocations - before
    };
    (0..100).map(|_| once()).min().unwrap()
}

fn times(function: fn(&str) -> usize) -> impl FnMut() {
    move || {
        for _ in 0..100 {
            assert_eq!(function("four"), 4);
        }
    }
}

/// What is left of a hundred calls of each function.
fn left(recorder: &Recorder, functions: Functions) -> Vec<(&'static str, Left)> {
    let attached = recorder.telemetry().attach();
    let measured = functions.map(|(kind, function)| {
        let before = recorder.started_spans();
        let allocations = allocations(times(function));
        (kind, (allocations, evaluations(), recorder.started_spans() - before))
    });
    drop(attached);
    measured.to_vec()
}

/// What the same calls leave without spans: the boxes of streams.
fn nothing() -> Vec<(&'static str, Left)> {
    let left = left(&Recorder::new(), bare::ALL);
    assert_eq!(left.iter().map(|(_, left)| left.0).collect::<Vec<_>>(), [0, 0, 0, 100]);
    left
}

#[tokio::test]
async fn the_option_of_a_macro_leaves_nothing() {
    let _turn = turn().await;
    let mut nothing = nothing();
    // A stream in a box is boxed once more, and keeps the spans below it off for as long as it lives.
    nothing[3].1.0 += 100;
    assert_eq!(left(&Recorder::new(), off_by_its_option::ALL), nothing);
    for (kind, (allocations, evaluated, spans)) in left(&Recorder::new(), switched::ALL) {
        assert!(allocations > 100 && spans > 0, "{kind} has something to leave: {allocations}, {spans}");
        // Of a stream there is no one result to record.
        let expressions = if kind.contains("stream") { 2 } else { 3 };
        assert_eq!(evaluated, ["attribute", "option", "record"][..expressions], "{kind}");
    }
}

#[tokio::test]
async fn the_switch_of_the_process_leaves_nothing() {
    let _turn = turn().await;
    telemetry::set_enabled(false);
    let left = left(&Recorder::new(), switched::ALL);
    telemetry::set_enabled(true);
    assert_eq!(left, nothing());
}

/// Below a span that was sampled out; the root itself has to be asked, and its context travels. Options are asked
/// first.
#[tokio::test]
async fn sampling_leaves_nothing_below_the_root() {
    let _turn = turn().await;
    let telemetry = Telemetry::builder("tests").build().unwrap();
    let attached = telemetry.attach();
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse::<TraceContext>().unwrap();
    let root = telemetry::span("root").options(|options| options.parent(&unsampled));
    let functions = switched::ALL.into_iter().chain([("a function with a link", linked as fn(&str) -> usize)]);
    let allocations = root.in_scope(|| functions.map(|(_, function)| allocations(times(function))).collect::<Vec<_>>());
    drop(attached);
    assert_eq!((allocations, evaluations()), (vec![0, 0, 0, 100, 0], vec!["option"]));
}

#[test]
fn the_environment_leaves_nothing() {
    if is_alone() {
        return assert_eq!(left(&Recorder::new(), switched::ALL), nothing());
    }
    passed(alone("each::the_environment_leaves_nothing").env("OTEL_SDK_DISABLED", "true"), 1);
}

#[derive(Clone, Event, Serialize, Deserialize)]
struct Asked {}

#[derive(Default, Aggregate)]
#[aggregate(id = u32, error = Refusal, events(Asked))]
struct Refuses;

impl Apply<Asked> for Refuses {
    fn apply(&mut self, _: Asked) {}
}

/// The name of an error is found by formatting it.
#[derive(thiserror::Error)]
#[error("refused")]
struct Refusal;

impl Debug for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(evaluated("refusal", "Refusal"))
    }
}

#[derive(Clone, Command, Deserialize)]
#[command(aggregate = Refuses)]
struct Ask(#[command(id)] u32);

#[command_handler]
impl Refuses {
    fn ask(&self, _: Ask) -> Result<(), Refusal> {
        Err(Refusal)
    }
}

#[tokio::test]
async fn a_refusal_is_not_looked_at_where_everything_is_off() {
    let _turn = turn().await;
    let asked = async |off: bool| {
        let repository = Repository::<Refuses, _>::new(MemoryStore::new()).enable_tracing(!off).enable_metrics(false);
        let bus = CommandBus::builder().enable_tracing(!off).enable_metrics(false).aggregate(repository).build();
        Recorder::new().run(bus.dispatch(Ask(1))).await.unwrap_err();
        evaluations()
    };
    assert_eq!((asked(true).await, asked(false).await), (vec![], vec!["refusal"]));
}
