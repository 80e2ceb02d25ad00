//! Read models that are built anew, in place and beside the old one.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use eventsource_runtime::store::Synchronous;
use eventsource_tests::logged::Log;
use eventsource_tests::scratch::Scratch;
use tokio::sync::mpsc;

use super::*;

/// What is built aside in a folder, or was.
fn aside(scratch: &Scratch) -> Vec<String> {
    let entries = scratch.folder().read_dir().unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("aside")).collect()
}

pub(crate) async fn open(file: &Path) -> SqliteStore {
    SqliteStore::open_with(file, SqliteOptions::default().synchronous(Synchronous::Normal)).await.unwrap()
}

pub(super) fn runner(store: &SqliteStore) -> ProjectionRunner<SqliteStore> {
    ProjectionRunner::new(store.clone()).lease(Duration::from_millis(200))
}

/// A connection to the file, whose read model now bears a mark that no event has made, unlike the one that takes its
/// place.
fn marked(scratch: &Scratch) -> rusqlite::Connection {
    let raw = rusqlite::Connection::open(scratch.file()).unwrap();
    raw.busy_timeout(Duration::from_secs(5)).unwrap();
    raw.execute("UPDATE sums SET sum = -1", []).unwrap();
    raw
}

/// Random events, some of them poison; random restarts; and then, from the first event on, the same again in every way.
#[tokio::test]
async fn what_is_built_anew_is_what_was_built_live() {
    let seed = Dice::seed();
    let mut dice = Dice(seed);
    for _ in 0..6 {
        let scratch = Scratch::new();
        let store = open(&scratch.file()).await;
        let streams: Vec<_> = (0..5).map(|_| a_stream()).collect();
        let tally =
            || runner(&store).projection(Tally::poisoned(false)).max_retries(0).on_failure(OnFailure::DeadLetter);
        for _ in 0..=dice.below(4) {
            let projections = tally().spawn();
            let mut last = Position::START;
            for _ in 0..=dice.below(150) {
                let stream = &streams[usize::try_from(dice.below(5)).unwrap()];
                let payload = if dice.below(40) == 0 { "{\"reason\":\"poison\"}" } else { REASON };
                last = cancel(&store, stream, payload, 1).await;
            }
            if dice.below(2) == 0 {
                projections.wait_for(last).await.unwrap();
            }
            projections.shutdown().await.unwrap();
        }
        let projections = tally().spawn();
        let head = store.head().await.unwrap();
        projections.wait_for(head).await.unwrap();
        projections.shutdown().await.unwrap();
        let letters = DeadLetters::new(store.clone(), Tally::sound());
        let live = (sums(&store).await, letters.list(Position::START, 1000).await.unwrap().len());
        for anew in [tally().rebuild(), tally().rebuild_aside()] {
            drop(marked(&scratch));
            let projections = anew.spawn();
            projections.wait_for(head).await.unwrap();
            projections.shutdown().await.unwrap();
            let built = (sums(&store).await, letters.list(Position::START, 1000).await.unwrap().len());
            assert_eq!(built, live, "seed {seed}");
        }
        assert_eq!(aside(&scratch), ["store.db-aside-Tally-lock"], "nothing but the lock is left behind");
    }
}

#[tokio::test]
async fn a_read_model_is_built_aside_while_another_runner_keeps_the_old_one() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let stream = a_stream();
    for _ in 0..300 {
        cancel(&store, &stream, REASON, 1).await;
    }
    // Longer than a busy machine holds up the runner that has put the new one in its place.
    let term = Duration::from_secs(5);
    let old = runner(&store).lease(term).projection(Tally::sound()).spawn();
    old.wait_for(Position::new(300)).await.unwrap();
    // What readers see is the old one, until the new one is there.
    let raw = marked(&scratch);
    let other = open(&scratch.file()).await;
    let new = runner(&other).lease(term).projection(Tally::sound()).rebuild_aside().spawn();
    new.wait_for(Position::new(300)).await.unwrap();
    assert!(sums(&store).await[stream.as_str()].1 >= 0, "the new one is in its place");
    // The runner that had the lease waits; neither loses an event.
    let last = cancel(&store, &stream, REASON, 1).await;
    new.wait_for(last).await.unwrap();
    old.wait_for(last).await.unwrap();
    new.shutdown().await.unwrap();
    let last = cancel(&store, &stream, REASON, 1).await;
    old.wait_for(last).await.unwrap();
    old.shutdown().await.unwrap();
    assert_eq!(seen(&store).await, (1..=302).collect::<Vec<_>>());
    let index = "SELECT count(*) FROM sqlite_schema WHERE name = 'seen_by_stream'";
    let indexes: i64 = raw.query_row(index, [], |row| row.get(0)).unwrap();
    assert_eq!(indexes, 1, "indexes come along");
}

