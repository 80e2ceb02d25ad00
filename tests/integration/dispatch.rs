//! What the buses and the repository promise where things go wrong.

mod again;
mod alike;
mod failures;
mod faults;
mod repeated;
mod turns;
mod twice;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task;
use std::time::Duration;

use eventsource_runtime::dispatch::{DispatchJsonError, ExecuteJsonError};
use eventsource_runtime::error::BoxError;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{AppendError, MemoryStore};
use eventsource_runtime::telemetry;
use eventsource_tests::logged::Log;
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;
use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::Barrier;
use uuid::Uuid;

/// Longer than a command takes on the busiest machine.
const STANDSTILL: Duration = Duration::from_mins(1);

#[derive(Event, Clone, Serialize, Deserialize)]
struct Marked {
    mark: Uuid,
}

/// Its handlers do what the tests need, through their services.
#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Marked))]
struct Sheet {
    marks: u64,
}

impl Apply<Marked> for Sheet {
    fn apply(&mut self, _: Marked) {
        self.marks += 1;
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Sheet)]
struct Mark {
    #[command(id)]
    id: Uuid,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Sheet)]
struct Fill {
    #[command(id)]
    id: Uuid,
    marks: usize,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Sheet)]
struct Contend {
    #[command(id)]
    id: Uuid,
}

/// The same name as [`Fill`], which a rename can lead to.
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Sheet, name = "Fill")]
struct AlsoFill {
    #[command(id)]
    id: Uuid,
}

struct Tools {
    /// Holds commands until as many are decided about.
    together: Barrier,
    store: MemoryStore,
}

#[command_handler]
impl Sheet {
    async fn mark(&self, _: Mark, tools: &Tools) -> Result<Marked, Infallible> {
        tools.together.wait().await;
        Ok(Marked { mark: Uuid::now_v7() })
    }

    fn fill(&self, command: Fill) -> Result<Vec<Marked>, Infallible> {
        Ok(vec![Marked { mark: Uuid::nil() }; command.marks])
    }

    fn also_fill(&self, _: AlsoFill) -> Result<Marked, Infallible> {
        Ok(Marked { mark: Uuid::nil() })
    }

    /// Somebody else is always faster.
    async fn contend(&self, command: Contend, tools: &Tools) -> Result<Marked, Infallible> {
        let faster = Repository::<Sheet, _>::new(tools.store.clone()).enable_tracing(false);
        faster.append(&command.id, ExpectedVersion::Any, Marked { mark: Uuid::nil() }).await.expect("the store works");
        Ok(Marked { mark: Uuid::nil() })
    }
}

fn sheets(store: &MemoryStore, retries: u32, together: usize) -> CommandBus {
    let tools = Tools { together: Barrier::new(together), store: store.clone() };
    let repository = Repository::<Sheet, _>::new(store.clone()).max_retries(retries).with_services(tools);
    CommandBus::builder().aggregate(repository).build()
}

