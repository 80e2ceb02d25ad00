//! `#[traced]`, in the shapes that functions have.

mod by_hand;
mod deep;
mod left;
mod movable;
mod named;
mod refused;

use std::fmt::Display;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use async_trait::async_trait;
use eventsource_runtime::prelude::*;
use eventsource_tests::recorder::Recorder;
use futures_util::stream::{self, Stream, StreamExt};
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry_sdk::trace::Sampler;

use crate::dropped_after;

/// Captures what a future leaves.
async fn rendered<F: Future>(body: F) -> (F::Output, String) {
    let recorder = Recorder::new();
    let output = recorder.run(body).await;
    assert_eq!(recorder.open_spans(), 0);
    (output, recorder.trees().render())
}

#[derive(Debug)]
struct Refused(#[expect(dead_code, reason = "fields stay out of telemetry")] &'static str);

struct Opaque;

impl Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("shown")
    }
}

#[traced(attributes("fixed" = 7, "length" = text.len(), text, "shown" = %Opaque, "debugged" = ?Some(1), "none" = none()))]
fn values(text: &str) -> usize {
    text.len()
}

fn none() -> Option<u32> {
    None
}

#[tokio::test]
async fn attributes_are_literals_expressions_arguments_and_formats() {
    let (length, tree) = rendered(async { values("four") }).await;
    assert_eq!(length, 4);
    assert_eq!(tree, "values\n  . debugged=Some(1)\n  . fixed=7\n  . length=4\n  . shown=shown\n  . text=four\n");
}

#[traced("fails", kind = "server", record("rows" = result.as_ref().ok().copied()))]
async fn fails(fail: bool) -> Result<u32, Refused> {
    tokio::task::yield_now().await;
    if fail {
        return Err(Refused("secret"));
    }
    Ok(3)
}

#[tokio::test]
async fn a_result_is_told_and_can_be_recorded() {
    let (_, tree) = rendered(fails(false)).await;
    assert_eq!(tree, "fails SERVER\n  . rows=3\n");
    let (_, tree) = rendered(fails(true)).await;
    assert_eq!(tree, "fails SERVER ERROR\n  . error.type=Refused\n");
}

#[traced]
fn moves<T>(mut name: T, (left, right): (u8, u8)) -> impl Iterator<Item = u8>
where
    T: Into<String> + Clone,
{
    name = name.clone();
    let _: String = name.into();
    [left, right].into_iter()
}

#[traced(root, links = context)]
fn linked(context: Option<&TraceContext>) {
    let _ = context;
}

#[traced(parent = context)]
fn continued(context: &TraceContext) -> Option<TraceContext> {
    let _ = context;
    TraceContext::current()
}

#[traced]
fn outer() {
    let inside = TraceContext::current();
    linked(inside.as_ref());
}

#[tokio::test]
async fn a_root_links_and_a_parent_is_continued() {
    let ((), tree) = rendered(async { outer() }).await;
    assert_eq!(tree, "outer\nlinked\n  ~> outer \n");
    let remote: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
    let (inside, _) = rendered(async { continued(&remote) }).await;
    assert_eq!(inside.unwrap().trace_id(), remote.trace_id());
}

#[traced(attributes("broken" = broken(), "after" = 1 + 1))]
fn survives() -> u8 {
    5
}

fn broken() -> u8 {
    panic!("an attribute's expression")
}

#[traced]
fn panics() {
    panic!("the body")
}

#[traced(attributes(most))]
fn limit(most: usize) -> impl Fn(&str) -> bool {
    assert!(most > 0, "nothing would pass");
    if most == 1 {
        return inner(1);
    }
    inner(most)
}

#[traced]
fn inner(most: usize) -> impl Fn(&str) -> bool {
    move |text| text.len() <= most
}

/// In a destructor, while another's panic goes on.
struct Limits;

impl Drop for Limits {
    fn drop(&mut self) {
        drop(limit(1));
    }
}

