//! Clients that are dropped on a thread of their own.

use std::mem;
use std::ops::Deref;
use std::thread;

use tokio::sync::oneshot;

/// A client whose drop, which waits for its threads and for brokers, blocks no task.
pub(super) struct Apart<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Apart<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }

    /// Ends the client after `first`. The receiver resolves when it has ended; nothing waits for that by itself, not
    /// even a runtime that shuts down.
    pub(super) fn end(mut self, first: impl FnOnce(&T) + Send + 'static) -> oneshot::Receiver<()> {
        let client = self.0.take();
        run(move || {
            if let Some(client) = client {
                first(&client);
            }
        })
    }
}

impl<T: Send + 'static> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // It is taken only by what consumes or drops the whole.
        self.0.as_ref().expect("a client until the end")
    }
}

impl<T: Send + 'static> Drop for Apart<T> {
    fn drop(&mut self) {
        if let Some(client) = mem::take(&mut self.0) {
            drop(run(move || drop(client)));
        }
    }
}

/// Runs on a thread of its own what waits for brokers, or starts threads and reads certificates. The receiver gets the
/// result when what the work held is dropped. If no thread is to be had, that is dropped here.
pub(super) fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (sender, done) = oneshot::channel();
    let work = move || {
        // Whoever asked may have gone.
        let _ = sender.send(work());
    };
    let _ = thread::Builder::new().name("eventsource-kafka".into()).spawn(work);
    done
}
