//! What errors say: what was attempted, on what, and what to do; and nothing of payloads.

mod named;

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, Intake, Message, PublishError, Published, Settle,
    Traced as OnBus,
};
use eventsource_runtime::prelude::*;
use eventsource_runtime::projection::{DeadLetters, ProjectionStopped};
use eventsource_runtime::snapshot::{SnapshotStore, StoredSnapshot};
use eventsource_runtime::store::{
    AppendError, Appended, EventStore, Filter, Fold, Folded, Memory, MemoryStore, NewEvent, Page, StoreError,
    StoreInfo, StreamId, Traced, Visitor,
};
use eventsource_runtime::{StoredEvent, delegate};
use eventsource_tests::faulty::Faulty;
use eventsource_tests::own_bus::remote;
use rusqlite::ffi::{SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_READONLY};
use serde::{Deserialize, Serialize, Serializer};

/// A store whose every call fails.
#[derive(Clone, Default)]
struct Away(Memory);

fn away<T>(attempt: &'static str) -> Result<T, StoreError> {
    Err(StoreError::backend(attempt, "nobody is there"))
}

impl EventStore for Away {
    fn info(&self) -> StoreInfo {
        self.0.info()
    }

    async fn append(&self, _: &StreamId, _: ExpectedVersion, _: Vec<NewEvent>) -> Result<Appended, AppendError> {
        Ok(away("append events")?)
    }

    async fn fold<V: Visitor>(&self, _: Fold, _: V) -> Result<Folded<V>, StoreError> {
        away("load a stream")
    }

    async fn read_stream(&self, _: &StreamId, _: Version, _: usize) -> Result<Vec<StoredEvent>, StoreError> {
        away("load a stream")
    }

    async fn read_all(&self, _: Position, _: &Filter, _: usize) -> Result<Page, StoreError> {
        away("read the feed")
    }

    async fn head(&self) -> Result<Position, StoreError> {
        away("read the feed's head")
    }

    async fn changed(&self, position: Position) {
        self.0.changed(position).await;
    }
}

impl SnapshotStore for Away {
    fn snapshots(&self) -> Option<StoreInfo> {
        Some(self.0.info())
    }

    async fn save_snapshot(&self, _: StoredSnapshot) -> Result<(), StoreError> {
        away("save a snapshot")
    }

    async fn latest_snapshot(&self, _: &StreamId) -> Result<Option<StoredSnapshot>, StoreError> {
        away("read a snapshot")
    }

    async fn delete_snapshots(&self, _: &str) -> Result<u64, StoreError> {
        away("delete snapshots")
    }
}

/// Events are there, and snapshots are not to be had.
#[derive(Clone, Default)]
struct WithoutSnapshots {
    events: Memory,
    snapshots: Away,
}

impl EventStore for WithoutSnapshots {
    delegate!(events: info append fold read_stream read_all head changed);
}

impl SnapshotStore for WithoutSnapshots {
    fn snapshots(&self) -> Option<StoreInfo> {
        self.snapshots.snapshots()
    }

    async fn save_snapshot(&self, snapshot: StoredSnapshot) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(snapshot).await
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Opened {
    #[serde(serialize_with = "fails_at")]
    secret: String,
}

fn fails_at<S: Serializer>(secret: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if secret.is_empty() { serializer.serialize_str("") } else { Err(serde::ser::Error::custom("as it was told to")) }
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u32, error = fmt::Error, events(Opened), snapshot(every = 100))]
struct Account {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _: Opened) {}
}

#[derive(Command, Clone, Serialize, Deserialize)]
#[command(aggregate = Account)]
struct Open {
    #[command(id)]
    account: u32,
}

#[command_handler]
impl Account {
    fn open(&self, _: Open) -> Result<Opened, fmt::Error> {
        Ok(Opened { secret: String::new() })
    }
}

