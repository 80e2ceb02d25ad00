//! The queue in front of a thread: bounded, filled by futures, emptied by threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::store::StoreError;
use crate::sync::Mutex;

/// How many jobs are queued at most; further callers wait outside the queue.
const ROOM: usize = 1024;
/// How long a thread polls for the next job before it sleeps: longer than a caller takes to wake up with the answer to
/// one job and to send the next.
const WATCH: Duration = Duration::from_micros(100);

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    room: Semaphore,
    /// How many jobs there are, to be read without the lock.
    jobs: AtomicUsize,
    /// Whether a thread is polling for a job, or about to.
    watched: AtomicBool,
    /// Whether threads poll before they sleep.
    watches: bool,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// How many threads wait for a job, so that none is woken in vain.
    idle: usize,
    /// Since when there has been no job.
    empty: Instant,
    /// Whether the last job came so soon that polling for it would have paid off.
    soon: bool,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue whose threads sleep until there is a job.
    pub(super) fn new() -> Self {
        Self::with(false)
    }

    /// A queue whose one thread, if jobs follow each other, polls for the next one for a moment before it sleeps. If
    /// they come one by one it sleeps at once, as it does without a second processor, when it would poll in vain.
    pub(super) fn watched() -> Self {
        Self::with(std::thread::available_parallelism().is_ok_and(|processors| processors.get() > 1))
    }

    fn with(watches: bool) -> Self {
        let state = State { jobs: VecDeque::new(), idle: 0, empty: Instant::now(), soon: false, closed: false };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            room: Semaphore::new(ROOM),
            jobs: AtomicUsize::new(0),
            watched: AtomicBool::new(false),
            watches,
        }
    }

    /// Whether a thread would take a job at this moment.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed) && self.is_empty()
    }

    /// Whether no job waits for a thread.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.load(Ordering::Relaxed) == 0
    }

    /// Puts a job in the queue, once there is room. A dropped future has put in nothing.
    pub(super) async fn push(&self, job: T) -> Result<(), StoreError> {
        // Not returned here: the thread that takes the job returns the permit.
        self.room.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        let wake = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(StoreError::Closed);
            }
            if self.watches && state.jobs.is_empty() {
                state.soon = state.empty.elapsed() < WATCH;
            }
            state.jobs.push_back(job);
            self.jobs.store(state.jobs.len(), Ordering::Release);
            state.idle > 0
        };
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for jobs and takes at most `most`; false when the queue is closed and empty.
    pub(super) fn take(&self, most: usize, taken: &mut Vec<T>) -> bool {
        let mut state = self.state.lock();
        if self.watches && state.jobs.is_empty() {
            state.empty = Instant::now();
            if state.soon && !state.closed {
                drop(state);
                self.watch();
                state = self.state.lock();
            }
        }
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.idle += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        self.watched.store(false, Ordering::Relaxed);
        let count = state.jobs.len().min(most);
        taken.extend(state.jobs.drain(..count));
        self.jobs.store(state.jobs.len(), Ordering::Relaxed);
        drop(state);
        self.room.add_permits(count);
        true
    }

    /// Polls for a job for a moment. Others that want the processor get it.
    fn watch(&self) {
        let begun = Instant::now();
        self.watched.store(true, Ordering::Relaxed);
        while self.jobs.load(Ordering::Acquire) == 0 && begun.elapsed() < WATCH {
            std::thread::yield_now();
        }
        self.watched.store(false, Ordering::Relaxed);
    }

    /// Announces that the thread is about to poll for a job: it has only to answer before. The caller that gets the
    /// answer may be quicker than the thread.
    pub(super) fn about_to_watch(&self) {
        let mut state = self.state.lock();
        if self.watches && state.soon && state.jobs.is_empty() {
            state.empty = Instant::now();
            self.watched.store(true, Ordering::Relaxed);
        }
    }

    /// Takes no more jobs; queued ones are still run.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.room.close();
        self.arrived.notify_all();
    }

    /// Drops the queued jobs: their callers are told that the store is closed.
    pub(super) fn clear(&self) {
        let jobs = std::mem::take(&mut self.state.lock().jobs);
        drop(jobs);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// With pauses of every length around the one for which a thread looks, so that jobs come while it looks, sleeps,
    /// and is about to.
    #[test]
    fn every_job_is_taken_once_and_in_order_however_late_it_comes() {
        let queue = Queue::with(true);
        let taken = std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut taken = Vec::new();
                while queue.take(1, &mut taken) {}
                taken
            });
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for job in 0..2_000_u64 {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(job % 200) {
                    std::hint::spin_loop();
                }
                runtime.block_on(queue.push(job)).unwrap();
            }
            queue.close();
            taker.join().unwrap()
        });
        assert_eq!(taken, (0..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_is_watched_only_where_jobs_follow_each_other() {
        let queue = Queue::with(true);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut taken = Vec::new();
        let (early, late) = (Instant::now().checked_sub(WATCH).unwrap(), Instant::now() + Duration::from_mins(10));
        for (empty_since, soon) in [(early, false), (late, true), (early, false)] {
            queue.state.lock().empty = empty_since;
            runtime.block_on(queue.push(())).unwrap();
            assert_eq!(queue.state.lock().soon, soon);
            assert!(queue.take(1, &mut taken));
            assert!(!queue.is_watched());
        }
    }

    /// Since the thread last looked the job before took its time, with which the next one would count as late.
    #[test]
    fn a_thread_that_is_about_to_look_has_no_job_since_then() {
        let queue = Queue::with(true);
        let begun = Instant::now();
        for soon in [false, true] {
            let mut state = queue.state.lock();
            (state.soon, state.empty) = (soon, begun.checked_sub(WATCH).unwrap());
            drop(state);
            queue.about_to_watch();
            assert_eq!((queue.is_watched(), queue.state.lock().empty >= begun), (soon, soon));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(queue.push(())).unwrap();
        assert!(queue.take(1, &mut Vec::new()));
        assert!(!queue.is_watched());
    }
}