#[tokio::test]
async fn what_cannot_be_built_aside_says_so() {
    let in_memory = ProjectionRunner::new(sqlite().await).projection(Tally::sound()).rebuild_aside();
    let in_parts = ProjectionRunner::new(sqlite().await)
        .projection_with(Tally::sound(), ProjectionOptions::default().partitions(2))
        .rebuild_aside();
    for (runner, words) in [(in_memory, "store is in a file"), (in_parts, "several partitions")] {
        let stopped = runner.max_retries(0).spawn().wait_for(Position::new(1)).await.unwrap_err();
        let ProjectionStopped::Failed { source, .. } = stopped else { panic!("{stopped}") };
        assert!(source.to_string().contains(words), "{source}");
    }
}

/// What a file system or `SQLite` does not take was tried again for ever, and left a lock behind.
#[tokio::test]
async fn a_projection_whose_file_would_have_too_long_a_name_is_not_built_aside() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let longest = 255 - "store.db-aside-".len() - "-journal".len();
    let name = |length: usize| &*"x".repeat(length).leak();
    for length in [longest + 1, longest + 4, 300] {
        let refused = store.open_aside(name(length)).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains("too long"), "{refused}");
    }
    assert!(aside(&scratch).is_empty(), "{:?}", aside(&scratch));
    store.open_aside(name(longest)).await.unwrap();
}

/// Sets up what a test needs.
struct Made(&'static str);

#[projection]
impl Made {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch(self.0)?)
    }

    fn cancelled(&self, _: &Recorded<OrderCancelled>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute("INSERT INTO made DEFAULT VALUES", []).map(drop)?)
    }
}

/// Builds what a set-up makes; what of that the file has, by name, and on which table.
async fn made(file: &Path, runner: ProjectionRunner<SqliteStore>) -> Result<Vec<String>, ProjectionStopped> {
    let projections = runner.patience(Duration::ZERO).max_retries(0).spawn();
    projections.wait_for(Position::new(1)).await?;
    projections.shutdown().await?;
    let raw = rusqlite::Connection::open(file).unwrap();
    let sql = "SELECT type || ' ' || name || ' of ' || tbl_name FROM sqlite_schema WHERE name LIKE 'made%' ORDER BY 1";
    let mut statement = raw.prepare(sql).unwrap();
    Ok(statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect())
}

/// `SQLite` refused to drop a view as a table, which was taken for trouble of the store, and tried again for minutes.
#[tokio::test]
async fn a_table_takes_the_place_of_a_view_and_the_reverse() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    cancel(&store, &a_stream(), REASON, 1).await;
    let old = "CREATE TABLE made (id INTEGER PRIMARY KEY, day);
        CREATE TABLE made_days (day); CREATE INDEX made_by_day ON made_days (day);
        CREATE VIEW made_ids AS SELECT id FROM made";
    let built = made(&scratch.file(), runner(&store).projection(Made(old))).await.unwrap();
    assert_eq!(
        built,
        [
            "index made_by_day of made_days",
            "table made of made",
            "table made_days of made_days",
            "view made_ids of made_ids"
        ]
    );
    let new = "CREATE TABLE made (id INTEGER PRIMARY KEY, day);
        CREATE TABLE Made_Ids (id); CREATE INDEX made_by_day ON made (day);
        CREATE VIEW made_days AS SELECT day FROM made";
    let built = made(&scratch.file(), runner(&store).projection(Made(new)).rebuild_aside()).await.unwrap();
    assert_eq!(
        built,
        [
            "index made_by_day of made",
            "table Made_Ids of Made_Ids",
            "table made of made",
            "view made_days of made_days"
        ]
    );
}

