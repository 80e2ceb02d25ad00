//! Steps that write to a store of somebody else's, which is in trouble.

use eventsource_runtime::store::{AppendError, MemoryTransaction};

use super::*;

/// Why something was not passed on, in the words of an application.
#[derive(Debug, thiserror::Error)]
#[error("it was not passed on")]
struct Unsent(#[source] AppendError);

/// Passes cancellations on to another store.
struct Passing {
    orders: Repository<Order, Faulty>,
    wraps: bool,
}

#[projection]
impl Passing {
    async fn cancelled(&self, event: &Recorded<OrderCancelled>, _: &MemoryTransaction) -> Result<(), ProjectionError> {
        let context = Context { command_id: Some(event.event_id()), ..Context::default() };
        let cancelled = OrderCancelled { reason: event.reason.clone() };
        let passed = self.orders.append_with(&Uuid::nil(), ExpectedVersion::Any, cancelled, context).await;
        match passed {
            Err(error) if self.wraps => Err(Unsent(error).into()),
            passed => Ok(passed.map(drop)?),
        }
    }
}

/// It was held against the events, since the projection's own store was well: after five attempts the policy acted.
#[tokio::test]
async fn a_step_is_not_to_blame_for_a_store_that_it_calls() {
    for policy in [OnFailure::Stop, OnFailure::Skip, OnFailure::DeadLetter] {
        for wraps in [false, true] {
            let (store, other) = (MemoryStore::new(), Faulty::default());
            let passing = Passing { orders: Repository::new(other.clone()), wraps };
            let mut last = Position::START;
            for _ in 0..3 {
                last = cancel(&store, &a_stream(), REASON, 1).await;
            }
            other.fail_appends(4);
            let runner = ProjectionRunner::new(store).on_failure(policy).max_retries(0);
            let projections = runner.projection(passing).spawn();
            projections.wait_for(last).await.unwrap();
            projections.shutdown().await.unwrap();
            assert_eq!(other.head().await.unwrap(), 3, "{policy:?}");
        }
    }
}
