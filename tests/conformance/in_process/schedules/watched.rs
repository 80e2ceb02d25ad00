//! The bus within the process with a watcher, who tells the model of each step, and holds it up as the dice say.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use eventsource_runtime::bus::{
    BusError, BusInfo, Consumer, Delivery, Destination, EventBus, Health, InProcess, Intake, Message, PublishError,
    Published, Settle,
};
use eventsource_tests::dice::Dice;
use tokio::sync::Notify;

use super::model::{Model, group_of};

/// How many times the dice may be thrown in a schedule: more is no progress.
const STEPS: u64 = 100_000;

/// What decides a schedule, and what watches it.
pub(super) struct Watcher {
    dice: Mutex<(Dice, u64)>,
    model: Mutex<Model>,
    broken: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watcher {
    pub(super) fn new(dice: Dice, model: Model) -> Self {
        Self { dice: Mutex::new((dice, 0)), model: Mutex::new(model), broken: Notify::new() }
    }

    pub(super) fn below(&self, limit: u64) -> u64 {
        let (dice, thrown) = &mut *locked(&self.dice);
        *thrown += 1;
        if *thrown == STEPS {
            self.tell(|model| model.require(false, || "it has no end".into()));
        }
        dice.below(limit)
    }

    pub(super) fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn tell<T>(&self, what: impl FnOnce(&mut Model) -> T) -> T {
        let mut model = locked(&self.model);
        let told = what(&mut model);
        if model.broken.is_some() {
            self.broken.notify_one();
        }
        told
    }

    /// The future, to which whoever polls it comes late as often as the dice say: others run meanwhile.
    pub(super) async fn held_up<F: Future>(self: Arc<Self>, body: F) -> F::Output {
        let (mut body, slowness) = (pin!(body), self.below(4));
        poll_fn(|task| {
            if self.below(4) < slowness {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            body.as_mut().poll(task)
        })
        .await
    }

    /// The future, unless a promise is broken first.
    pub(super) async fn unless_broken(&self, body: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = self.broken.notified() => (),
            () = body => (),
        }
    }
}

/// The number that a message bears.
pub(super) fn number(message: &Message) -> usize {
    std::str::from_utf8(message.payload()).ok().and_then(|text| text.parse().ok()).expect("a number")
}

#[derive(Clone)]
pub(super) struct Watched {
    pub(super) inner: InProcess,
    pub(super) watcher: Arc<Watcher>,
}

impl EventBus for Watched {
    type Consumer = Member;

    fn info(&self) -> BusInfo {
        self.inner.info()
    }

    fn health(&self) -> Option<Arc<dyn Health>> {
        self.inner.health()
    }

    fn destination(&self, message: &Message) -> Destination {
        self.inner.destination(message)
    }

    fn handlers(&self) -> Option<u64> {
        self.inner.handlers()
    }

    async fn publish(&self, messages: Vec<Message>) -> Vec<Result<Published, PublishError>> {
        self.inner.publish(messages).await
    }

    async fn subscribe(&self, intake: Intake) -> Result<Member, BusError> {
        let group = group_of(&intake.group);
        let inner = self.inner.subscribe(intake).await?;
        let number = self.watcher.tell(|model| model.joined(group));
        Ok(Member { inner: Some(inner), number, watcher: Arc::clone(&self.watcher) })
    }
}

type Inner = <InProcess as EventBus>::Consumer;

pub(super) struct Member {
    /// `None` when it is gone.
    inner: Option<Inner>,
    number: usize,
    watcher: Arc<Watcher>,
}

impl Member {
    fn inner(&mut self) -> &mut Inner {
        self.inner.as_mut().expect("it is there until it is dropped")
    }
}

impl Consumer for Member {
    type Settle = Unsettled;

    async fn next(&mut self) -> Result<Option<Delivery<Unsettled>>, BusError> {
        let (watcher, member) = (Arc::clone(&self.watcher), self.number);
        let Some(delivery) = Arc::clone(&watcher).held_up(self.inner().next()).await? else { return Ok(None) };
        let number = number(&delivery.message);
        watcher.tell(|model| model.taken(member, number));
        Ok(Some(delivery.map(|inner| Unsettled { inner: Some(inner), number, member, watcher })))
    }

    async fn attend(&mut self) -> Infallible {
        self.inner().attend().await
    }

    fn stop(&mut self) {
        self.inner().stop();
        self.watcher.tell(|model| model.stopped(self.number));
    }

    async fn leave(mut self) {
        Arc::clone(&self.watcher).held_up(async { drop(self.inner.take()) }).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.inner.take());
        self.watcher.tell(|model| model.gone(self.number));
    }
}

pub(super) struct Unsettled {
    /// `None` when it is settled.
    inner: Option<<Inner as Consumer>::Settle>,
    number: usize,
    member: usize,
    watcher: Arc<Watcher>,
}

impl Settle for Unsettled {
    fn is_lost(&self) -> bool {
        self.inner.as_ref().is_some_and(Settle::is_lost)
    }

    async fn ack(mut self) -> Result<(), BusError> {
        let watcher = Arc::clone(&self.watcher);
        watcher
            .held_up(async {
                let Some(inner) = self.inner.take() else { return Ok(()) };
                inner.ack().await?;
                self.watcher.tell(|model| model.settled(self.member, self.number));
                Ok(())
            })
            .await
    }

    async fn reject(self) -> Result<(), BusError> {
        self.ack().await
    }

    async fn park(&self, message: &Message) -> Result<(), BusError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let parked = Arc::clone(&self.watcher).held_up(async {
            let parked = inner.park(message).await;
            self.watcher.tell(|model| model.parked(self.member, self.number, &parked));
            parked
        });
        parked.await
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drop(inner);
            self.watcher.tell(|model| model.given_back(self.member, self.number));
        }
    }
}
