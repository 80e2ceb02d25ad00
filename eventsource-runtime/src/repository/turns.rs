//! Commands that had a conflict try again one after the other, for each stream.
//!
//! Decided side by side they would go on to take each other's version, and most of them would run out of retries.

use std::collections::HashMap;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use crate::store::StreamId;
use crate::sync::Mutex;
use crate::timer;

/// How long a command waits for its turn while no other's ends, at least and at most: twice as long as they take. A
/// handler may never end, or wait for a task that dispatches to the stream: whoever waited goes on without.
const PATIENCE: Duration = Duration::from_millis(500);
const MOST_PATIENCE: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The streams whose turns the task has while it decides: to what it dispatches there, none will come.
    static HELD: Vec<(Arc<Turns>, StreamId)>;
}

/// Those of one stream.
#[derive(Default)]
struct Line {
    turn: Arc<AsyncMutex<()>>,
    /// How many turns have ended.
    ended: AtomicUsize,
    /// How long they take, in milliseconds: the last one, or half of what was known before.
    usual: AtomicU64,
}

/// In boxes, so that a command has no place for what it most often does without.
type Coming = Pin<Box<dyn Future<Output = Box<Turn>> + Send>>;

/// The turns of the commands of one repository and its clones.
#[derive(Default)]
pub(super) struct Turns {
    streams: Mutex<HashMap<StreamId, Arc<Line>>>,
    /// How many streams there are: most often none, which one load tells.
    contended: AtomicUsize,
}

/// One command's turn, or its place among those that wait for one, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    id: StreamId,
    line: Arc<Line>,
    guard: Option<(OwnedMutexGuard<()>, Instant)>,
}

impl Turns {
    /// The turn of a command that begins: none where no other has had a conflict on the stream.
    #[inline]
    pub(super) fn begin(self: &Arc<Self>, id: &StreamId) -> Option<Coming> {
        if self.contended.load(Ordering::Relaxed) == 0 { None } else { self.join(id) }
    }

    #[cold]
    fn join(self: &Arc<Self>, id: &StreamId) -> Option<Coming> {
        if self.are_held(id) {
            return None;
        }
        let line = Arc::clone(self.streams.lock().get(id)?);
        Some(self.wait(id, line))
    }

    /// The turn of a command that has had a conflict.
    #[cold]
    pub(super) fn again(self: &Arc<Self>, id: &StreamId) -> Coming {
        let line = {
            let mut streams = self.streams.lock();
            let line = Arc::clone(streams.entry(id.clone()).or_default());
            self.contended.store(streams.len(), Ordering::Relaxed);
            line
        };
        self.wait(id, line)
    }

    fn wait(self: &Arc<Self>, id: &StreamId, line: Arc<Line>) -> Coming {
        // Before the wait, which may be dropped.
        let mut turn = Box::new(Turn { turns: Arc::clone(self), id: id.clone(), line, guard: None });
        Box::pin(async move {
            if !turn.turns.are_held(&turn.id) {
                turn.guard = turn.line.come().await.map(|guard| (guard, Instant::now()));
            }
            turn
        })
    }

    /// Whether the caller is part of a decision whose command has the turn.
    fn are_held(self: &Arc<Self>, id: &StreamId) -> bool {
        HELD.try_with(|held| held.iter().any(|(turns, of)| Arc::ptr_eq(turns, self) && of == id)).unwrap_or(false)
    }
}

impl Turn {
    /// Whether it has come. One that was not waited for, or not any longer, may come next time.
    pub(super) fn has_come(&self) -> bool {
        self.guard.is_some()
    }

    /// Runs a decision that is made in this turn, which has come.
    pub(super) fn deciding<F: Future>(&self, decision: F) -> impl Future<Output = F::Output> {
        let mut held = HELD.try_with(Vec::clone).unwrap_or_default();
        held.push((Arc::clone(&self.turns), self.id.clone()));
        HELD.scope(held, decision)
    }
}