/// So was that a name is another's.
#[tokio::test]
async fn a_name_that_something_else_has_is_refused_before_anything_is_replaced() {
    let table = "CREATE TABLE made (id INTEGER PRIMARY KEY)";
    for (theirs, ours, kind) in [
        ("CREATE INDEX by_day ON others (day)", "CREATE INDEX BY_DAY ON made (id)", "index"),
        ("CREATE TABLE by_day (day)", "CREATE INDEX by_day ON made (id)", "table"),
        (
            "CREATE TRIGGER theirs AFTER INSERT ON others BEGIN SELECT 1; END",
            "CREATE TRIGGER theirs AFTER INSERT ON made BEGIN SELECT 1; END",
            "trigger",
        ),
    ] {
        let scratch = Scratch::new();
        let store = open(&scratch.file()).await;
        cancel(&store, &a_stream(), REASON, 1).await;
        made(&scratch.file(), runner(&store).projection(Made(table))).await.unwrap();
        let raw = rusqlite::Connection::open(scratch.file()).unwrap();
        raw.execute_batch(&format!("CREATE TABLE others (day); {theirs}; UPDATE made SET id = 7")).unwrap();
        let setup: &'static str = format!("{table}; {ours}").leak();
        let runner = runner(&store).projection(Made(setup)).rebuild_aside();
        let ProjectionStopped::Failed { source, .. } = made(&scratch.file(), runner).await.unwrap_err() else {
            panic!("the name is another's")
        };
        assert!(source.to_string().contains(&format!("for another {kind}")), "{source}");
        let kept: i64 = raw.query_row("SELECT id FROM made", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 7, "the old one stands");
    }
}

