//! The queue in front of a thread: bounded, filled by futures, emptied by threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::store::StoreError;

/// How many jobs wait at most; whoever comes then waits without a place.
const ROOM: usize = 1024;

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    room: Semaphore,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// How many threads wait for a job: nobody is woken in vain.
    idle: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), room: Semaphore::new(ROOM) }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job in the queue, when there is room. A dropped future has put in nothing.
    pub(super) async fn push(&self, job: T) -> Result<(), StoreError> {
        // Taken for good: whoever takes the job gives the place back.
        self.room.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        let wake = {
            let mut state = self.state();
            if state.closed {
                return Err(StoreError::Closed);
            }
            state.jobs.push_back(job);
            state.idle > 0
        };
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and takes them, at most so many; false when the queue is closed and empty.
    pub(super) fn take(&self, most: usize, taken: &mut Vec<T>) -> bool {
        let mut state = self.state();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.idle += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        let count = state.jobs.len().min(most);
        taken.extend(state.jobs.drain(..count));
        drop(state);
        self.room.add_permits(count);
        true
    }

    /// Takes no more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// Drops the jobs that wait: their callers are told that the store is closed.
    pub(super) fn clear(&self) {
        let jobs = std::mem::take(&mut self.state().jobs);
        drop(jobs);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

/// Closes a queue when the thread behind it ends, however it ends, so that nobody waits for it in vain.
pub(super) struct ClosedAtEnd<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for ClosedAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close();
        self.0.clear();
    }
}
