//! Attributes whose code misbehaves cost themselves, and nothing of what the program does.

use std::fmt::{self, Debug, Display, Write};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionOptions;
use eventsource_runtime::telemetry::{self, AttributeValue, Attributes, Slot};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use opentelemetry_sdk::trace::SpanData;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a value does when it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wild {
    Panics,
    /// What it panics with panics again when it is dropped.
    PanicsTwice,
    /// Shows itself in itself.
    Recurses,
    /// Writes 100 MiB, and does not listen when it is told to stop.
    Floods,
    /// Makes spans, logs, and asks for the current span.
    Traces,
    /// Calls the functions whose attribute it is.
    Reenters,
    /// Takes the locks of a store.
    Stores,
    Fails,
}

const ALL: [Wild; 8] = [
    Wild::Panics,
    Wild::PanicsTwice,
    Wild::Recurses,
    Wild::Floods,
    Wild::Traces,
    Wild::Reenters,
    Wild::Stores,
    Wild::Fails,
];

struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a panic's payload that panics");
    }
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future of the store in memory waits"),
    }
}

impl Wild {
    /// Whether its attribute is replaced or cut.
    fn is_cut(self) -> bool {
        matches!(self, Self::Panics | Self::PanicsTwice | Self::Recurses | Self::Floods)
    }

    fn show(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panics => panic!("a value that is shown"),
            Self::PanicsTwice => panic_any(Explosive),
            Self::Recurses => write!(f, "again {self}"),
            Self::Floods => {
                let piece = "x".repeat(1024 * 1024);
                for _ in 0..100 {
                    let _ = f.write_str(&piece);
                }
                Ok(())
            }
            Self::Traces => {
                tracing::error!("a value that logs");
                current_span().record("from.within", 1);
                telemetry::span("stray").in_scope(|| f.write_str("traces"))
            }
            Self::Reenters => write!(f, "{}{}", plain(self), ready(later(self))),
            Self::Stores => {
                let store = MemoryStore::new();
                let orders = Repository::<Wilds, _>::new(store.clone());
                ready(orders.append(&Uuid::nil(), ExpectedVersion::Any, vec![Showed { wild: Self::Fails }]))
                    .map_err(|_| fmt::Error)?;
                write!(f, "{}", ready(store.head()).map_err(|_| fmt::Error)?)
            }
            Self::Fails => {
                f.write_str("as far as it came")?;
                Err(fmt::Error)
            }
        }
    }
}

impl Display for Wild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

impl Debug for Wild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.show(f)
    }
}

impl AttributeValue for Wild {
    fn record(&self, slot: &mut Slot<'_>) {
        slot.display(self);
    }
}

/// An expression that does it itself.
fn expression(wild: Wild) -> usize {
    let mut text = String::new();
    // What floods would do so here: this string is the user's own.
    if wild != Wild::Floods && wild != Wild::Recurses {
        let _ = write!(text, "{wild}");
    }
    text.len()
}

#[traced(attributes(before = 1, wild, "shown" = %wild, "debugged" = ?wild, "by.expression" = expression(wild), after = 2))]
fn plain(wild: Wild) -> u8 {
    let _ = wild;
    7
}

#[traced(attributes(before = 1, %wild), record("debugged" = ?wild, "result" = *result, after = 2))]
async fn later(wild: Wild) -> u8 {
    7
}

#[traced(attributes(before = 1, %wild, after = 2))]
fn boxed(wild: Wild) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    Box::pin(async { 7 })
}

/// The name of this error is taken from its `Debug`.
#[traced(attributes(before = 1, after = 2))]
fn failing(wild: Wild) -> Result<(), Wild> {
    Err(wild)
}

/// What a run leaves: its spans, and how many attributes were cut.
async fn recorded<F: Future>(body: F) -> (F::Output, Vec<SpanData>, u64) {
    let (recorder, metrics) = Recorder::measured();
    let output = recorder.run(body).await;
    recorder.flush().await;
    assert_eq!(recorder.open_spans(), 0);
    (output, recorder.spans(), Measured::total(&metrics, "eventsource.attributes.cut"))
}

