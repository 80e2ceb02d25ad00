//! The write-ahead log, which would grow forever under readers that follow each other without a gap.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{ended, file};
use super::turns::Shortened;
use crate::telemetry::log;

/// How large the log may stay after it was copied into the file, in bytes.
pub(super) const LIMIT: u32 = 64 * 1024 * 1024;
/// How long to wait for readers of the log. Those that begin meanwhile read from the file.
const PATIENCE: Duration = Duration::from_millis(100);

/// The log of the writing connection.
pub(super) struct Log {
    file: PathBuf,
    limit: u64,
    /// Its size after the last attempt to empty it, unless it has begun anew since.
    left: u64,
    /// How many transactions had ended when it was last looked at.
    looked: u64,
}

impl Log {
    /// The log of the database that the connection opened under the given name.
    pub(super) fn of(connection: &Connection, given: &Path, limit: u32) -> Self {
        let mut file = file(connection, given).as_os_str().to_owned();
        file.push("-wal");
        let limit = u64::from(limit);
        Self { file: file.into(), limit, left: 0, looked: 0 }
    }

    /// Whether the log has grown so large that it should be emptied. `SQLite` itself restarts it only if a commit finds
    /// it copied and without readers. If somebody reads for too long, it is tried again when the log has grown by as
    /// much again.
    pub(super) fn is_large(&mut self) -> bool {
        let ended = ended();
        if std::mem::replace(&mut self.looked, ended) == ended {
            return false;
        }
        let size = self.size();
        if size < self.left {
            // The long reader has ended, and `SQLite` has cut the log.
            self.left = 0;
        }
        size >= self.left + 2 * self.limit
    }

    /// Empties it, which may take as long as the wait for readers, and as the disk takes for all of it.
    pub(super) fn empty(&mut self, connection: &Connection) {
        // If this fails, the commit was made all the same, and the next one that fails says why.
        let emptied = empty(connection);
        self.left = self.size();
        if emptied.is_ok_and(|is_emptied| !is_emptied) {
            log::sqlite::log_kept(self.left);
        }
    }

    /// An in-memory database has none.
    fn size(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len())
    }
}

/// Whether it was emptied: nobody read from it for too long.
fn empty(connection: &Connection) -> rusqlite::Result<bool> {
    let _shorter = Shortened::to(PATIENCE);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

    use super::super::SqliteOptions;
    use super::super::connection::{Role, open, rollback, run};
    use super::*;

    const SMALL: u32 = 256 * 1024;
    const OPEN: &str = "a database can be opened";

    /// A folder of the test's own.
    fn folder() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("eventsource-log-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    /// Two readers, of whom one has always begun before the other ends: when there was a commit, and soon when there is
    /// none.
    fn read_without_a_gap(database: &Path, commits: &Receiver<()>) {
        let options = SqliteOptions::default();
        let mut readers = [0, 1].map(|_| open(database, &options, Role::Reader).expect(OPEN));
        while commits.recv_timeout(Duration::from_millis(5)) != Err(RecvTimeoutError::Disconnected) {
            let [earlier, later] = &readers;
            run(later, "BEGIN").unwrap();
            later.query_row("SELECT count(*) FROM kept", [], |_| Ok(())).unwrap();
            rollback(earlier);
            readers.reverse();
        }
    }

    /// How large the log becomes at most while some megabytes are written.
    fn largest(keeps: bool) -> u64 {
        let folder = folder();
        let database = folder.join("store.db");
        let writer = open(&database, &SqliteOptions::default(), Role::Writer).expect(OPEN);
        run(&writer, "CREATE TABLE kept (payload BLOB)").unwrap();
        let mut log = Log::of(&writer, &database, SMALL);
        let (committed, commits) = mpsc::sync_channel(0);
        let mut largest = 0;
        std::thread::scope(|scope| {
            let database = &database;
            scope.spawn(move || read_without_a_gap(database, &commits));
            // It ends the reader with the scope.
            let committed = committed;
            for _ in 0..200 {
                run(&writer, "INSERT INTO kept VALUES (zeroblob(16384))").unwrap();
                committed.send(()).unwrap();
                if keeps {
                    keep_small(&mut log, &writer);
                }
                largest = largest.max(log.size());
            }
        });
        std::fs::remove_dir_all(&folder).unwrap();
        largest
    }

    /// As the thread that writes does between two jobs.
    fn keep_small(log: &mut Log, writer: &Connection) {
        if log.is_large() {
            log.empty(writer);
        }
    }

    /// `SQLite` puts the log beside the file that a link leads to.
    #[cfg(unix)]
    #[test]
    fn the_log_of_a_database_behind_a_link_is_found_and_emptied() {
        let folder = folder();
        std::fs::create_dir(folder.join("there")).unwrap();
        let (link, database) = (folder.join("store.db"), folder.join("there/kept.db"));
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let writer = open(&link, &SqliteOptions::default(), Role::Writer).expect(OPEN);
        let mut log = Log::of(&writer, &link, SMALL);
        run(&writer, "CREATE TABLE kept (payload BLOB)").unwrap();
        run(&writer, "INSERT INTO kept VALUES (zeroblob(1048576))").unwrap();
        assert!(log.size() > 1024 * 1024, "{}", log.size());
        keep_small(&mut log, &writer);
        assert_eq!(log.size(), 0);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// What it had grown to under a reader that took long was waited for once more.
    #[test]
    fn a_log_that_was_large_is_emptied_as_early_as_another_when_it_has_begun_anew() {
        const LIMIT: u64 = SMALL as u64;
        let folder = folder();
        let database = folder.join("store.db");
        let open = |role| open(&database, &SqliteOptions::default(), role).expect(OPEN);
        let (writer, reader) = (open(Role::Writer), open(Role::Reader));
        writer.pragma_update(None, "journal_size_limit", SMALL).unwrap();
        run(&writer, "CREATE TABLE kept (payload BLOB)").unwrap();
        let mut log = Log::of(&writer, &database, SMALL);
        let write = || run(&writer, "INSERT INTO kept VALUES (zeroblob(65536))").unwrap();
        run(&reader, "BEGIN").unwrap();
        reader.query_row("SELECT count(*) FROM kept", [], |_| Ok(())).unwrap();
        while log.size() < 8 * LIMIT {
            write();
            keep_small(&mut log, &writer);
        }
        rollback(&reader);
        writer.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        write();
        assert_eq!(log.size(), LIMIT, "it has begun anew, and was cut");
        while log.size() < 2 * LIMIT {
            write();
        }
        keep_small(&mut log, &writer);
        assert_eq!(log.size(), 0);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn readers_without_a_gap_let_the_log_grow_no_further() {
        const BOUND: u64 = 8 * SMALL as u64;
        let (kept, left_alone) = (largest(true), largest(false));
        assert!(kept <= BOUND && BOUND < left_alone, "{kept} {left_alone}");
    }
}
