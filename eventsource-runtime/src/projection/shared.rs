//! Projections behind a pointer.

use std::sync::Arc;

use super::{Backend, Projection};
use crate::domain::StoredEvent;

/// A projection behind a pointer is the projection: whatever it does not forward would be another one's.
macro_rules! behind {
    ($($pointer:ident: $why:literal)+) => {$(
        #[doc = $why]
        impl<B: Backend, P: Projection<B> + ?Sized> Projection<B> for $pointer<P> {
            fn name(&self) -> &'static str {
                (**self).name()
            }

            fn span_name(&self) -> &'static str {
                (**self).span_name()
            }

            fn enable_tracing(&self) -> Option<bool> {
                (**self).enable_tracing()
            }

            fn event_types(&self) -> Vec<&'static str> {
                (**self).event_types()
            }

            fn setup<'a>(&'a self, tx: &'a B::Transaction<'_>) -> B::Step<'a> {
                (**self).setup(tx)
            }

            fn reset<'a>(&'a self, tx: &'a B::Transaction<'_>) -> B::Step<'a> {
                (**self).reset(tx)
            }

            fn apply<'a>(&'a self, event: &'a StoredEvent, tx: &'a B::Transaction<'_>) -> B::Step<'a> {
                (**self).apply(event, tx)
            }
        }
    )+};
}

behind! {
    Arc: "For a projection that several share, such as a runner and its [dead letters](super::DeadLetters)."
    Box: "For a projection that is chosen at run time."
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use uuid::Uuid;

    use super::*;
    use crate::clock::Timestamp;
    use crate::projection::{OnFailure, ProjectionError, ProjectionRunner};
    use crate::store::{
        EventStore, ExpectedVersion, Memory, MemoryStore, MemoryTransaction, NewEvent, Origin, Position, StreamId,
    };

    #[derive(Default)]
    struct Counts {
        events: AtomicU64,
        fails: AtomicBool,
    }

    impl Projection<Memory> for Counts {
        fn name(&self) -> &'static str {
            "Counts"
        }

        fn span_name(&self) -> &'static str {
            "projection.Counts"
        }

        fn event_types(&self) -> Vec<&'static str> {
            vec!["Counted"]
        }

        fn apply<'a>(&'a self, _: &'a StoredEvent, _: &'a MemoryTransaction) -> <Memory as Backend>::Step<'a> {
            if self.fails.load(Ordering::SeqCst) {
                return Memory::ready(Err(ProjectionError::new("it is to fail")));
            }
            self.events.fetch_add(1, Ordering::SeqCst);
            Memory::ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_runner_and_its_dead_letters_share_a_projection() {
        let store = MemoryStore::new();
        let counts = Arc::new(Counts { fails: true.into(), ..Counts::default() });
        let runner = ProjectionRunner::new(store.clone()).on_failure(OnFailure::DeadLetter).max_retries(0);
        let letters = runner.dead_letters(Arc::clone(&counts));
        let projections = runner.projection(Arc::clone(&counts)).spawn();
        let (stream, origin) = (StreamId::new("Order", 42), Origin::at(Timestamp::from_micros(0)));
        let payload = "{}".into();
        let event =
            NewEvent { id: Uuid::now_v7(), event_type: "Counted", schema_version: 1, payload, origin: origin.into() };
        let appended = store.append(&stream, ExpectedVersion::Any, vec![event]).await.unwrap();
        projections.wait_for(appended.position).await.unwrap();
        assert_eq!(letters.list(Position::START, 10).await.unwrap().len(), 1);
        counts.fails.store(false, Ordering::SeqCst);
        assert_eq!(letters.retry(&stream).await.unwrap(), 1);
        assert_eq!(counts.events.load(Ordering::SeqCst), 1);
        projections.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_projection_is_chosen_at_run_time() {
        let chosen: Box<dyn Projection<Memory>> = Box::new(Counts::default());
        assert_eq!((chosen.name(), chosen.event_types()), ("Counts", vec!["Counted"]));
        let projections = ProjectionRunner::new(MemoryStore::new()).projection(chosen).spawn();
        projections.wait_for(Position::START).await.unwrap();
        projections.shutdown().await.unwrap();
    }
}