fn value<'a>(span: &'a SpanData, key: &str) -> Option<&'a opentelemetry::Value> {
    span.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

/// One span, whole but for what misbehaved.
fn assert_whole(spans: &[SpanData], name: &str) {
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(names, [name]);
    assert_eq!(value(&spans[0], "before"), Some(&1.into()));
    assert_eq!(value(&spans[0], "after").map_or(2.into(), Clone::clone), 2.into());
    for attribute in &spans[0].attributes {
        assert!(attribute.value.as_str().len() <= telemetry::MAX_TEXT, "{} is too long", attribute.key);
    }
}

#[tokio::test]
async fn a_traced_function_returns_what_it_would_have() {
    for wild in ALL {
        let (returned, spans, cut) = recorded(async { plain(wild) }).await;
        assert_eq!(returned, 7);
        assert_whole(&spans, "plain");
        assert_eq!(cut >= 3, wild.is_cut(), "{cut} were cut");
        let (returned, spans, cut) = recorded(later(wild)).await;
        assert_eq!(returned, 7);
        assert_whole(&spans, "later");
        assert_eq!(cut >= 2, wild.is_cut(), "{cut} were cut");
        let (returned, spans, cut) = recorded(async { boxed(wild).await }).await;
        assert_eq!(returned, 7);
        assert_whole(&spans, "boxed");
        assert_eq!(cut == 1, wild.is_cut(), "{cut} were cut");
        let (returned, spans, _) = recorded(async { failing(wild) }).await;
        assert!(returned == Err(wild));
        assert_whole(&spans, "failing");
    }
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_whatever_its_type() {
    #[traced(attributes(before = 1, text, "shown" = %text, "owned" = text.to_owned(), list, after = 2))]
    fn long(text: &str, list: &[String]) -> usize {
        text.len() + list.len()
    }
    let text = "ü".repeat(50 * 1024 * 1024);
    let list = vec!["x".repeat(2000); 200];
    let (returned, spans, cut) = recorded(async { long(&text, &list) }).await;
    assert_eq!((returned, cut), (text.len() + 200, 4));
    let texts = ["text", "shown", "owned"].map(|key| value(&spans[0], key).map_or(0, |value| value.as_str().len()));
    assert_eq!(texts, [telemetry::MAX_TEXT; 3]);
    assert!(value(&spans[0], "list").is_some_and(|value| value.as_str().len() < 150 * 1024));
}

/// Options that panic are as good as not given.
#[tokio::test]
async fn a_switch_a_parent_or_links_that_panic_cost_themselves() {
    fn wild<T>() -> T {
        panic!("an option")
    }
    #[traced(enable_tracing = wild(), attributes(before = 1))]
    fn switched() -> u8 {
        7
    }
    #[traced(parent = wild::<Option<TraceContext>>(), links = wild::<Option<TraceContext>>(), attributes(before = 1))]
    async fn linked() -> u8 {
        7
    }
    let (returned, spans, cut) = recorded(async { switched() }).await;
    assert_eq!((returned, cut), (7, 1));
    assert_whole(&spans, "switched");
    let (returned, spans, cut) = recorded(linked()).await;
    assert_eq!((returned, cut), (7, 2));
    assert_whole(&spans, "linked");
}

struct Unwinds;

impl Drop for Unwinds {
    fn drop(&mut self) {
        assert_eq!(plain(Wild::Panics), 7);
    }
}

#[tokio::test]
async fn an_attribute_that_panics_while_a_panic_unwinds_is_caught() {
    let (caught, spans, _) = recorded(async {
        catch_unwind(AssertUnwindSafe(|| {
            let _unwinds = Unwinds;
            panic_any(41_u8);
        }))
    })
    .await;
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&41_u8));
    assert_whole(&spans, "plain");
}

#[derive(Clone, Event, Serialize, Deserialize)]
struct Showed {
    #[event(attribute)]
    wild: Wild,
}