/// Both decide before either appends, and their events differ: the second was told that its ids were taken.
#[tokio::test]
async fn a_command_that_is_dispatched_twice_at_once_is_handled_once() {
    let store = MemoryStore::new();
    let bus = sheets(&store, 0, 2);
    let id = Uuid::now_v7();
    let context = || Context { command_id: Some(Uuid::from_u128(7)), ..Context::default() };
    let both =
        async { tokio::join!(bus.dispatch_with(Mark { id }, context()), bus.dispatch_with(Mark { id }, context())) };
    let (first, second) = tokio::time::timeout(STANDSTILL, both).await.expect("none is decided without end");
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.version, first.position), (second.version, second.position));
    assert!(first.repeated != second.repeated);
    assert_eq!(Repository::<Sheet, _>::new(store).load(&id).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_command_id_that_was_used_elsewhere_is_refused() {
    let bus = sheets(&MemoryStore::new(), 0, 1);
    let context = || Context { command_id: Some(Uuid::from_u128(7)), ..Context::default() };
    bus.dispatch_with(Mark { id: Uuid::now_v7() }, context()).await.unwrap();
    let refused = bus.dispatch_with(Mark { id: Uuid::now_v7() }, context());
    let refused = tokio::time::timeout(STANDSTILL, refused).await.expect("it is not decided without end");
    assert!(matches!(refused, Err(DispatchError::Append(AppendError::IdempotencyMismatch { .. }))));
}

#[tokio::test]
async fn a_conflict_that_outlasts_its_retries_tells_how_many_there_were() {
    let recorder = Recorder::new();
    let bus = sheets(&MemoryStore::new(), 2, 1);
    let refused = recorder.run(bus.dispatch(Contend { id: Uuid::now_v7() })).await;
    assert!(matches!(refused, Err(DispatchError::Append(AppendError::Conflict(_)))));
    let tree = recorder.trees().render();
    let command = tree.split("  load_aggregate").next().unwrap();
    assert!(command.contains("eventsource.retry.count=2"), "{command}");
    assert!(command.contains("cqrs.command.status=error") && command.contains("error.type=conflict"), "{command}");
}

#[tokio::test]
async fn a_command_for_another_version_is_not_decided_and_is_no_error_in_the_log() {
    let (recorder, (log, _guard)) = (Recorder::new(), Log::of_thread());
    let bus = sheets(&MemoryStore::new(), 5, 1);
    let id = Uuid::now_v7();
    let at = |version| Context { expected_version: Some(version), ..Context::default() };
    let once = Context { command_id: Some(Uuid::from_u128(7)), ..at(ExpectedVersion::NoStream) };
    bus.dispatch_with(Fill { id, marks: 2 }, once.clone()).await.unwrap();
    let refused = recorder.run(bus.dispatch_with(Fill { id, marks: 0 }, at(Version::new(1).into()))).await;
    let refused = refused.unwrap_err();
    assert!(refused.is_outdated() && refused.is_permanent(), "{refused}");
    let conflict = refused.conflict().unwrap();
    assert_eq!((conflict.expected, conflict.actual), (Version::new(1).into(), Version::new(2)));
    let tree = recorder.trees().render();
    assert!(tree.contains("error.type=conflict") && !tree.contains("decide"), "{tree}");
    assert_eq!(log.names_of("eventsource::command"), ["eventsource.append.conflict"]);
    // It was handled before, whatever the version is now.
    assert!(bus.dispatch_with(Fill { id, marks: 2 }, once).await.unwrap().repeated);
    assert_eq!(bus.dispatch_with(Fill { id, marks: 1 }, at(Version::new(2).into())).await.unwrap().version, 3);
}

/// Whoever is faster, it is not decided about the version that came after.
#[tokio::test]
async fn a_command_for_a_version_is_not_decided_again_after_a_conflict() {
    let bus = sheets(&MemoryStore::new(), 5, 1);
    let context = Context { expected_version: Some(ExpectedVersion::NoStream), ..Context::default() };
    let refused = bus.dispatch_with(Contend { id: Uuid::now_v7() }, context).await.unwrap_err();
    assert_eq!(refused.conflict().unwrap().actual, 1);
    assert!(refused.is_outdated() && refused.is_permanent(), "{refused}");
}

/// Others were faster, as often as it was tried: that may pass, and the version that its context names is still right.
#[tokio::test]
async fn a_command_that_others_were_faster_than_is_not_outdated() {
    let bus = sheets(&MemoryStore::new(), 0, 1);
    for expected_version in [None, Some(ExpectedVersion::Any)] {
        let context = Context { expected_version, ..Context::default() };
        let refused = bus.dispatch_with(Contend { id: Uuid::now_v7() }, context).await.unwrap_err();
        assert!(refused.conflict().is_some() && !refused.is_outdated() && !refused.is_permanent(), "{refused}");
    }
}

/// The first append, not the load, finds that it came too late.
#[tokio::test]
async fn a_command_for_a_version_that_is_never_retried_is_outdated_by_its_first_conflict() {
    let bus = sheets(&MemoryStore::new(), 0, 1);
    let context = Context { expected_version: Some(ExpectedVersion::NoStream), ..Context::default() };
    let refused = bus.dispatch_with(Contend { id: Uuid::now_v7() }, context).await.unwrap_err();
    assert!(refused.is_outdated() && refused.is_permanent(), "{refused}");
}

/// The second conflict of a command panicked.
#[test]
fn conflicts_are_decided_again_where_there_is_no_timer() {
    let contended = async || {
        let refused = sheets(&MemoryStore::new(), 4, 1).dispatch(Contend { id: Uuid::now_v7() }).await;
        assert!(matches!(refused, Err(DispatchError::Append(AppendError::Conflict(_)))));
    };
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(contended());
    let mut elsewhere = pin!(contended());
    while elsewhere.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())).is_pending() {}
}

