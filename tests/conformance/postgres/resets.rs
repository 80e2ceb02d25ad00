//! Resets that take longer than a lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::ProjectionOptions;
use eventsource_runtime::store::PostgresTransaction;
use eventsource_runtime::testing::run;
use serde::{Deserialize, Serialize};

use super::{a_stream, events, open};

const TERM: Duration = Duration::from_millis(600);
const PARTS: u32 = 6;

#[derive(Event, Serialize, Deserialize)]
struct Unseen;

/// Its reset goes on until a renewal has waited for it through several of its turns, and counts those that do.
#[derive(Clone, Default)]
struct Slow {
    waiting: Arc<AtomicI64>,
}

#[projection]
impl Slow {
    #[projection(reset)]
    async fn clear(&self, tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let mut most = 0;
        for turn in 0.. {
            // What is looked at stays the same within a transaction.
            tx.execute_batch("SELECT pg_stat_clear_snapshot(); SELECT pg_sleep(0.1)").await?;
            most = most.max(tx.query_one(waiting, &[]).await?.get(0));
            if most > 0 && turn > 9 {
                break;
            }
        }
        self.waiting.store(most, Ordering::SeqCst);
        Ok(())
    }

    async fn unseen(&self, _event: &Recorded<Unseen>, _tx: &PostgresTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(())
    }
}

/// One for each part would take connection after connection from everybody else.
#[test]
fn a_long_reset_holds_up_one_connection_and_not_one_for_each_part() {
    run(async {
        let (store, slow) = (open().await, Slow::default());
        let last = store.append(&a_stream(), ExpectedVersion::Any, events(1)).await.unwrap().position;
        let options = ProjectionOptions::default().partitions(PARTS);
        let runner = ProjectionRunner::new(store).projection_with(slow.clone(), options).lease(TERM);
        let projections = runner.rebuild().spawn();
        projections.wait_for(last).await.unwrap();
        projections.shutdown().await.unwrap();
        assert_eq!(slow.waiting.load(Ordering::SeqCst), 1);
    });
}