#[tokio::test]
async fn a_body_that_stays_the_functions_ends_its_span_however_it_is_left() {
    for most in [1, 2] {
        let (limit, tree) = rendered(async { limit(most) }).await;
        assert!(limit("a") && !limit("abc"));
        assert_eq!(tree, format!("limit\n  . most={most}\n  inner\n"));
    }
    let (_, tree) = rendered(async { catch_unwind(|| drop(limit(0))) }).await;
    assert_eq!(tree, "limit ERROR\n  . error.type=panic\n  . most=0\n");
    let unwound = || {
        let _limits = Limits;
        panic!("elsewhere")
    };
    let (_, tree) = rendered(async { catch_unwind(unwound) }).await;
    assert_eq!(tree, "limit\n  . most=1\n  inner\n");
}

struct Counter(u32);

impl Counter {
    #[traced("count", record("count" = self.0))]
    fn count(&mut self, by: u32) {
        self.0 += by;
    }
}

#[tokio::test]
async fn what_a_body_changed_can_be_recorded() {
    let ((), tree) = rendered(async { Counter(1).count(2) }).await;
    assert_eq!(tree, "count\n  . count=3\n");
}

#[tokio::test]
async fn a_broken_attribute_costs_itself_and_a_panic_fails_the_span() {
    let (value, tree) = rendered(async { survives() }).await;
    assert_eq!((value, tree.as_str()), (5, "survives\n  . after=2\n  . broken=<panicked>\n"));
    let (_, tree) = rendered(async { catch_unwind(AssertUnwindSafe(panics)) }).await;
    assert_eq!(tree, "panics ERROR\n  . error.type=panic\n");
}

#[traced(attributes(text))]
fn boxed(text: &str) -> Pin<Box<dyn Future<Output = Result<usize, Refused>> + Send + '_>> {
    values("in the call");
    Box::pin(async move {
        tokio::task::yield_now().await;
        values(text);
        if text.is_empty() { Err(Refused("secret")) } else { Ok(text.len()) }
    })
}

#[traced(record("value" = *result))]
fn opaque(value: u8) -> impl Future<Output = u8> {
    async move {
        tokio::task::yield_now().await;
        current_span().record("half.way", value);
        value + 1
    }
}

type Later<T> = Pin<Box<dyn Future<Output = T>>>;

#[traced(covers = future)]
fn said() -> Later<()> {
    Box::pin(async { assert_eq!(values("said"), 4) })
}

#[traced(covers = call)]
fn called() -> Later<()> {
    Box::pin(async { assert_eq!(values("later"), 5) })
}

#[tokio::test]
async fn a_span_covers_the_life_of_a_future_that_a_function_returns() {
    const WITHIN: &str = "  values\n    . debugged=Some(1)\n    . fixed=7\n    . length=";
    let (length, tree) = rendered(async { boxed("text").await.unwrap() }).await;
    assert_eq!(length, 4);
    assert!(tree.starts_with("boxed\n  . text=text\n  values\n"), "{tree}");
    assert_eq!(tree.matches(WITHIN).count(), 2, "{tree}");
    let (failed, tree) = rendered(async { boxed("").await }).await;
    assert!(failed.is_err() && tree.starts_with("boxed ERROR\n  . error.type=Refused\n  . text=\n"), "{tree}");
    let (value, tree) = rendered(async { opaque(1).await }).await;
    assert_eq!((value, tree.as_str()), (2, "opaque\n  . half.way=1\n  . value=2\n"));
    let ((), tree) = rendered(async { said().await }).await;
    assert!(tree.starts_with("said\n  values\n"), "{tree}");
    let ((), tree) = rendered(async { called().await }).await;
    assert!(tree.starts_with("called\nvalues\n"), "{tree}");
    let (_, tree) = rendered(async { dropped_after(1, opaque(1)).await }).await;
    assert_eq!(tree, "opaque\n  . eventsource.cancelled=true\n");
    let ((), tree) = rendered(async { drop(boxed("never polled")) }).await;
    assert!(tree.starts_with("boxed\n  . eventsource.cancelled=true\n"), "{tree}");
}

#[traced(attributes(count))]
fn numbers(count: u8) -> impl Stream<Item = Result<u8, Refused>> {
    stream::iter(0..count).map(|number| {
        values("in a poll");
        if number == 2 { Err(Refused("secret")) } else { Ok(number) }
    })
}

