//! A machine that loses power: of the log that SQLite writes ahead, only a part has reached the disk, or a part of it
//! is not what was written.

use std::fs;
use std::path::{Path, PathBuf};

use eventsource_runtime::store::{EventStore, ExpectedVersion, SqliteOptions, SqliteStore, Synchronous, Version};
use eventsource_runtime::testing::run;
use eventsource_tests::services::repeats;

use super::{a_file, a_stream, events};

/// At how many bytes the log is cut off, and spoilt, for each setting; 2,500 in a long run.
const CUTS: &str = "EVENTSOURCE_TESTS_LOG_CUTS";
const APPENDS: usize = 60;
/// The header of the log, and one of its frames: a page of 4 KiB with a header of its own.
const HEADER: u64 = 32;
const FRAME: u64 = 24 + 4096;

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What was on the disk, and how long the log was when each append had been acknowledged.
struct Machine {
    database: Vec<u8>,
    log: Vec<u8>,
    acknowledged: Vec<u64>,
}

impl Machine {
    /// Appends one event after the other, and pulls the plug.
    async fn running(synchronous: Synchronous) -> Self {
        let file = a_file();
        let options = SqliteOptions::default().synchronous(synchronous);
        let store = SqliteStore::open_with(&file, options).await.unwrap();
        let (stream, mut acknowledged) = (a_stream(), Vec::new());
        for ordinal in 0..APPENDS {
            store.append(&stream, ExpectedVersion::Any, events(1 + ordinal % 3)).await.unwrap();
            acknowledged.push(fs::metadata(beside(&file, "-wal")).unwrap().len());
        }
        // The store is still open: nothing of the log is in the database yet but what was there at the beginning.
        let machine =
            Self { database: fs::read(&file).unwrap(), log: fs::read(beside(&file, "-wal")).unwrap(), acknowledged };
        store.close().await;
        machine
    }

    /// How many events are there at least, if the log is sound up to a byte.
    fn due(&self, sound: u64) -> usize {
        let appends = self.acknowledged.iter().take_while(|length| **length <= sound).count();
        events_of(appends)
    }

    /// Comes up again with this log. The versions that are stored, from the first on.
    fn restarted(&self, log: &[u8], file: &Path) -> Vec<u64> {
        let _ = fs::remove_file(beside(file, "-shm"));
        fs::write(file, &self.database).unwrap();
        fs::write(beside(file, "-wal"), log).unwrap();
        let connection = rusqlite::Connection::open(file).unwrap();
        let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(intact, "ok");
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'events'";
        if connection.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap() == 0 {
            return Vec::new();
        }
        let mut statement = connection.prepare("SELECT version FROM events ORDER BY position").unwrap();
        let versions = statement.query_map([], |row| row.get::<_, i64>(0)).unwrap();
        versions.map(|version| version.unwrap().cast_unsigned()).collect()
    }
}

/// How many events the first appends have.
fn events_of(appends: usize) -> usize {
    (0..appends).map(|ordinal| 1 + ordinal % 3).sum()
}

async fn after_a_loss_of_power(synchronous: Synchronous) {
    let (machine, file) = (Machine::running(synchronous).await, a_file());
    let (length, cuts) = (machine.log.len() as u64, repeats(CUTS, 150) as u64);
    let all = machine.due(length);
    let ends: Vec<usize> = (0..=machine.acknowledged.len()).map(events_of).collect();
    for cut in 0..cuts {
        // Spread over the log, at no particular byte.
        let at = length * cut / cuts + cut % 7;
        let at = at.min(length - 1);
        let cut_off = &machine.log[..usize::try_from(at).unwrap()];
        let mut spoilt = machine.log.clone();
        spoilt[usize::try_from(at).unwrap()] ^= 0x5A;
        // A frame is as it was or not at all, and so is whatever is behind it.
        let sound = if at < HEADER { 0 } else { HEADER + (at - HEADER) / FRAME * FRAME };
        for (log, sound) in [(cut_off, at), (&spoilt[..], sound)] {
            let versions = machine.restarted(log, &file);
            assert!(versions.iter().copied().eq(1..=versions.len() as u64), "a prefix, at byte {at}");
            let due = machine.due(sound);
            assert!((due..=all).contains(&versions.len()), "{} events at byte {at}, {due} are due", versions.len());
            assert!(ends.contains(&versions.len()), "{} events at byte {at}: an append is cut", versions.len());
        }
        if cut % 25 == 0 {
            goes_on(&machine, cut_off, &file).await;
        }
    }
}

/// The store opens what is left, and appends behind it.
async fn goes_on(machine: &Machine, log: &[u8], file: &Path) {
    let left = machine.restarted(log, file).len() as u64;
    let store = super::open(file).await;
    assert_eq!(store.head().await.unwrap(), left);
    let stream = a_stream();
    store.append(&stream, ExpectedVersion::NoStream, events(1)).await.unwrap();
    assert_eq!(store.read_stream(&stream, Version::START, 10).await.unwrap().len(), 1);
    store.close().await;
}

/// What is acknowledged has been written to the log before; what is in the log up to a byte is there afterwards.
#[test]
fn what_was_acknowledged_before_the_cut_is_there_and_what_is_there_is_a_prefix() {
    run(async {
        after_a_loss_of_power(Synchronous::Full).await;
        after_a_loss_of_power(Synchronous::Normal).await;
    });
}