/// It stopped for good, in a place that it had closed.
#[tokio::test]
async fn a_rebuild_aside_that_loses_its_lease_begins_again() {
    let scratch = Scratch::new();
    let (store, stream) = (open(&scratch.file()).await, a_stream());
    let last = cancel(&store, &stream, REASON, 1).await;
    let tally = || ProjectionRunner::new(store.clone()).lease(Duration::from_secs(5)).projection(Tally::sound());
    let old = tally().spawn();
    old.wait_for(last).await.unwrap();
    old.shutdown().await.unwrap();
    let raw = marked(&scratch);
    // The next lease is another's as soon as it is taken.
    raw.execute_batch(
        "CREATE TABLE thefts (due INTEGER NOT NULL);
         INSERT INTO thefts VALUES (1);
         CREATE TRIGGER theft AFTER UPDATE OF token ON projection_partitions WHEN (SELECT due FROM thefts) > 0 BEGIN
             UPDATE thefts SET due = due - 1;
             UPDATE projection_partitions SET token = randomblob(16);
         END",
    )
    .unwrap();
    let anew = tally().rebuild_aside().spawn();
    anew.wait_for(last).await.unwrap();
    anew.shutdown().await.unwrap();
    assert_eq!(raw.query_row("SELECT due FROM thefts", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert_eq!(seen(&store).await, [last.get()]);
    assert!(sums(&store).await[stream.as_str()].1 >= 0, "the new one is in its place");
}

/// It was taken for trouble of the store: of several processes that were started with it all but one stopped.
#[tokio::test]
async fn a_place_in_which_another_builds_is_waited_for() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    let last = cancel(&store, &a_stream(), REASON, 1).await;
    let place = store.open_aside("Tally").await.unwrap();
    let (log, _guard) = Log::of_thread();
    let runner = runner(&store).projection(Tally::sound()).rebuild_aside();
    let projections = runner.patience(Duration::ZERO).max_retries(0).spawn();
    let waits = tokio::time::timeout(Duration::from_secs(20), log.hears("eventsource.projection.waits"));
    waits.await.expect("it says that it waits");
    drop(place);
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    assert_eq!(seen(&store).await, [last.get()]);
}

/// Notes whose lease it is when an event is applied aside, and waits at the first one.
struct Watch {
    file: PathBuf,
    is_aside: bool,
    holders: Arc<Mutex<Vec<Vec<u8>>>>,
    reached: mpsc::UnboundedSender<()>,
    goes_on: Arc<Mutex<std::sync::mpsc::Receiver<()>>>,
}

#[projection]
impl Watch {
    fn cancelled(&self, event: &Recorded<OrderCancelled>, _: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        if !self.is_aside {
            return Ok(());
        }
        if event.position() == 1 {
            self.reached.send(())?;
            self.goes_on.lock().unwrap().recv()?;
        }
        let raw = rusqlite::Connection::open(&self.file)?;
        raw.busy_timeout(Duration::from_secs(5))?;
        let token = "SELECT token FROM projection_partitions WHERE projection = 'Watch'";
        self.holders.lock().unwrap().push(raw.query_row(token, [], |row| row.get(0))?);
        Ok(())
    }
}

/// The old one stood still while all was applied that had come since the rebuild began.
#[tokio::test]
async fn what_comes_while_a_read_model_is_built_aside_is_applied_before_the_old_one_stands_still() {
    let scratch = Scratch::new();
    let (store, stream) = (open(&scratch.file()).await, a_stream());
    let first = cancel(&store, &stream, REASON, 1).await;
    let ((reached, mut is_reached), (go_on, goes_on)) = (mpsc::unbounded_channel(), std::sync::mpsc::channel());
    let (holders, goes_on) = (Arc::default(), Arc::new(Mutex::new(goes_on)));
    let watch = |is_aside| Watch {
        file: scratch.file(),
        is_aside,
        holders: Arc::clone(&holders),
        reached: reached.clone(),
        goes_on: Arc::clone(&goes_on),
    };
    let term = Duration::from_secs(5);
    let old = runner(&store).lease(term).projection(watch(false)).spawn();
    old.wait_for(first).await.unwrap();
    let new = runner(&store).lease(term).projection(watch(true)).rebuild_aside().spawn();
    is_reached.recv().await.unwrap();
    let many = (0..2100).map(|_| cancellation(REASON, 1)).collect();
    let last = store.append(&stream, ExpectedVersion::Any, many).await.unwrap().position;
    go_on.send(()).unwrap();
    new.wait_for(last).await.unwrap();
    let holders = holders.lock().unwrap().clone();
    assert_eq!((holders.len(), holders.iter().all(|holder| *holder == holders[0])), (2101, true));
    new.shutdown().await.unwrap();
    old.shutdown().await.unwrap();
}

/// Numbers that were given out, and whose rows were gone, were given out again.
#[tokio::test]
async fn a_table_that_numbers_its_rows_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    cancel(&store, &a_stream(), REASON, 1).await;
    let table = "CREATE TABLE made (id INTEGER PRIMARY KEY AUTOINCREMENT, day);
        CREATE TRIGGER made_and_gone AFTER INSERT ON made BEGIN DELETE FROM made; END;
        INSERT INTO made (id, day) VALUES (41, 'Monday')";
    for built in [runner(&store).projection(Made(table)), runner(&store).projection(Made(table)).rebuild_aside()] {
        made(&scratch.file(), built).await.unwrap();
        let raw = rusqlite::Connection::open(scratch.file()).unwrap();
        let next = "INSERT INTO made (day) VALUES ('Tuesday') RETURNING id";
        assert_eq!(raw.query_row(next, [], |row| row.get::<_, i64>(0)).unwrap(), 43);
    }
}

/// Lets the file grow no further.
struct Capped;

#[projection]
impl Capped {
    #[projection(setup)]
    fn cap(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("PRAGMA max_page_count = 100")?)
    }

    fn cancelled(&self, _: &Recorded<OrderCancelled>) {}
}

/// It was copied again and again, for as long as the runner had patience, and nobody could append meanwhile.
#[tokio::test]
async fn what_a_disk_has_no_room_for_is_not_copied_again_and_again() {
    let scratch = Scratch::new();
    let store = open(&scratch.file()).await;
    cancel(&store, &a_stream(), REASON, 1).await;
    store.open_projection(Arc::new(Capped), 1, Position::START).await.unwrap();
    let large = "CREATE TABLE made (id INTEGER PRIMARY KEY, large BLOB DEFAULT (zeroblob(1048576)))";
    let runner = runner(&store).projection(Made(large)).rebuild_aside();
    let projections = runner.patience(Duration::from_hours(1)).spawn();
    let stopped = tokio::time::timeout(Duration::from_secs(20), projections.stopped()).await.expect("it gives up");
    let ProjectionStopped::Failed { source, .. } = stopped else { panic!("{stopped}") };
    assert!(source.to_string().contains("no room"), "{source}");
    cancel(&store, &a_stream(), REASON, 1).await;
}
