//! Options for opening a `SQLite` store.

use std::time::Duration;

/// What a commit waits for. Under both, a file is never corrupted, events stay in order and appends stay whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// Until the disk has it: what was acknowledged survives `kill -9` and the loss of power. One commit costs one
    /// write to the disk, which concurrent appends share.
    #[default]
    Full,
    /// Until the operating system has it: what was acknowledged survives `kill -9`, but after a loss of power, or a
    /// crash of the operating system, the last commits may be missing. Several times faster for single appends.
    Normal,
}

/// Options for opening a `SQLite` store.
///
/// A store in memory, at the path `:memory:`, has one connection, no disk and no other process: `synchronous`,
/// `readers` and `busy_timeout` have no effect there.
///
/// ```
/// # use std::time::Duration;
/// # use eventsource_runtime::store::{SqliteOptions, Synchronous};
/// let options = SqliteOptions::default().synchronous(Synchronous::Normal).readers(4);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteOptions {
    pub(super) synchronous: Synchronous,
    pub(super) readers: usize,
    pub(super) busy_timeout: Duration,
    pub(super) cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            synchronous: Synchronous::default(),
            readers: cores.clamp(2, 8),
            busy_timeout: Duration::from_secs(5),
            cache_kib: 16 * 1024,
        }
    }
}

impl SqliteOptions {
    /// What a commit waits for; [`Synchronous::Full`] unless chosen.
    pub fn synchronous(self, synchronous: Synchronous) -> Self {
        Self { synchronous, ..self }
    }

    /// How many threads read, at least one; one for each core, from 2 to 8, unless chosen.
    pub fn readers(self, readers: usize) -> Self {
        Self { readers: readers.max(1), ..self }
    }

    /// How long a write waits for another process that writes, each of the six times that it tries; 5 seconds unless
    /// set, and a week at most. It looks every half millisecond whether it may.
    pub fn busy_timeout(self, busy_timeout: Duration) -> Self {
        // `SQLite` counts the looks in an `int`.
        const LONGEST: Duration = Duration::from_hours(24 * 7);
        Self { busy_timeout: busy_timeout.min(LONGEST), ..self }
    }

    /// How much of the file each connection may keep in memory, in KiB; 16 MiB unless chosen.
    pub fn cache_kib(self, cache_kib: u32) -> Self {
        Self { cache_kib, ..self }
    }
}
