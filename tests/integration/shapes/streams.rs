//! Streams, which run nothing by themselves: what they do would belong to whoever polls them.

use eventsource_runtime::telemetry::{Scope, span, stream_traced};
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::oneshot;

use super::{Case, OnDrop, assert_trees, leaf, root};

#[test]
fn streams_keep_their_parent_wherever_they_are_polled() {
    assert_trees(SHAPES);
}

/// A span for each item, made by the stream.
fn rows(name: &'static str) -> impl Stream<Item = u32> + Send {
    stream::iter(1..=2).then(move |row| async move {
        leaf(name).await;
        row
    })
}

const SHAPES: &[Case] = &[
    (
        "stream that another task polls",
        || {
            root(async {
                let rows = stream_traced(rows("row"));
                assert_eq!(tokio::spawn(rows.count()).await.unwrap(), 2);
            })
        },
        "root(row row)",
    ),
    (
        "stream that is longer than its parent",
        || {
            Box::pin(async {
                let (go, wait) = oneshot::channel::<()>();
                let late = stream::once(async move {
                    let _ = wait.await;
                    leaf("late").await;
                });
                let late = span("root").in_scope(|| tokio::spawn(stream_traced(late).count()));
                go.send(()).unwrap();
                late.await.unwrap();
            })
        },
        "root(late)",
    ),
    (
        "stream in a span of its own",
        || root(async { assert_eq!(tokio::spawn(span("rows").stream(rows("row")).count()).await.unwrap(), 2) }),
        "root(rows(row row))",
    ),
    (
        "streams that are merged",
        || {
            root(async {
                let (left, right) = (span("left").stream(rows("a")), span("right").stream(rows("b")));
                assert_eq!(stream::select(Box::pin(left), Box::pin(right)).count().await, 4);
            })
        },
        "root(left(a a) right(b b))",
    ),
    (
        "stream of futures that run beside each other",
        || {
            root(async {
                let futures = stream::iter(0..3).map(|_| leaf("a")).buffer_unordered(3);
                tokio::spawn(stream_traced(futures).count()).await.unwrap();
            })
        },
        "root(a a a)",
    ),
    (
        "stream that is dropped half-way",
        || {
            root(async {
                let body = (OnDrop, Box::pin(rows("row")));
                let body = stream::unfold(body, |(on_drop, mut rows)| async move {
                    rows.next().await.map(|row| (row, (on_drop, rows)))
                });
                let mut rows = Box::pin(span("rows").stream(body));
                assert_eq!(rows.next().await, Some(1));
                // By a task that knows nothing of the trace.
                tokio::spawn(async move { drop(rows) }).await.unwrap();
            })
        },
        "root(rows(dropped row))",
    ),
    (
        "stream that a scope takes along, dropped elsewhere",
        || {
            root(async {
                let body = stream::repeat(1).scan(OnDrop, |_, one| std::future::ready(Some(one)));
                let mut ones = Box::pin(Scope::current().stream(body));
                tokio::spawn(async move { ones.next().await }).await.unwrap();
            })
        },
        "root(dropped)",
    ),
];