/// What an error says, itself and its first cause that says something else.
fn said(error: &(dyn Error + 'static)) -> String {
    let text = error.to_string();
    let mut causes = successors(error.source(), |&cause| cause.source()).map(ToString::to_string);
    let source = causes.find(|cause| *cause != text);
    format!("{text}{}", source.map(|source| format!(" ({source})")).unwrap_or_default())
}

#[tokio::test]
async fn a_store_says_which_stream_and_where() {
    let store = Traced::over(Away::default());
    let accounts = Repository::<Account, _>::new(store.clone());
    let expected = ExpectedVersion::Exact(Version::new(3));
    assert_eq!(
        said(&accounts.append(&42, expected, Opened { secret: String::new() }).await.unwrap_err()),
        "the store failed while it tried to append events: `Account-42`, expected 3; it may have been made: append the \
         same event ids again, or dispatch the command again with its id (nobody is there)"
    );
    let unread = |stream: &str| {
        format!(
            "the store failed while it tried to load a stream: {stream}; try again when the store answers \
             (nobody is there)"
        )
    };
    assert_eq!(said(&accounts.load(&42).await.err().unwrap()), unread("`Account-42`"));
    assert_eq!(said(&accounts.exists(&42).await.unwrap_err()), unread("`Account-42` after version 0"));
    let read = store.read_stream(&StreamId::new("Account", 42), Version::new(7), 1).await;
    assert_eq!(said(&read.unwrap_err()), unread("`Account-42` after version 7"));
    assert_eq!(
        said(&store.read_all(Position::new(7), &Filter::all(), 1).await.unwrap_err()),
        "the store failed while it tried to read the feed: after position 7; try again when the store answers \
         (nobody is there)"
    );
    let bus = CommandBus::builder().aggregate(accounts).build();
    let error = bus.dispatch(Open { account: 42 }).await.unwrap_err();
    assert_eq!(said(&error), unread("`Account-42`"));
    assert!(error.source().is_some_and(<dyn Error>::is::<StoreError>));
}

/// A store whose file is full, damaged or not to be written, as that code of `SQLite` says.
#[derive(Clone)]
struct Refuses {
    events: Memory,
    code: i32,
}

impl Refuses {
    fn error(&self) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(self.code), None);
        StoreError::backend("reach the file", error)
    }
}

impl EventStore for Refuses {
    delegate!(events: info fold read_stream head changed);

    async fn append(&self, _: &StreamId, _: ExpectedVersion, _: Vec<NewEvent>) -> Result<Appended, AppendError> {
        Err(self.error().into())
    }

    async fn read_all(&self, _: Position, _: &Filter, _: usize) -> Result<Page, StoreError> {
        Err(self.error())
    }
}

impl SnapshotStore for Refuses {}

/// They said that the events may have been stored, and to try again when the store answers, which it did.
#[tokio::test]
async fn a_store_that_has_stored_nothing_says_so_and_what_helps() {
    const RESTORE: &str = "stop every process that has the file open, and restore it from a backup";
    for (code, helps) in [
        (SQLITE_FULL, Some("make room on the disk")),
        (SQLITE_READONLY, Some("see who may write the file and its folder")),
        (SQLITE_CORRUPT, Some(RESTORE)),
        (SQLITE_BUSY, None),
    ] {
        let (append, read) = failures(code).await;
        let helps = helps.unwrap_or("try again when the store answers");
        assert!(append.ends_with(&format!(": `Account-42`, expected any; nothing was stored: {helps}")), "{append}");
        assert!(read.ends_with(&format!(": after position 0; {helps}")), "{read}");
    }
    let (append, read) = failures(SQLITE_IOERR_FSYNC).await;
    assert!(append.contains("it may have been made: ") && read.contains("try again"), "{append} {read}");
}

/// What is said of an append and of a read that fail with that code.
async fn failures(code: i32) -> (String, String) {
    let store = Traced::over(Refuses { events: Memory::default(), code });
    let accounts = Repository::<Account, _>::new(store.clone());
    let append = accounts.append(&42, ExpectedVersion::Any, Opened { secret: String::new() }).await.unwrap_err();
    let read = store.read_all(Position::START, &Filter::all(), 1).await.unwrap_err();
    (append.to_string(), read.to_string())
}

