//! The `SQLite` store: in a file, in memory, and what only a file can show.

mod cuts;
mod leases;
mod opening;
mod own_threads;
mod refusing;
mod several;
mod turns;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use eventsource_runtime::store::{SqliteOptions, SqliteStore, Synchronous};
use eventsource_runtime::{event_store_suite, projection_suite, snapshot_store_suite};
use uuid::Uuid;

use crate::{a_stream, events};

event_store_suite!(in_memory, || async { SqliteStore::open(":memory:").await.unwrap() });
event_store_suite!(in_a_file, || async { open(&a_file()).await });
projection_suite!(projections_in_memory, || async { SqliteStore::open(":memory:").await.unwrap() });
projection_suite!(projections_in_a_file, || async { open(&a_file()).await });
snapshot_store_suite!(snapshots_in_memory, || async { SqliteStore::open(":memory:").await.unwrap() }, with_events);
snapshot_store_suite!(snapshots_in_a_file, || async { open(&a_file()).await }, with_events);

/// Where the files of the tests are; those that earlier runs have left behind are removed.
static FILES: LazyLock<PathBuf> = LazyLock::new(|| {
    let files = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite");
    std::fs::create_dir_all(&files).unwrap();
    for file in files.read_dir().unwrap().flatten() {
        let age =
            file.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed().unwrap_or_default());
        if age.is_ok_and(|age| age > Duration::from_mins(10)) {
            let _ = std::fs::remove_file(file.path());
        }
    }
    files
});

/// A file that no other test has.
pub(super) fn a_file() -> PathBuf {
    FILES.join(format!("{}.db", Uuid::now_v7()))
}

/// A store in a file, without waiting for the disk.
pub(super) async fn open(file: &Path) -> SqliteStore {
    SqliteStore::open_with(file, SqliteOptions::default().synchronous(Synchronous::Normal)).await.unwrap()
}