#[tokio::test]
async fn a_span_covers_the_life_of_a_stream() {
    let (count, tree) = rendered(async { numbers(2).count().await }).await;
    assert_eq!((count, tree.matches("\n  values\n").count()), (2, 2), "{tree}");
    assert!(tree.starts_with("numbers\n  . count=2\n"), "{tree}");
    let (count, tree) = rendered(async { numbers(4).count().await }).await;
    assert_eq!((count, tree.matches("\n  values\n").count()), (4, 4), "{tree}");
    assert!(tree.starts_with("numbers ERROR\n  . count=4\n  . error.type=Refused\n"), "{tree}");
    let (count, tree) = rendered(async { numbers(4).take(1).count().await }).await;
    assert_eq!(count, 1);
    assert!(tree.starts_with("numbers\n  . count=4\n  . eventsource.cancelled=true\n"), "{tree}");
}

struct Remote;

#[async_trait]
trait Fetches {
    async fn fetch(&self, (left, right): (u8, u8), path: &str) -> Result<usize, Refused>;

    #[traced]
    async fn fetch_again(&self) -> usize {
        tokio::task::yield_now().await;
        values("again")
    }
}

#[async_trait]
impl Fetches for Remote {
    #[traced("remote.fetch", attributes(path), record("length" = result.as_ref().ok().copied()))]
    async fn fetch(&self, (left, right): (u8, u8), path: &str) -> Result<usize, Refused> {
        tokio::task::yield_now().await;
        values(path);
        if left > right { Err(Refused("secret")) } else { Ok(path.len()) }
    }
}

#[tokio::test]
async fn methods_of_async_trait_are_covered_until_they_are_done() {
    let (length, tree) = rendered(async { Remote.fetch((1, 2), "here").await.unwrap() }).await;
    assert_eq!(length, 4);
    assert!(tree.starts_with("remote.fetch\n  . length=4\n  . path=here\n  values\n"), "{tree}");
    let (_, tree) = rendered(async { Remote.fetch((2, 1), "here").await.unwrap_err() }).await;
    assert!(tree.starts_with("remote.fetch ERROR\n  . error.type=Refused\n"), "{tree}");
    let (_, tree) = rendered(async { Remote.fetch_again().await }).await;
    assert!(tree.starts_with("remote.fetch_again\n  values\n"), "{tree}");
}

#[traced]
async fn waits() {
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_dropped_future_ends_its_span() {
    let (_, tree) = rendered(dropped_after(1, waits())).await;
    assert_eq!(tree, "waits\n  . eventsource.cancelled=true\n");
}

/// A span of somebody else's, over OpenTelemetry alone.
fn foreign<R>(tracer: &impl Tracer<Span: Send + Sync + 'static>, name: &'static str, body: impl FnOnce() -> R) -> R {
    let context = OtelContext::current_with_span(tracer.start(name));
    let _guard = context.attach();
    body()
}

#[traced]
fn ours(body: &dyn Fn()) {
    body();
}

/// Ours in theirs in ours, under each kind of sampler; what a sampler drops, it drops for all.
#[tokio::test]
async fn foreign_spans_and_ours_are_each_others_parents() {
    let cases = [
        (Sampler::AlwaysOn, "ours(theirs(ours))"),
        (Sampler::AlwaysOff, ""),
        (Sampler::ParentBased(Box::new(Sampler::AlwaysOn)), "ours(theirs(ours))"),
        (Sampler::ParentBased(Box::new(Sampler::AlwaysOff)), ""),
    ];
    for (sampler, expected) in cases {
        let recorder = Recorder::with(|builder| builder.sampler(sampler));
        let tracer = recorder.tracer();
        recorder.run(async { ours(&|| foreign(&tracer, "theirs", || ours(&|| ()))) }).await;
        assert_eq!(recorder.trees().names(), expected);
        assert_eq!(recorder.open_spans(), 0);
    }
}

/// Below an unsampled parent the current context stays unsampled, whoever asks.
#[tokio::test]
async fn below_an_unsampled_parent_everybody_sees_it_unsampled() {
    let recorder = Recorder::new();
    let remote: TraceContext = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().unwrap();
    let inside = recorder.run(async { continued(&remote) }).await;
    let inside = inside.expect("a context is current");
    assert_eq!(inside.trace_id(), remote.trace_id());
    assert!(!inside.is_sampled());
    assert_eq!(recorder.started_spans(), 0);
}