#[tokio::test]
async fn a_name_of_two_types_runs_neither() {
    let recorder = Recorder::new();
    let bus = sheets(&MemoryStore::new(), 0, 1);
    let id = Uuid::now_v7();
    let payload = serde_json::to_vec(&serde_json::json!({ "id": id, "marks": 1 })).unwrap();
    let refused = recorder.run(bus.dispatch_json("Fill", &payload)).await.unwrap_err();
    assert_eq!(refused.error_type(), "ambiguous");
    let DispatchJsonError::AmbiguousCommand { command: "Fill", types: [one, other], .. } = refused else {
        panic!("{refused}")
    };
    assert!(one.ends_with("::Fill") && other.ends_with("::AlsoFill"), "{one}, {other}");
    let rendered = recorder.trees().render();
    assert!(rendered.contains("error.type=ambiguous"), "{rendered}");
    // By type there is no doubt.
    assert_eq!(bus.dispatch(AlsoFill { id }).await.unwrap().version, 1);

    let queries = QueryBus::builder().handler(Answers).build();
    let refused = queries.execute_json("One", b"{}").await.unwrap_err();
    assert!(matches!(refused, ExecuteJsonError::AmbiguousQuery { query: "One", .. }), "{refused}");
}

#[tokio::test]
async fn a_command_that_cannot_be_read_has_a_status() {
    let recorder = Recorder::new();
    let bus = sheets(&MemoryStore::new(), 0, 1);
    for (name, error_type) in [("Mark", "bad_payload"), ("Unheard", "no_handler")] {
        recorder.run(bus.dispatch_json(name, b"[]")).await.unwrap_err();
        let rendered = recorder.trees().render();
        assert!(rendered.contains(&format!("error.type={error_type}")), "{rendered}");
    }
    assert_eq!(recorder.trees().render().matches("cqrs.command.status=error").count(), 2);
}

#[derive(Query, Deserialize)]
#[query(output = Unwritable)]
struct One {}

#[derive(Query, Deserialize)]
#[query(output = u32, name = "One")]
struct AnotherOne {}

#[derive(Query, Deserialize)]
#[query(output = Unwritable)]
struct Unspeakable {}

#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("nobody has this name")]
    Name,
}

#[derive(Query, Deserialize)]
#[query(output = u32, error = Unknown)]
struct Named {
    #[serde(default)]
    answer: Option<u32>,
    known: bool,
}

struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("as it must"))
    }
}

struct Answers;

#[query_handler]
impl Answers {
    fn one(&self, _: One) -> Result<Unwritable, Infallible> {
        Ok(Unwritable)
    }

    fn another(&self, _: AnotherOne) -> Result<u32, Infallible> {
        Ok(1)
    }

    fn named(&self, query: Named) -> Result<u32, BoxError> {
        match query.answer {
            Some(answer) => Ok(answer),
            None if query.known => Err(Box::new(Unknown::Name)),
            None => Err("the database is away".into()),
        }
    }

