//! Each switch by itself: off, it leaves no span, evaluates nothing and allocates nothing.

use std::fmt::{self, Debug, Formatter};
use std::hint::black_box;
use std::sync::Arc;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_runtime::telemetry::{self, Telemetry};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::everything::{evaluated, evaluations};
use eventsource_tests::orders::Order;
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::{ALLOCATOR, place, turn};

#[traced("each", attributes("length" = evaluated("plain", text.len()), "shown" = %evaluated("plain", "shown")))]
fn plain(text: &str) -> usize {
    text.len()
}

#[traced("each", links = evaluated("links", link()))]
fn linked(text: &str) -> usize {
    text.len()
}

fn link() -> Option<TraceContext> {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok()
}

#[traced(
    "each",
    enable_tracing = black_box(false),
    attributes("length" = evaluated("plain", text.len()), "shown" = %evaluated("plain", "shown"))
)]
fn off_by_its_option(text: &str) -> usize {
    text.len()
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

/// What is left of a hundred calls: allocations, evaluations, spans.
fn left(recorder: &Recorder, function: fn(&str) -> usize) -> (usize, Vec<&'static str>, usize) {
    let attached = recorder.telemetry().attach();
    let allocations = allocations(times(function));
    drop(attached);
    (allocations, evaluations(), recorder.started_spans())
}

#[tokio::test]
async fn the_option_of_a_macro_leaves_nothing() {
    let _turn = turn().await;
    assert_eq!(left(&Recorder::new(), off_by_its_option), (0, vec![], 0));
    let (_, evaluated, spans) = left(&Recorder::new(), plain);
    assert!(!evaluated.is_empty() && spans > 0, "without the option there is something to leave");
}

#[tokio::test]
async fn the_switch_of_the_process_leaves_nothing() {
    let _turn = turn().await;
    telemetry::set_enabled(false);
    let left = left(&Recorder::new(), plain);
    telemetry::set_enabled(true);
    assert_eq!(left, (0, vec![], 0));
}

/// Below a span that was sampled out; the root itself has to be asked, and its context travels.
#[tokio::test]
async fn sampling_leaves_nothing_below_the_root() {
    let _turn = turn().await;
    let telemetry = Telemetry::builder("tests").build().unwrap();
    let attached = telemetry.attach();
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse::<TraceContext>().unwrap();
    let root = telemetry::span("root").options(|options| options.parent(&unsampled));
    let allocations = root.in_scope(|| [plain, linked].map(|function| allocations(times(function))));
    drop(attached);
    assert_eq!((allocations, evaluations()), ([0, 0], vec![]));
}

#[test]
fn the_environment_leaves_nothing() {
    let output = passed(alone("each::disabled_alone").env("OTEL_SDK_DISABLED", "true"), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is left"), "{output:?}");
}

/// Does its work only in the process that the test above starts.
#[test]
fn disabled_alone() {
    if !is_alone() {
        return;
    }
    assert_eq!(left(&Recorder::new(), plain), (0, vec![], 0));
    println!("nothing is left");
}

/// A bus with all that is below it, where everything can be switched off and is.
fn bus(off: bool) -> CommandBus {
    let store = MemoryStore::new().enable_tracing(!off).enable_metrics(false);
    let orders = Repository::<Order, _>::new(store).enable_tracing(!off).enable_metrics(false);
    CommandBus::builder().enable_tracing(!off).enable_metrics(false).aggregate(orders).build()
}

/// How often a command allocates that its order refuses, and how many spans it leaves.
fn refusals(off: bool) -> (usize, usize) {
    let runtime = Builder::new_current_thread().build().unwrap();
    let (recorder, bus, order) = (Recorder::new(), Arc::new(bus(off)), Uuid::now_v7());
    runtime.block_on(bus.dispatch(place(order, 1))).unwrap();
    let allocations = allocations(|| {
        runtime.block_on(recorder.run(bus.dispatch(place(order, 1)))).unwrap_err();
    });
    (allocations, recorder.started_spans())
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

#[tokio::test]
async fn components_that_are_off_allocate_no_more_than_a_process_that_is() {
    let _turn = turn().await;
    let measure = || std::thread::spawn(|| refusals(true)).join().unwrap();
    let components = measure();
    telemetry::set_enabled(false);
    let process = measure();
    telemetry::set_enabled(true);
    let on = std::thread::spawn(|| refusals(false)).join().unwrap();
    assert_eq!(components, process);
    assert!(components.1 == 0 && on.1 > 0 && on.0 > components.0, "{on:?}, {components:?}");
}
