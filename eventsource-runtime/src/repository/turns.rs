//! Commands that had a conflict try again one after the other, for each stream.
//!
//! Decided side by side they would go on to take each other's version, and most of them would run out of retries.

use std::collections::HashMap;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::timeout;

use crate::store::StreamId;
use crate::sync::Mutex;
use crate::timer;

/// How long a command waits for its turn. A handler may dispatch to the stream that its own command has the turn of, or
/// never end: whoever waited goes on without.
const PATIENCE: Duration = Duration::from_millis(500);

type Stream = Arc<AsyncMutex<()>>;
/// In boxes, so that a command has no place for what it most often does without.
type Coming = Pin<Box<dyn Future<Output = Box<Turn>> + Send>>;

/// The turns of the commands of one repository and its clones.
#[derive(Default)]
pub(super) struct Turns {
    streams: Mutex<HashMap<StreamId, Stream>>,
    /// How many streams there are: most often none, which one load tells.
    contended: AtomicUsize,
}

/// One command's turn, or its place among those that wait for one, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    id: StreamId,
    stream: Stream,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// The turn of a command that begins: none where no other has had a conflict on the stream.
    #[inline]
    pub(super) fn begin(self: &Arc<Self>, id: &StreamId) -> Option<Coming> {
        if self.contended.load(Ordering::Relaxed) == 0 { None } else { self.join(id) }
    }

    #[cold]
    fn join(self: &Arc<Self>, id: &StreamId) -> Option<Coming> {
        let stream = Arc::clone(self.streams.lock().get(id)?);
        Some(self.wait(id, stream))
    }

    /// The turn of a command that has had a conflict.
    #[cold]
    pub(super) fn again(self: &Arc<Self>, id: &StreamId) -> Coming {
        let stream = {
            let mut streams = self.streams.lock();
            let stream = Arc::clone(streams.entry(id.clone()).or_default());
            self.contended.store(streams.len(), Ordering::Relaxed);
            stream
        };
        self.wait(id, stream)
    }

    fn wait(self: &Arc<Self>, id: &StreamId, stream: Stream) -> Coming {
        // Before the wait, which may be dropped.
        let mut turn = Box::new(Turn { turns: Arc::clone(self), id: id.clone(), stream, guard: None });
        Box::pin(async move {
            let stream = Arc::clone(&turn.stream);
            turn.guard = if timer::is_there() {
                timeout(PATIENCE, stream.lock_owned()).await.ok()
            } else {
                stream.try_lock_owned().ok()
            };
            turn
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.guard = None;
        let mut streams = self.turns.streams.lock();
        // Under the lock, so that whoever is last finds that it is.
        drop(mem::take(&mut self.stream));
        if streams.get(&self.id).is_some_and(|stream| Arc::strong_count(stream) == 1) {
            streams.remove(&self.id);
        }
        self.turns.contended.store(streams.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn who_has_left_is_forgotten_wherever_it_left() {
        let (turns, stream) = (Arc::new(Turns::default()), StreamId::new("Order", 1));
        assert!(turns.begin(&stream).is_none(), "nobody has had a conflict");
        let first = turns.again(&stream).await;
        assert!(first.guard.is_some());
        drop(turns.begin(&stream).unwrap());
        {
            let mut waiting = turns.begin(&stream).unwrap();
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(Arc::strong_count(&first.stream), 5, "the map's, and two of each");
        }
        assert!(turns.begin(&StreamId::new("Order", 2)).is_none(), "another stream has nothing to do with it");
        drop(first);
        assert!(turns.streams.lock().is_empty());
        assert_eq!(turns.contended.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_does_not_come_is_not_waited_for_for_ever() {
        let (turns, stream) = (Arc::new(Turns::default()), StreamId::new("Order", 1));
        let first = turns.again(&stream).await;
        let second = turns.again(&stream).await;
        assert!(first.guard.is_some() && second.guard.is_none());
        drop(first);
        assert!(turns.again(&stream).await.guard.is_some());
        drop(second);
        assert!(turns.streams.lock().is_empty());
    }
}
