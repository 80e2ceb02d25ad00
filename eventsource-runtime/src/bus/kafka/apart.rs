//! Clients that end in a thread of their own.

use std::mem;
use std::ops::Deref;
use std::thread;

/// A client whose end, which waits for its threads and for brokers, holds up no task.
pub(super) struct Apart<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Apart<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }

    /// The client itself, to be dropped where that may take its time.
    pub(super) fn into_inner(mut self) -> Option<T> {
        self.0.take()
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
            // Where no thread is to be had, it ends here.
            let _ = thread::Builder::new().name("eventsource-kafka-end".into()).spawn(move || drop(client));
        }
    }
}