impl Line {
    async fn come(&self) -> Option<OwnedMutexGuard<()>> {
        if !timer::is_there() {
            return Arc::clone(&self.turn).try_lock_owned().ok();
        }
        // The same one all the time, so that it keeps its place.
        let mut coming = pin!(Arc::clone(&self.turn).lock_owned());
        loop {
            let ended = self.ended.load(Ordering::Relaxed);
            match timeout(self.patience(), coming.as_mut()).await {
                Ok(guard) => return Some(guard),
                Err(_) if self.ended.load(Ordering::Relaxed) == ended => return None,
                Err(_) => (),
            }
        }
    }

    fn patience(&self) -> Duration {
        // Whoever has a turn makes others wait, perhaps those who have this one: no turn may grow by waiting.
        if HELD.try_with(|_| ()).is_ok() {
            return PATIENCE;
        }
        let usual = Duration::from_millis(self.usual.load(Ordering::Relaxed));
        usual.saturating_mul(2).clamp(PATIENCE, MOST_PATIENCE)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((guard, since)) = self.guard.take() {
            let took = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            let usual = self.line.usual.load(Ordering::Relaxed);
            self.line.usual.store(took.max(usual / 2), Ordering::Relaxed);
            self.line.ended.fetch_add(1, Ordering::Relaxed);
            drop(guard);
        }
        let mut streams = self.turns.streams.lock();
        // Under the lock, so that whoever is last finds that it is.
        drop(mem::take(&mut self.line));
        if streams.get(&self.id).is_some_and(|line| Arc::strong_count(line) == 1) {
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
            assert_eq!(Arc::strong_count(&first.line), 3, "the map's, and one of each");
        }
        assert!(turns.begin(&StreamId::new("Order", 2)).is_none(), "another stream has nothing to do with it");
        drop(first);
        assert!(turns.streams.lock().is_empty());
        assert_eq!(turns.contended.load(Ordering::Relaxed), 0);
    }

    /// With a server under load, those at the end of a long line went on together, and took each other's version.
    #[tokio::test(start_paused = true)]
    async fn as_long_as_turns_end_everybody_waits() {
        let (turns, stream) = (Arc::new(Turns::default()), StreamId::new("Order", 1));
        let first = turns.again(&stream).await;
        let others = (0..10).map(|_| {
            let coming = turns.again(&stream);
            tokio::spawn(async move {
                let turn = coming.await;
                tokio::time::sleep(PATIENCE * 4 / 5).await;
                turn.guard.is_some()
            })
        });
        let others: Vec<_> = others.collect();
        drop(first);
        for other in others {
            assert!(other.await.unwrap());
        }
        assert!(turns.streams.lock().is_empty());
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

    #[tokio::test(start_paused = true)]
    async fn longer_turns_are_waited_for_longer() {
        let (turns, stream) = (Arc::new(Turns::default()), StreamId::new("Order", 1));
        let (first, line) = (turns.again(&stream).await, turns.streams.lock()[&stream].clone());
        assert_eq!(line.patience(), PATIENCE);
        tokio::time::advance(PATIENCE * 3).await;
        drop(first);
        assert_eq!(line.patience(), PATIENCE * 6);
        drop(turns.again(&stream).await);
        assert_eq!(line.patience(), PATIENCE * 3, "and half as long once they are short again");
        let endless = turns.again(&stream).await;
        tokio::time::advance(MOST_PATIENCE).await;
        assert_eq!(endless.deciding(async { line.patience() }).await, PATIENCE, "with a turn nobody waits for long");
        drop(endless);
        assert_eq!(line.patience(), MOST_PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_the_turn_that_it_is_decided_in() {
        let (turns, stream) = (Arc::new(Turns::default()), StreamId::new("Order", 1));
        let (turn, begun) = (turns.again(&stream).await, Instant::now());
        let (inside, other) = (Arc::clone(&turns), StreamId::new("Order", 2));
        let of_other = turns.again(&other).await;
        turn.deciding(async {
            assert!(inside.begin(&stream).is_none());
            assert!(!inside.again(&stream).await.has_come());
            of_other.deciding(async { assert!(inside.begin(&stream).is_none(), "of either") }).await;
            assert!(inside.begin(&other).is_some(), "it belongs to somebody else");
        })
        .await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(turns.begin(&stream).is_some(), "outside it is waited for");
    }
}