/// An event by hand, whose attributes nothing guards one by one.
#[derive(Clone, Serialize, Deserialize)]
struct Bare {}

impl Event for Bare {
    const NAME: &'static str = "Bare";

    fn attributes(&self, _: &mut Attributes) {
        panic!("attributes of an event")
    }
}

#[derive(Default, Aggregate)]
#[aggregate(id = Uuid, error = WildError, events(Showed, Bare))]
struct Wilds;

impl Apply<Bare> for Wilds {
    fn apply(&mut self, _: Bare) {}
}

impl Apply<Showed> for Wilds {
    fn apply(&mut self, _: Showed) {}
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
struct WildError;

#[derive(Clone, Command, Serialize, Deserialize)]
#[command(aggregate = Wilds)]
struct Show {
    #[command(id)]
    id: Uuid,
    #[command(attribute)]
    wild: Wild,
}

#[derive(Clone, Command, Serialize, Deserialize)]
#[command(aggregate = Wilds)]
struct Bear(#[command(id)] Uuid);

#[derive(Clone, Command, Serialize, Deserialize)]
#[command(aggregate = Wilds)]
struct Switch(#[command(id)] Uuid);

fn broken_switch(_: Uuid) -> bool {
    panic!("a handler's switch")
}

#[command_handler]
impl Wilds {
    #[traced(attributes(%command.wild, "by.expression" = expression(command.wild)))]
    fn show(&self, command: Show) -> Result<Showed, WildError> {
        Ok(Showed { wild: command.wild })
    }

    fn bear(&self, _: Bear) -> Result<Bare, WildError> {
        Ok(Bare {})
    }

    #[traced(enable_tracing = broken_switch(*id))]
    async fn switch(&self, Switch(id): Switch) -> Result<(), WildError> {
        drop(id.to_string());
        Ok(())
    }
}

struct Watches;

#[projection(enable_tracing = true)]
impl Watches {
    #[traced(attributes("shown" = %event.wild))]
    fn showed(&self, event: &Recorded<Showed>) {
        let _ = event;
    }

    fn bared(&self, _: &Recorded<Bare>) {}
}

#[tokio::test]
async fn commands_handlers_events_and_projections_do_what_they_would_have() {
    for wild in ALL {
        let (position, spans, cut) = recorded(async {
            let store = MemoryStore::new();
            let bus = CommandBus::builder().aggregate(Repository::<Wilds, _>::new(store.clone())).build();
            let running = ProjectionRunner::new(store.clone()).projection(Watches).spawn();
            running.wait_for(Position::START).await.unwrap();
            let committed = bus.dispatch(Show { id: Uuid::now_v7(), wild }).await.unwrap();
            running.wait_for(committed.position).await.unwrap();
            running.shutdown().await.unwrap();
            bus.dispatch(Switch(Uuid::now_v7())).await.unwrap();
            committed.position
        })
        .await;
        assert_eq!(position, 1);
        assert_eq!(cut > 0, wild.is_cut(), "{cut} were cut");
        assert!(spans.iter().all(|span| span.name != "stray"));
        assert!(spans.iter().any(|span| span.name == "watches.showed"));
    }
}

/// Its projection was tried again and again, and stopped, though without tracing it was well.
#[tokio::test]
async fn attributes_by_hand_that_panic_fail_no_projection() {
    let ((), spans, _) = recorded(async {
        let store = MemoryStore::new();
        let bus = CommandBus::builder().aggregate(Repository::<Wilds, _>::new(store.clone())).build();
        let options = ProjectionOptions::default().max_retries(0);
        let running = ProjectionRunner::new(store).projection_with(Watches, options).spawn();
        running.wait_for(Position::START).await.unwrap();
        let committed = bus.dispatch(Bear(Uuid::now_v7())).await.unwrap();
        running.wait_for(committed.position).await.unwrap();
        running.shutdown().await.unwrap();
    })
    .await;
    assert!(spans.iter().any(|span| span.name == "handler.bared"), "{spans:?}");
}
