//! Leases that go from hand to hand.

use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{Claim, Partition, ProjectionStore};
use eventsource_runtime::testing::run;
use eventsource_tests::services;
use uuid::Uuid;

use super::open_in;

/// Nothing but a name.
struct Idle;

#[derive(Event, serde::Serialize, serde::Deserialize)]
struct Ignored {}

#[projection]
impl Idle {
    fn ignored(&self, _: &Recorded<Ignored>) {}
}

fn claim() -> Claim {
    Claim::new(Uuid::now_v7(), "test", Duration::from_mins(1))
}

/// One was given up between the statement that asked for it and the one that looked who has it: nobody, so that both were
/// taken to have it.
#[test]
fn a_lease_that_is_given_up_while_it_is_asked_for_is_not_had_for_nothing() {
    run(async {
        let schema = services::a_schema();
        let (store, other) = (open_in(&schema).await, open_in(&schema).await);
        let part = Partition::whole("Idle");
        store.open_projection(Arc::new(Idle), 1, Position::START).await.unwrap();
        let passing = tokio::spawn(async move {
            loop {
                let own = claim();
                if other.lease_projection(part, own.clone()).await.unwrap().taken.is_none() {
                    other.lease_projection(part, own.given_up()).await.unwrap();
                }
            }
        });
        let raw = services::raw(&services::postgres()).await;
        let token = format!("SELECT token FROM {schema}.projection_partitions");
        for _ in 0..300 {
            let own = claim();
            while store.lease_projection(part, own.clone()).await.unwrap().taken.is_some() {
                assert!(!passing.is_finished());
            }
            let row = raw.query_one(&token, &[]).await.unwrap();
            assert_eq!(row.get::<_, Option<Uuid>>(0), Some(own.token));
            store.lease_projection(part, own.given_up()).await.unwrap();
        }
        passing.abort();
    });
}
