//! Across tasks and threads, where somebody has to take the span along.

use std::sync::Arc;

use eventsource_runtime::telemetry::{Scope, span, spawn_traced};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet, yield_now};

use super::{Case, OnDrop, assert_trees, endless, leaf, root};

#[test]
fn across_tasks_and_threads() {
    assert_trees(SHAPES);
}

const SHAPES: &[Case] = &[
    ("spawned", || root(async { spawn_traced(leaf("a")).await.unwrap() }), "root(a)"),
    (
        "spawned twice over",
        || {
            root(async {
                spawn_traced(span("a").run(async { spawn_traced(leaf("b")).await.unwrap() })).await.unwrap();
            })
        },
        "root(a(b))",
    ),
    (
        "spawned, and longer than its parent",
        || {
            Box::pin(async {
                let (go, wait) = oneshot::channel::<()>();
                let late = async move {
                    let _ = wait.await;
                    leaf("late").await;
                };
                let spawned = span("root").in_scope(|| spawn_traced(late));
                go.send(()).unwrap();
                spawned.await.unwrap();
            })
        },
        "root(late)",
    ),
    (
        "set of tasks",
        || {
            root(async {
                let mut set = JoinSet::new();
                for _ in 0..3 {
                    set.spawn(Scope::current().run(leaf("a")));
                }
                while set.join_next().await.is_some() {}
            })
        },
        "root(a a a)",
    ),
    (
        "aborted",
        || {
            root(async {
                let (tell, told) = oneshot::channel();
                let spawned = spawn_traced(span("a").run(async {
                    tell.send(()).unwrap();
                    std::future::pending::<()>().await;
                }));
                told.await.unwrap();
                spawned.abort();
                assert!(spawned.await.unwrap_err().is_cancelled());
            })
        },
        "root(a)",
    ),
    (
        "aborted with a guard",
        || {
            root(async {
                let (tell, told) = oneshot::channel();
                let spawned = spawn_traced(async {
                    let _guard = OnDrop;
                    tell.send(()).unwrap();
                    std::future::pending::<()>().await;
                });
                told.await.unwrap();
                spawned.abort();
                assert!(spawned.await.unwrap_err().is_cancelled());
            })
        },
        "root(dropped)",
    ),
    (
        "aborted with a guard where spans are off",
        || {
            root(async {
                let (tell, told) = oneshot::channel();
                let body = async {
                    let _guard = OnDrop;
                    tell.send(()).unwrap();
                    std::future::pending::<()>().await;
                };
                let off = span("off").options(|options| options.enable_tracing(false));
                let spawned = off.in_scope(|| spawn_traced(body));
                told.await.unwrap();
                spawned.abort();
                assert!(spawned.await.unwrap_err().is_cancelled());
            })
        },
        "root",
    ),
    (
        "spawned, and panics",
        || {
            root(async {
                let panics = async {
                    yield_now().await;
                    if std::hint::black_box(true) {
                        std::panic::resume_unwind(Box::new("as it must"));
                    }
                };
                assert!(spawn_traced(span("a").run(panics)).await.unwrap_err().is_panic());
            })
        },
        "root(a)",
    ),
    (
        "blocking",
        || {
            root(async {
                let scope = Scope::current();
                tokio::task::spawn_blocking(move || scope.in_scope(|| span("a").in_scope(|| ()))).await.unwrap();
            })
        },
        "root(a)",
    ),
    (
        "blocking in place",
        || {
            root(async {
                spawn_traced(async { tokio::task::block_in_place(|| span("a").in_scope(|| ())) }).await.unwrap();
            })
        },
        "root(a)",
    ),
    (
        "blocking, and back",
        || {
            root(async {
                let (scope, handle) = (Scope::current(), tokio::runtime::Handle::current());
                let there = move || scope.in_scope(|| span("a").in_scope(|| handle.block_on(leaf("b"))));
                tokio::task::spawn_blocking(there).await.unwrap();
            })
        },
        "root(a(b))",
    ),
    (
        "thread",
        || {
            root(async {
                let scope = Scope::current();
                std::thread::spawn(move || scope.in_scope(|| span("a").in_scope(|| ()))).join().unwrap();
            })
        },
        "root(a)",
    ),
    (
        "local set",
        || {
            root(async {
                let scope = Scope::current();
                let there = move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    LocalSet::new().block_on(&runtime, async {
                        tokio::task::spawn_local(scope.run(leaf("a"))).await.unwrap();
                    });
                };
                std::thread::spawn(there).join().unwrap();
            })
        },
        "root(a)",
    ),
    (
        "channel: work is where it is done",
        || {
            root(async {
                let (send, mut receive) = mpsc::channel::<u8>(1);
                let worker = spawn_traced(span("worker").run(async move {
                    while receive.recv().await.is_some() {
                        leaf("item").await;
                    }
                }));
                for item in 0..2 {
                    span("send").run(async { send.send(item).await.unwrap() }).await;
                }
                drop(send);
                worker.await.unwrap();
            })
        },
        "root(send send worker(item item))",
    ),
    (
        "channel that carries the scope",
        || {
            root(async {
                let (send, mut receive) = mpsc::channel::<Scope>(1);
                let worker = tokio::spawn(async move {
                    while let Some(scope) = receive.recv().await {
                        scope.run(leaf("item")).await;
                    }
                });
                for _ in 0..2 {
                    span("send").run(async { send.send(Scope::current()).await.unwrap() }).await;
                }
                drop(send);
                worker.await.unwrap();
            })
        },
        "root(send(item) send(item))",
    ),
    (
        "notified",
        || {
            root(async {
                let notify = Arc::new(Notify::new());
                let theirs = Arc::clone(&notify);
                let waits = spawn_traced(span("waits").run(async move {
                    theirs.notified().await;
                    leaf("a").await;
                }));
                notify.notify_one();
                waits.await.unwrap();
            })
        },
        "root(waits(a))",
    ),
    (
        "join of spawned ones in a select",
        || {
            root(async {
                let both = async { tokio::join!(spawn_traced(leaf("a")), spawn_traced(leaf("b"))) };
                // In this order: both may be done elsewhere before the third is polled for the first time.
                tokio::select! { biased; () = endless("c") => (), _ = both => () }
            })
        },
        "root(a b c)",
    ),
    (
        "plain spawn begins anew, and elsewhere",
        || root(async { tokio::spawn(leaf("elsewhere")).await.unwrap() }),
        "root",
    ),
];