    fn unspeakable(&self, _: Unspeakable) -> Result<Unwritable, Infallible> {
        Ok(Unwritable)
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_fails_its_query() {
    let recorder = Recorder::new();
    let queries = QueryBus::builder().handler(Answers).build();
    let refused = recorder.run(queries.execute_json("Unspeakable", b"{}")).await.unwrap_err();
    assert!(matches!(refused, ExecuteJsonError::Answer { query: "Unspeakable", source: Some(_), .. }), "{refused}");
    let expected =
        "query.Unspeakable ERROR\n  . cqrs.query.type=Unspeakable\n  . cqrs.side=read\n  . error.type=answer\n";
    assert_eq!(recorder.trees().render(), expected);
}

/// An error that callers match on comes as it is, boxed by the handler or not; what else goes wrong comes boxed.
#[tokio::test]
async fn a_query_may_name_its_error() {
    let bus = QueryBus::builder().handler(Answers).build();
    let ask = async |answer, known| bus.execute(Named { answer, known }).await;
    assert_eq!(ask(Some(7), true).await.unwrap(), 7);
    let refused = ask(None, true).await.unwrap_err();
    assert!(matches!(refused, QueryError::Rejected(Unknown::Name)), "{refused:?}");
    assert_eq!((refused.error_type().as_ref(), refused.to_string()), ("Name", Unknown::Name.to_string()));
    assert!(refused.is_rejected());
    let failed = ask(None, false).await.unwrap_err();
    assert!(matches!(failed, QueryError::Failed { query: "Named", .. }), "{failed:?}");
    let recorder = Recorder::new();
    let json = bus.execute_json("Named", br#"{"known":true}"#);
    let error = recorder.run(json).await.unwrap_err();
    assert!(error.is_rejected() && error.error_type() == "Name", "{error:?}");
    let ExecuteJsonError::Rejected { source, .. } = error else { panic!("{error:?}") };
    assert!(source.downcast_ref::<Unknown>().is_some());
    let failed = bus.execute_json("Named", br#"{"known":false}"#).await.unwrap_err();
    assert!(matches!(failed, ExecuteJsonError::Failed { query: "Named", .. }), "{failed:?}");
}

#[tokio::test]
async fn a_span_starts_when_its_future_is_first_polled() {
    let recorder = Recorder::new();
    let queries = QueryBus::builder().handler(Answers).build();
    recorder
        .run(async {
            drop(queries.execute(One {}));
            drop(telemetry::span("by hand").run(async {}));
        })
        .await;
    assert_eq!(recorder.started_spans(), 0);
    // Where it is polled, not where it was made, is its parent.
    recorder
        .run(async {
            let made = telemetry::span("outer").in_scope(|| queries.execute(One {}));
            made.await.unwrap();
        })
        .await;
    assert_eq!(recorder.trees().names(), "outer query.One");
}

#[tokio::test]
async fn what_a_span_cannot_keep_is_counted_however_much_it_is() {
    let sizes = [spans_of_many(200).await, spans_of_many(100_000).await];
    // What is known of five hundred times as many events takes the room of a few more digits.
    assert!(sizes[1] < sizes[0] + 200, "{sizes:?}");
}

/// The size of the largest span of a command with so many events, which keeps as much as it can.
async fn spans_of_many(marks: usize) -> usize {
    let (recorder, metrics) = Recorder::measured();
    let bus = sheets(&MemoryStore::new(), 0, 1);
    recorder.run(bus.dispatch(Fill { id: Uuid::now_v7(), marks })).await.unwrap();
    recorder.flush().await;
    let trees = recorder.trees();
    for name in ["handle_command", "persist_events"] {
        let span = trees.span(name);
        assert_eq!(span.events.events.len(), 128, "{name}");
        let dropped = span.attributes.iter().find(|attribute| attribute.key.as_str() == "eventsource.events.dropped");
        assert_eq!(dropped.unwrap().value.to_string(), (marks - 128).to_string(), "{name}");
    }
    // The list of types, on the command and on the append.
    assert_eq!(trees.render().matches("\"Marked\"").count(), 2 * 128);
    assert_eq!(Measured::total(&metrics, "eventsource.attributes.cut"), 2);
    recorder.spans().iter().map(|span| format!("{span:?}").len()).max().unwrap()
}