#[tokio::test]
async fn a_store_of_snapshots_says_whose() {
    let store = Traced::over(WithoutSnapshots::default());
    let accounts = Repository::<Account, _>::new(store);
    accounts.append(&42, ExpectedVersion::NoStream, Opened { secret: String::new() }).await.unwrap();
    assert_eq!(
        said(&accounts.create_snapshot(&42).await.unwrap_err()),
        "the store failed while it tried to save a snapshot: `Account-42` at version 1; loads go on without it \
         (nobody is there)"
    );
    let store = Traced::over(Away::default());
    assert_eq!(
        said(&store.latest_snapshot(&StreamId::new("Account", 42)).await.unwrap_err()),
        "the store failed while it tried to read a snapshot: `Account-42`; loads go on without it (nobody is there)"
    );
    assert_eq!(
        said(&store.delete_snapshots("Account").await.unwrap_err()),
        "the store failed while it tried to delete snapshots: of all `Account`; try again when the store answers \
         (nobody is there)"
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_written_is_named_with_its_stream() {
    let accounts = Repository::<Account, _>::new(MemoryStore::new());
    let opened = Opened { secret: "4111".into() };
    let error = accounts.append(&42, ExpectedVersion::NoStream, opened).await.unwrap_err();
    let shown = said(&error);
    assert!(
        shown.starts_with("event `Opened` for `Account-42` cannot be written as JSON; mend its `Serialize`"),
        "{shown}"
    );
    assert!(!format!("{shown}{error:?}").contains("4111"));
}

struct Counts;

#[projection]
impl Counts {
    fn opened(&self, _: &Recorded<Opened>) {}
}

#[tokio::test]
async fn a_projections_store_says_which_projection_and_where() {
    let store = Faulty::default();
    let accounts = Repository::<Account, _>::new(store.clone());
    let committed = accounts.append(&42, ExpectedVersion::NoStream, Opened { secret: String::new() }).await.unwrap();
    store.refuse(usize::MAX);
    let runner = ProjectionRunner::new(store.clone()).projection(Counts).patience(Duration::ZERO);
    let projections = runner.spawn();
    let stopped = projections.wait_for(committed.position).await;
    let Err(stopped @ ProjectionStopped::Failed { .. }) = stopped else { panic!("{stopped:?}") };
    assert_eq!(
        said(&stopped),
        "`Counts` stopped after position 0; mend the cause and start it again (the store failed while it \
         tried to apply a batch: projection `Counts`, positions 1 to 1; it begins there again)"
    );
    projections.shutdown().await.unwrap_err();
}

/// A bus that cannot be reached.
#[derive(Clone)]
struct Gone;

struct Nobody;

impl Settle for Nobody {
    async fn ack(self) -> Result<(), BusError> {
        Ok(())
    }

    async fn park(&self, _: &Message) -> Result<(), BusError> {
        Ok(())
    }
}

impl Consumer for Nobody {
    type Settle = Self;

    async fn next(&mut self) -> Result<Option<Delivery<Self>>, BusError> {
        Ok(None)
    }

    fn stop(&mut self) {}
}

impl EventBus for Gone {
    type Consumer = Nobody;

    fn info(&self) -> BusInfo {
        BusInfo::broker("kafka", "orders").at("broker.example.org", 9092)
    }

    fn destination(&self, _: &Message) -> Destination {
        Destination::new("orders")
    }

    async fn publish(&self, _: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        Vec::new()
    }

    async fn subscribe(&self, _: Intake) -> Result<Nobody, BusError> {
        Err(BusError::backend("join a group", "nobody is there"))
    }
}

#[tokio::test]
async fn a_bus_says_where_to() {
    for (tracing, metrics) in [(true, true), (false, false)] {
        let bus = remote().enable_tracing(tracing).enable_metrics(metrics);
        bus.inner().fail(1);
        let message = Message::new(StreamId::new("Account", 42), "Opened", "4111");
        assert_eq!(
            said(&bus.publish(message).await.unwrap_err()),
            "the bus failed while it tried to reach a broker: to `orders`; publish the message again, it may come twice \
             (as it was told to)"
        );
    }
    let subscribed = OnBus::over(Gone).subscribe("inventory").handle(async |_| Ok(())).await;
    assert_eq!(
        said(&subscribed.err().unwrap()),
        "the bus failed while it tried to join a group: group `inventory` of `orders`; subscribe again when the bus \
         answers (nobody is there)"
    );
}

#[tokio::test]
async fn dead_letters_say_of_which_projection() {
    let store = Faulty::default();
    let letters = DeadLetters::new(store.clone(), Counts);
    store.refuse(1);
    assert_eq!(
        letters.list(Position::new(7), 1).await.unwrap_err().to_string(),
        "the store failed while it tried to list dead letters: projection `Counts`, after position 7; try again when the \
         store answers"
    );
}
