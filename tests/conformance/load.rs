//! Readers of the feed under random load, and one that is paused for long.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventsource_runtime::StoredEvent;
use eventsource_runtime::store::{
    AppendError, EventStore, ExpectedVersion, Filter, MemoryStore, Position, Postgres, SqliteStore, StreamId, Traced,
    Version,
};
use eventsource_runtime::testing::run;
use eventsource_tests::dice::Dice;
use eventsource_tests::dropping::dropped_after;
use eventsource_tests::own_store::remote;
use eventsource_tests::services::{self, repeats};
use uuid::Uuid;

use crate::events;

/// For how many seconds each store is under load; 60 in a long run.
const SECONDS: &str = "EVENTSOURCE_TESTS_LOAD_SECONDS";
const WRITERS: u64 = 8;
const STREAMS: u64 = 6;
const READERS: u64 = 3;
/// How many events a writer stores at most.
const MOST: usize = 20_000;

/// Appends what is stored, what is refused, and what is dropped on its way and made again; the ids of what is stored.
async fn write<S: EventStore>(store: S, streams: Arc<Vec<StreamId>>, seed: u64, enough: Arc<AtomicBool>) -> Vec<Uuid> {
    let (mut dice, mut stored) = (Dice(seed), Vec::new());
    // What never waits, such as a store in memory, would let nobody else run.
    while !enough.load(Ordering::SeqCst) && stored.len() < MOST {
        tokio::task::yield_now().await;
        let stream = &streams[usize::try_from(dice.below(STREAMS)).unwrap()];
        let batch = events(usize::try_from(1 + dice.below(3)).unwrap());
        match dice.below(5) {
            0 => {
                let stale = ExpectedVersion::Exact(Version::new(u64::from(u32::MAX)));
                let refused = store.append(stream, stale, batch).await;
                assert!(matches!(refused, Err(AppendError::Conflict(_))), "{refused:?}");
                continue;
            }
            1 if !stored.is_empty() => {
                let mut mixed = batch;
                mixed[0].id = stored[0];
                mixed.extend(events(1));
                let refused = store.append(stream, ExpectedVersion::Any, mixed).await;
                assert!(matches!(refused, Err(AppendError::IdempotencyMismatch { .. })), "{refused:?}");
                continue;
            }
            // Its fate is not known; made again, it is stored once.
            2 => {
                let polls = usize::try_from(dice.below(4)).unwrap();
                drop(dropped_after(polls, store.append(stream, ExpectedVersion::Any, batch.clone())).await);
            }
            _ => {}
        }
        store.append(stream, ExpectedVersion::Any, batch.clone()).await.unwrap();
        stored.extend(batch.iter().map(|event| event.id));
    }
    stored
}

/// What a reader has seen.
#[derive(Default)]
struct Seen {
    ids: Vec<Uuid>,
    last: Position,
    versions: HashMap<StreamId, u64>,
}

impl Seen {
    fn take(&mut self, event: &StoredEvent) {
        assert!(event.position > self.last, "no event appears behind a reader");
        self.last = event.position;
        let version = self.versions.entry(event.stream.clone()).or_default();
        *version += 1;
        assert_eq!(event.version, *version, "a stream is seen in order, without a hole");
        self.ids.push(event.id);
    }
}

/// Where the feed ends at last.
type End = tokio::sync::watch::Receiver<Option<Position>>;

/// Reads until it has seen everything up to where the feed ends at last, and begins anew now and then.
async fn read<S: EventStore>(store: Traced<S>, filter: Filter, seed: u64, end: End) -> Seen {
    let (mut dice, mut shown) = (Dice(seed), Seen::default());
    loop {
        let mut subscription = store.subscribe_to(shown.last, filter.clone());
        for _ in 0..=dice.below(200) {
            if end.borrow().is_some_and(|end| end <= shown.last) {
                return shown;
            }
            // Nothing comes any more where the end was told meanwhile.
            match tokio::time::timeout(Duration::from_millis(200), subscription.next()).await {
                Ok(event) => shown.take(&event.unwrap()),
                Err(_) => break,
            }
        }
    }
}

