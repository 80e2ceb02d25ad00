//! Two releases of a program at a time, whose snapshots differ.

use super::*;

/// The tally of the next release.
#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(id = Uuid, name = "Tally", events(Added, Named), event = NextEvent, snapshot(every = 5, version = 2))]
struct Next {
    tally: Tally,
}

impl Apply<Added> for Next {
    fn apply(&mut self, event: Added) {
        self.tally.apply(event);
    }
}

impl Apply<Named> for Next {
    fn apply(&mut self, event: Named) {
        self.tally.apply(event);
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Next)]
struct AddNext {
    #[command(id)]
    tally: Uuid,
}

#[command_handler]
impl Next {
    fn add(&self, _: AddNext) -> Result<Added, Infallible> {
        Ok(Added { number: 1 })
    }
}

const ROUNDS: u64 = 20;

/// Each wrote its snapshot over the other's, and replayed the stream with every command.
#[tokio::test]
async fn a_release_keeps_its_snapshots_beside_the_one_before_it() {
    let ((recorder, metrics), store, tally) = (Recorder::measured(), MemoryStore::new(), Uuid::now_v7());
    let (old, next) = (Repository::<Tally, _>::new(store.clone()), Repository::<Next, _>::new(store));
    let buses =
        (CommandBus::builder().aggregate(old.clone()).build(), CommandBus::builder().aggregate(next.clone()).build());
    let by_old = async || {
        buses.0.dispatch(Add { tally, count: 1 }).await.unwrap();
        old.snapshots_written().await;
    };
    let by_next = async || {
        buses.1.dispatch(AddNext { tally }).await.unwrap();
        next.snapshots_written().await;
    };
    let in_turns = async {
        old.append(&tally, ExpectedVersion::NoStream, vec![Added { number: 1 }; 50]).await.unwrap();
        for _ in 0..ROUNDS {
            by_old().await;
            by_next().await;
        }
    };
    recorder.run(in_turns).await;
    let found = reads(&recorder, &metrics).await;
    assert_eq!(found["hit"], ROUNDS - 1, "all but the first load of the next release: {found:?}");
    // It is taken back: what it left is not kept for ever.
    for _ in 0..10 {
        by_old().await;
    }
    let found = reads(&recorder, &metrics).await;
    recorder.run(by_old()).await;
    assert_eq!(reads(&recorder, &metrics).await["hit"], found["hit"] + 1);
}
