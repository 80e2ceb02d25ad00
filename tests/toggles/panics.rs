//! Handlers that panic: the panic is the caller's, and counted.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::recorder::Recorder;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use crate::metrics::points;
use crate::turn;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Lit {}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, events(Lit))]
struct Fuse;

impl Apply<Lit> for Fuse {
    fn apply(&mut self, _: Lit) {}
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Fuse)]
struct Light(#[command(id)] u64);

#[command_handler]
impl Fuse {
    fn light(&self, _: Light) -> Result<Lit, Infallible> {
        panic!("a handler")
    }
}

#[derive(Query, Deserialize)]
#[query(output = u64)]
struct HowLong;

struct Answers;

#[query_handler]
impl Answers {
    async fn how_long(&self, _: HowLong) -> Result<u64, Infallible> {
        panic!("a handler")
    }
}

/// A release of which every command panics showed as one that had nothing to do.
#[tokio::test]
async fn commands_and_queries_that_panic_are_counted_as_their_spans_say() {
    let _turn = turn().await;
    for metrics in [true, false] {
        let (recorder, exporter) = Recorder::measured();
        let fuses = Repository::<Fuse, _>::new(MemoryStore::new());
        let commands = CommandBus::builder().aggregate(fuses).enable_metrics(metrics).build();
        let queries = QueryBus::builder().handler(Answers).enable_metrics(metrics).build();
        recorder
            .run(async {
                AssertUnwindSafe(commands.dispatch(Light(1))).catch_unwind().await.unwrap_err();
                AssertUnwindSafe(queries.execute(HowLong)).catch_unwind().await.unwrap_err();
            })
            .await;
        recorder.flush().await;
        let counted = if metrics { vec![("error panic".to_owned(), 1)] } else { Vec::new() };
        assert_eq!(points(&exporter, "cqrs.command.total"), counted);
        assert_eq!(points(&exporter, "cqrs.query.total"), counted);
        let rendered = recorder.trees().render();
        assert!(rendered.contains("  . cqrs.command.status=error\n"), "{rendered}");
        assert_eq!(rendered.matches("  . error.type=panic\n").count(), 3, "the handler's own is one: {rendered}");
    }
}
