//! Within one task.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::telemetry::span;
use tokio::sync::{Mutex, Semaphore};

use super::{Case, Shape, assert_trees, deeper, endless, leaf, root};

#[test]
fn within_one_task() {
    assert_trees(SHAPES);
}

const SHAPES: &[Case] = &[
    (
        "one after the other",
        || {
            root(async {
                leaf("a").await;
                leaf("b").await;
            })
        },
        "root(a b)",
    ),
    ("nested", || root(async { span("a").run(leaf("b")).await }), "root(a(b))"),
    (
        "join",
        || {
            root(async {
                tokio::join!(leaf("a"), leaf("b"));
            })
        },
        "root(a b)",
    ),
    (
        "join, nested",
        || {
            root(async {
                tokio::join!(span("a").run(leaf("c")), span("b").run(leaf("d")));
            })
        },
        "root(a(c) b(d))",
    ),
    (
        "try_join that fails",
        || {
            root(async {
                let fails = async {
                    leaf("a").await;
                    Err::<(), ()>(())
                };
                let _ = tokio::try_join!(fails, async {
                    endless("b").await;
                    Ok(())
                });
            })
        },
        "root(a b)",
    ),
    (
        "select",
        || {
            root(async {
                tokio::select! { () = leaf("a") => (), () = endless("b") => () }
                leaf("c").await;
            })
        },
        "root(a b c)",
    ),
    (
        "select in a loop",
        || {
            root(async {
                for _ in 0..2 {
                    tokio::select! { biased; () = leaf("a") => (), () = endless("b") => () }
                }
            })
        },
        "root(a a b b)",
    ),
    (
        "time-out that elapses",
        || {
            root(async {
                let _ = tokio::time::timeout(Duration::from_millis(1), endless("a")).await;
                leaf("b").await;
            })
        },
        "root(a b)",
    ),
    (
        "time-out that does not",
        || {
            root(async {
                let _ = tokio::time::timeout(Duration::from_mins(1), leaf("a")).await;
            })
        },
        "root(a)",
    ),
    ("recursion", || root(deeper(3)), "root(deeper(deeper(deeper)))"),
    (
        "boxed",
        || {
            root(async {
                let boxed: Shape = Box::pin(leaf("a"));
                boxed.await;
            })
        },
        "root(a)",
    ),
    (
        "loop",
        || {
            root(async {
                for _ in 0..3 {
                    leaf("a").await;
                }
            })
        },
        "root(a a a)",
    ),
    (
        "early return",
        || {
            root(async {
                let early = async {
                    leaf("a").await;
                    Err::<(), ()>(())?;
                    leaf("never").await;
                    Ok::<(), ()>(())
                };
                let _ = span("b").run(early).await;
            })
        },
        "root(b(a))",
    ),
    (
        "made outside, polled inside",
        || {
            let made = leaf("a");
            root(made)
        },
        "root(a)",
    ),
    (
        "made inside, polled outside",
        || {
            Box::pin(async {
                let made = span("root").in_scope(|| leaf("a"));
                made.await;
            })
        },
        "a root",
    ),
    ("never polled", || root(async { drop(leaf("a")) }), "root"),
    (
        "dropped half-way",
        || {
            root(async {
                let mut half = Box::pin(endless("a"));
                std::future::poll_fn(|task| {
                    let _ = half.as_mut().poll(task);
                    std::task::Poll::Ready(())
                })
                .await;
                drop(half);
                leaf("b").await;
            })
        },
        "root(a b)",
    ),
    (
        "two roots that take turns",
        || {
            Box::pin(async {
                tokio::join!(span("first").run(leaf("a")), span("second").run(leaf("b")));
            })
        },
        "first(a) second(b)",
    ),
    (
        "lock that is waited for",
        || {
            root(async {
                let lock = Arc::new(Mutex::new(()));
                let held = lock.lock().await;
                let waits = span("waits").run(async {
                    let _held = lock.lock().await;
                    leaf("a").await;
                });
                tokio::join!(waits, async {
                    leaf("b").await;
                    drop(held);
                });
            })
        },
        "root(b waits(a))",
    ),
    (
        "permits",
        || {
            root(async {
                let permits = Semaphore::new(1);
                let one = async {
                    let _permit = permits.acquire().await;
                    leaf("a").await;
                };
                let other = async {
                    let _permit = permits.acquire().await;
                    leaf("b").await;
                };
                tokio::join!(one, other);
            })
        },
        "root(a b)",
    ),
    (
        "stream by hand",
        || {
            root(async {
                let mut left = 3;
                while std::future::poll_fn(|_| std::task::Poll::Ready(left > 0)).await {
                    left -= 1;
                    leaf("item").await;
                }
            })
        },
        "root(item item item)",
    ),
];
