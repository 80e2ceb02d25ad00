//! How those who write to one file take turns. `SQLite` keeps no queue for its lock: who wants it looks until it is
//! free.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// How long to sleep before looking again. `SQLite` itself sleeps for up to 100 ms, in which a process that always has
/// something to write lets go of the lock dozens of times, for microseconds each.
const LOOK: Duration = Duration::from_micros(500);
/// For how long the writer goes on without a gap.
const TURN: Duration = Duration::from_millis(50);
/// A gap in which whoever waits looks, even if it wakes up late.
const GAP: Duration = Duration::from_millis(1);

thread_local! {
    /// How long connections of this thread wait at most, instead of the time that they were opened with.
    static SHORTENED: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// Makes a connection wait for others' locks, each time for as long in all.
pub(super) fn wait_for_others(connection: &mut Connection, longest: Duration) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    connection.busy_handler(Some(move |looks: i32| {
        if looks == 0 {
            waited = Duration::ZERO;
        }
        if waited >= SHORTENED.get().unwrap_or(longest) {
            return false;
        }
        let begun = Instant::now();
        std::thread::sleep(LOOK);
        waited += begun.elapsed();
        true
    }))
}

/// While it lives, the connections of this thread wait for less.
pub(super) struct Shortened(());

impl Shortened {
    pub(super) fn to(longest: Duration) -> Self {
        SHORTENED.set(Some(longest));
        Self(())
    }
}

impl Drop for Shortened {
    fn drop(&mut self) {
        SHORTENED.set(None);
    }
}

/// The turn of the thread that writes, which ends if it had no gaps for too long.
pub(super) struct Turn {
    /// Whether others may want the file.
    is_shared: bool,
    begun: Instant,
    /// How long the file was free in all since then.
    free: Duration,
}

impl Turn {
    pub(super) fn begin(is_shared: bool) -> Self {
        Self { is_shared, begun: Instant::now(), free: Duration::ZERO }
    }

    /// Notes for how long there was nothing to write.
    pub(super) fn was_free(&mut self, since: Instant) {
        self.free += since.elapsed();
    }

    /// Called before each transaction: lets others have a turn, if they hardly could since the last one.
    pub(super) fn go_on(&mut self) {
        if self.begun.elapsed() < TURN {
            return;
        }
        if self.owes_gap() {
            std::thread::sleep(GAP);
        }
        *self = Self::begin(self.is_shared);
    }

    fn owes_gap(&self) -> bool {
        self.is_shared && self.free < GAP
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::is_busy;
    use super::*;

    /// Two connections to a file, of which the first has the lock.
    fn locked(longest: Duration) -> (std::path::PathBuf, Connection, Connection) {
        let file = std::env::temp_dir().join(format!("eventsource-turns-{}.db", uuid::Uuid::now_v7()));
        let (holder, mut waiter) = (Connection::open(&file).unwrap(), Connection::open(&file).unwrap());
        wait_for_others(&mut waiter, longest).unwrap();
        holder.execute_batch("BEGIN IMMEDIATE").unwrap();
        (file, holder, waiter)
    }

    #[test]
    fn a_lock_is_waited_for_as_long_as_was_asked_and_each_time_anew() {
        let longest = Duration::from_millis(200);
        let (file, holder, waiter) = locked(longest);
        let waits = |shortened: Option<Duration>| {
            let (begun, shorter) = (Instant::now(), shortened.map(Shortened::to));
            let refused = waiter.execute_batch("BEGIN IMMEDIATE").unwrap_err();
            drop(shorter);
            assert!(is_busy(&refused) && begun.elapsed() >= shortened.unwrap_or(longest), "{refused}");
            begun.elapsed()
        };
        waits(None);
        waits(None);
        // A busy machine may add to any of them.
        assert!((0..10).any(|_| waits(Some(Duration::ZERO)) < longest), "it waited for longer");
        waits(Some(longest * 2));
        waits(None);
        drop((holder, waiter));
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_turn_ends_with_a_gap_if_there_was_none() {
        let asked = Instant::now();
        let mut turn = Turn { is_shared: true, begun: asked.checked_sub(TURN).unwrap(), free: GAP / 2 };
        turn.go_on();
        assert!(turn.begun >= asked + GAP && turn.free.is_zero(), "the next begins");
        assert!(!Turn { free: GAP, ..Turn::begin(true) }.owes_gap(), "it had one");
        assert!(!Turn::begin(false).owes_gap(), "nobody wants it");
    }
}
