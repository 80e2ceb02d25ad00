//! Shapes that async code takes, each as the tree that it must leave, on one worker and on four.

mod across;
mod streams;
mod within;

use std::future::Future;
use std::pin::Pin;

use eventsource_runtime::telemetry::span;
use eventsource_tests::recorder::Recorder;
use opentelemetry::trace::{SpanContext, SpanId};
use opentelemetry_sdk::trace::SpanData;
use tokio::task::yield_now;

type Shape = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What it is, the shape, and the tree that it leaves.
type Case = (&'static str, fn() -> Shape, &'static str);

/// A span that is left and entered again twice.
async fn leaf(name: &'static str) {
    span(name)
        .run(async {
            yield_now().await;
            yield_now().await;
        })
        .await;
}

/// What the destructor of this does has a span.
struct OnDrop;

impl Drop for OnDrop {
    fn drop(&mut self) {
        span("dropped").in_scope(|| ());
    }
}

/// A span that never ends by itself.
async fn endless(name: &'static str) {
    span(name).run(std::future::pending::<()>()).await;
}

fn root(body: impl Future<Output = ()> + Send + 'static) -> Shape {
    Box::pin(span("root").run(body))
}

fn deeper(left: u32) -> Shape {
    Box::pin(span("deeper").run(async move {
        if left > 1 {
            deeper(left - 1).await;
        }
    }))
}

/// The spans as a tree, siblings by name: on several workers nothing else is certain.
fn tree(spans: &[SpanData]) -> String {
    fn below(spans: &[SpanData], parent: Option<&SpanContext>) -> String {
        let known = |id: SpanId| spans.iter().any(|span| span.span_context.span_id() == id);
        let children = spans.iter().filter(|span| match parent {
            Some(parent) => {
                span.parent_span_id == parent.span_id() && span.span_context.trace_id() == parent.trace_id()
            }
            None => !known(span.parent_span_id),
        });
        let mut drawn: Vec<_> = children
            .map(|span| {
                let inner = below(spans, Some(&span.span_context));
                if inner.is_empty() { span.name.to_string() } else { format!("{}({inner})", span.name) }
            })
            .collect();
        drawn.sort();
        drawn.join(" ")
    }
    below(spans, None)
}

/// Runs each shape on one worker and on four, and compares all of them before it complains.
fn assert_trees(shapes: &[Case]) {
    let mut wrong = Vec::new();
    for workers in [1, 4] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap();
        for (name, shape, expected) in shapes {
            let recorder = Recorder::new();
            runtime.block_on(recorder.run(shape()));
            let found = tree(&recorder.spans());
            if found != *expected || recorder.open_spans() != 0 {
                let open = recorder.open_spans();
                wrong.push(format!("{name}, {workers} workers: {found}, not {expected}; {open} open"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
