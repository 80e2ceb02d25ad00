//! Writes to the terminal on a thread of its own: a slow or stopped terminal holds up no span.

use std::collections::VecDeque;
use std::io::Write;
use std::mem;
use std::sync::{Arc, Condvar, PoisonError};
use std::thread;
use std::time::Duration;

use crate::sync::Mutex;

/// How many bytes may wait to be written. What exceeds them is dropped, and counted.
const MOST_BYTES: usize = 1 << 20;

pub(in crate::telemetry::otel) struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    texts: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    /// What is written, in the plural.
    what: &'static str,
    writing: bool,
    closed: bool,
}

impl Writer {
    pub(in crate::telemetry::otel) fn start(out: Box<dyn Write + Send>, what: &'static str) -> Self {
        let shared = Arc::new(Shared::default());
        shared.queue.lock().what = what;
        let theirs = Arc::clone(&shared);
        let started = thread::Builder::new().name("eventsource-console".into()).spawn(move || theirs.write(out));
        // If no thread is to be had, nothing is shown, and nothing waits for it.
        shared.queue.lock().closed = started.is_err();
        Self(shared)
    }

    /// Leaves a text to be written; never waits.
    pub(in crate::telemetry::otel) fn print(&self, text: String) {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return;
        }
        if queue.bytes > 0 && queue.bytes + text.len() > MOST_BYTES {
            queue.dropped += 1;
            return;
        }
        queue.bytes += text.len();
        queue.texts.push_back(text);
        self.0.changed.notify_all();
    }

    /// Waits until everything is written; false if that took too long.
    pub(in crate::telemetry::otel) fn drain(&self, timeout: Duration) -> bool {
        let waits = |queue: &mut Queue| !queue.closed && (queue.writing || !queue.is_empty());
        let waited = self.0.changed.wait_timeout_while(self.0.queue.lock(), timeout, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.dropped == 0
    }

    /// What is to be written next.
    fn next(&mut self) -> String {
        if let Some(text) = self.texts.pop_front() {
            self.bytes -= text.len();
            return text;
        }
        format!("… {} {} not shown: the terminal was too slow\n", mem::take(&mut self.dropped), self.what)
    }
}

impl Shared {
    fn write(&self, mut out: Box<dyn Write + Send>) {
        let mut queue = self.queue.lock();
        loop {
            let idle = |queue: &mut Queue| queue.is_empty() && !queue.closed;
            queue = self.changed.wait_while(queue, idle).unwrap_or_else(PoisonError::into_inner);
            if queue.is_empty() {
                return;
            }
            let text = queue.next();
            queue.writing = true;
            drop(queue);
            // There is nobody to tell that a terminal is gone.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            queue = self.queue.lock();
            queue.writing = false;
            self.changed.notify_all();
        }
    }
}

/// The thread writes what is left, then ends.
impl Drop for Writer {
    fn drop(&mut self) {
        self.0.queue.lock().closed = true;
        self.0.changed.notify_all();
    }
}
