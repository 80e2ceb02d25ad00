//! What is told of trouble that projections have beside their steps, which has no span.

use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteStore, SqliteTransaction};
use eventsource_tests::orders::OrderPlaced;
use eventsource_tests::scratch::Scratch;

use crate::logs::{attribute, recorded, records};

struct Idle;

#[projection]
impl Idle {
    fn placed(&self, _: &Recorded<OrderPlaced>, _: &SqliteTransaction<'_>) {}
}

/// A lease that could not be had, or a set-up that failed, was `backend`, and nothing told why.
#[tokio::test]
async fn trouble_with_a_lease_or_a_set_up_is_logged_with_the_code_of_the_database_and_its_text_if_asked_for() {
    for asked in [false, true] {
        let (recorder, logs) = recorded(|builder| builder.record_error_text(asked));
        let scratch = Scratch::new();
        let store = SqliteStore::open(scratch.file()).await.unwrap();
        let raw = rusqlite::Connection::open(scratch.file()).unwrap();
        raw.execute_batch("DROP TABLE projection_partitions").unwrap();
        let failing = async {
            let runner = ProjectionRunner::new(store.clone()).max_retries(1).patience(Duration::from_millis(5));
            let projections = runner.projection(Idle).spawn();
            projections.stopped().await;
            projections.shutdown().await.unwrap_err();
        };
        recorder.run(failing).await;
        let records = records(&recorder, &logs).await;
        for name in ["eventsource.projection.retried", "eventsource.projection.stopped"] {
            let record = records.iter().find(|record| record.event_name() == Some(name)).expect(name);
            assert_eq!(attribute(record, "error.type").as_deref(), Some("backend"), "{name}");
            assert_eq!(attribute(record, "db.response.status_code").as_deref(), Some("1"), "{name}");
            let text = attribute(record, "exception.message");
            assert_eq!(text.is_some_and(|text| text.contains("no such table: projection_partitions")), asked, "{name}");
        }
        store.close().await;
    }
}
