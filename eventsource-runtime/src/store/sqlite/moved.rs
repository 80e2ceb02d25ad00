//! Whether the file is still where it was opened. What is committed to one that was deleted is gone with the last
//! process that has it open, and `SQLite` looks for that only where it has no write-ahead log.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ffi};

use super::connection::file;
use crate::telemetry::log;

/// How often to look at most.
const INTERVAL: Duration = Duration::from_secs(1);

thread_local! {
    /// The file that is written on this thread, if it is one.
    static OPENED: RefCell<Option<Opened>> = const { RefCell::new(None) };
}

/// Where the file was opened, and which one that was.
struct Opened {
    path: PathBuf,
    identity: Identity,
    looked: Option<Instant>,
    /// For good: while it was away, somebody else may have opened another in its place.
    is_gone: bool,
}

/// The device and the number of a file.
type Identity = (u64, u64);

/// Has [`check`] look after the file of this connection, which is that of this thread.
pub(super) fn watch(connection: &Connection, given: &Path) {
    // Absolute, since the working directory may change.
    let path = std::path::absolute(file(connection, given));
    let opened = path.and_then(|path| Ok(Opened { identity: identity(&path)?, path, looked: None, is_gone: false }));
    OPENED.set(opened.ok());
}

/// Looks after the file, once a second at most.
///
/// # Errors
/// It is not where it was opened: what is written now would be lost. The code is the one that `SQLite` has for that.
pub(super) fn check() -> rusqlite::Result<()> {
    OPENED.with_borrow_mut(|opened| opened.as_mut().map_or(Ok(()), Opened::check))
}

impl Opened {
    fn check(&mut self) -> rusqlite::Result<()> {
        if !self.is_gone && self.looked.is_none_or(|looked| looked.elapsed() >= INTERVAL) {
            self.looked = Some(Instant::now());
            self.is_gone = self.is_elsewhere();
            if self.is_gone {
                log::sqlite::moved(&self.error());
            }
        }
        if self.is_gone { Err(self.error()) } else { Ok(()) }
    }

    /// Whether another file is there, or none; a system that does not answer says nothing of that.
    fn is_elsewhere(&self) -> bool {
        match identity(&self.path) {
            Ok(found) => found != self.identity,
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        }
    }

    fn error(&self) -> rusqlite::Error {
        let said = format!("`{}` was moved or deleted while it was open", self.path.display());
        rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), Some(said))
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_looked_after_once_a_second_and_is_gone_for_good() {
        let folder = std::env::temp_dir().join(format!("eventsource-moved-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let (path, away) = (folder.join("store.db"), folder.join("away.db"));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE kept (row)").unwrap();
        watch(&connection, &path);
        let earlier = || {
            OPENED.with_borrow_mut(|opened| opened.as_mut().unwrap().looked = Instant::now().checked_sub(INTERVAL));
        };
        check().unwrap();
        fs::rename(&path, &away).unwrap();
        check().expect("it was looked for less than a second ago");
        earlier();
        check().unwrap_err();
        fs::rename(&away, &path).unwrap();
        earlier();
        check().unwrap_err();

        watch(&connection, &path);
        fs::copy(&path, &away).unwrap();
        fs::rename(&away, &path).unwrap();
        let error = check().unwrap_err();
        assert_eq!(error.sqlite_extended_error_code(), Some(ffi::SQLITE_READONLY_DBMOVED));
        OPENED.set(None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