async fn under_load<S: EventStore>(name: &str, store: S, disturb: impl Future<Output = ()> + Send + 'static) {
    let (seed, store) = (std::time::UNIX_EPOCH.elapsed().unwrap().as_secs(), Traced::over(store));
    println!("{name}: seed {seed}");
    let streams: Arc<Vec<_>> = Arc::new((0..STREAMS).map(|_| StreamId::new("Order", Uuid::now_v7())).collect());
    let (enough, (end, told)) = (Arc::new(AtomicBool::new(false)), tokio::sync::watch::channel(None));
    let readers: Vec<_> = (0..READERS)
        .map(|number| {
            // One of them asks for the type that all events have, which a store looks up in another way.
            let filter = if number == 1 { Filter::all().event_types(["Placed"]) } else { Filter::all() };
            tokio::spawn(read(store.clone(), filter, seed ^ number, told.clone()))
        })
        .collect();
    let disturbing = tokio::spawn(disturb);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (streams, enough) = (Arc::clone(&streams), Arc::clone(&enough));
            tokio::spawn(write(store.inner().clone(), streams, seed.wrapping_mul(31) ^ number, enough))
        })
        .collect();
    // The load lasts for as long as it was asked for.
    tokio::time::sleep(Duration::from_secs(repeats(SECONDS, 2) as u64)).await;
    enough.store(true, Ordering::SeqCst);
    let mut stored = Vec::new();
    for writer in writers {
        stored.extend(writer.await.unwrap());
    }
    disturbing.abort();
    if let Err(ended) = disturbing.await {
        assert!(ended.is_cancelled(), "whoever disturbs has failed: {ended}");
    }
    end.send_replace(Some(store.head().await.unwrap()));
    stored.sort_unstable();
    for reader in readers {
        let mut shown = reader.await.unwrap().ids;
        shown.sort_unstable();
        assert!(shown == stored, "seed {seed}: what is seen is what was stored, once");
    }
    println!("{name}: {} events, missed 0, doubled 0", stored.len());
}

/// How often something was rolled back.
fn counter() -> (Arc<AtomicU64>, Arc<AtomicU64>) {
    let rounds = Arc::<AtomicU64>::default();
    (Arc::clone(&rounds), rounds)
}

#[test]
fn nothing_is_missed_in_memory() {
    run(async {
        under_load("memory", MemoryStore::new(), std::future::ready(())).await;
        under_load("a stranger's store", remote(), std::future::ready(())).await;
    });
}

#[test]
fn nothing_is_missed_on_sqlite() {
    run(async {
        let file = super::sqlite::a_file();
        // Another store on the file, whose transactions are rolled back.
        let raw = rusqlite::Connection::open(&file).unwrap();
        let store = super::sqlite::open(&file).await;
        let (rounds, counted) = counter();
        let roll_back = async move {
            raw.busy_timeout(Duration::from_secs(5)).unwrap();
            loop {
                let insert = "BEGIN IMMEDIATE; INSERT INTO events (stream_id, version, event_id, event_type, schema_version, \
                    recorded_at, payload) VALUES ('Order-x', 1, randomblob(16), 'Placed', 1, 1, x''); ROLLBACK";
                raw.execute_batch(insert).unwrap();
                rounds.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        };
        under_load("SQLite in a file", store, roll_back).await;
        assert!(counted.load(Ordering::SeqCst) > 0, "nothing was rolled back");
        under_load("SQLite in memory", SqliteStore::open(":memory:").await.unwrap(), std::future::ready(())).await;
    });
}

#[test]
fn nothing_is_missed_on_postgresql() {
    run(async {
        let schema = services::a_schema();
        let store = super::postgres::open_in(&schema).await;
        let raw = services::raw(&services::postgres()).await;
        let (rounds, counted) = counter();
        let roll_back = async move {
            let mut dice = Dice(7);
            loop {
                let (id, pause) = (Uuid::now_v7(), dice.below(5));
                let append = format!(
                    "BEGIN; SELECT FROM {schema}.{}('Order-{id}', -1, '{id}', 'Placed', 1, 1, NULL, NULL, NULL, \
                    NULL, NULL, '1'); SELECT pg_sleep(0.00{pause}); ROLLBACK",
                    Postgres::APPEND_ONE
                );
                raw.batch_execute(&append).await.unwrap();
                rounds.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        };
        under_load("PostgreSQL", store, roll_back).await;
        assert!(counted.load(Ordering::SeqCst) > 0, "nothing was rolled back");
    });
}

mod paused;
