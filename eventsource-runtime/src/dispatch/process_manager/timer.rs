//! Records the events that processes have scheduled, when they are due.
//!
//! They are stored in the streams of the processes, so that they survive the program. Any number of programs may record
//! one: its id is derived from the event that scheduled it, and the store keeps one.
//!
//! The position up to which nothing is scheduled any more is saved now and then, like the checkpoint of a projection,
//! so that a start reads what came since, not the whole past.
//!
//! A server that replaced another may have lost the end of the feed, and have reused its positions since. So the timer
//! checks now and then whether the feed is still the one that it read.

use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::ProcessManager;
use super::pending::{EventIdentity, Pending, Waiting};
use super::record::{Purpose, Scheduled, derived, is_own};
use crate::clock::Clock;
use crate::domain::{EventDef, EventSet, StoredEvent};
use crate::poll::unless;
use crate::projection::{
    Batch, CheckpointOnly, Claim, Partition, ProjectionError, ProjectionStore, StepResult, catch_panic,
};
use crate::store::{AppendError, ExpectedVersion, Filter, NewEvent, Origin, Position};
use crate::telemetry::{Chain, Scope, error_text, log, metrics};

/// How often the clock is read while something is scheduled, since it may be set, and may be a test's; and how often
/// new events are read meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// The longest pause between attempts to reach a failing store.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const PAGE: usize = 512;
/// How far the saved position may lag behind, and so how much a start reads needlessly.
const UNSAVED: u64 = 1000;
/// How long nobody else saves it meanwhile: enough for a few calls of the store.
const TERM: Duration = Duration::from_secs(5);
/// How often to check whether the feed has lost its end.
const LOOK_BACK: Duration = Duration::from_secs(5);

pub(super) struct Timer<M, S> {
    store: S,
    clock: Arc<dyn Clock>,
    /// Whether retries are counted.
    metrics: bool,
    /// Everything up to here has been read.
    seen: Position,
    /// Up to here, nothing is scheduled any more, as saved in the store; `None` until that is asked.
    saved: Option<Position>,
    pending: Pending,
    /// The first event that cannot be read, or whose scheduled one cannot be recorded: the next start may know more.
    unreadable: Option<Position>,
    /// The last event of the feed, of any kind, at the last look back. As long as it is there, nothing before it was
    /// lost.
    known: Option<EventIdentity>,
    /// What was read after that.
    since: Vec<EventIdentity>,
    looked_back: Option<Instant>,
    manager: PhantomData<fn() -> M>,
}

/// What became of an event that was due.
enum Outcome {
    Recorded,
    /// The event that scheduled it is gone.
    Gone,
    /// The manager has no type for it, or the store refuses it for good: left to the next start, and told.
    Left,
}

impl<M: ProcessManager, S: ProjectionStore> Timer<M, S> {
    pub(super) fn new(store: S, clock: Arc<dyn Clock>, metrics: bool) -> Self {
        Self {
            store,
            clock,
            metrics,
            seen: Position::START,
            saved: None,
            pending: Pending::default(),
            unreadable: None,
            known: None,
            since: Vec::new(),
            looked_back: None,
            manager: PhantomData,
        }
    }

    /// Runs until it is told to stop. A store that fails or panics is retried for as long as that takes.
    pub(super) fn run(mut self, mut stopped: watch::Receiver<bool>) -> impl Future<Output = ()> + Send {
        let body = async move {
            let stop = async move {
                // A dropped sender means stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // Whatever is in progress is dropped: the next start finds what is due where this one did.
            let _: Option<Infallible> = unless(stop, self.work()).await;
        };
        Scope::detached().muted().run(body)
    }

    async fn work(&mut self) -> Infallible {
        let mut retries = 0;
        loop {
            let turn = catch_panic(async {
                self.look().await?;
                retries = 0;
                self.wait().await;
                StepResult::Ok(())
            });
            if let Err(error) = turn.await {
                retries += 1;
                log::projection_retried(M::name(), retries, &error.logged());
                if self.metrics {
                    metrics::retry("process_timer", error.error_type());
                }
                tokio::time::sleep(LONGEST_PAUSE.min(LOOK * retries)).await;
            }
        }
    }

    /// Waits until something is due, or an append may have scheduled something, or it is time to look back: nothing
    /// reports what replaces lost events. The store is asked for nothing meanwhile.
    async fn wait(&self) {
        let appended = async {
            self.store.changed(self.seen).await;
            if !self.pending.is_empty() {
                // Not on every append: sparing the other appends matters more than a tenth of a second here.
                tokio::time::sleep(LOOK).await;
            }
        };
        // Whichever it was, everything is checked.
        let _ = tokio::time::timeout(LOOK_BACK, unless(self.due(), appended)).await;
    }

    /// Waits until the first pending event is due.
    async fn due(&self) {
        let Some(next) = self.pending.first_due() else {
            return std::future::pending().await;
        };
        loop {
            let left = next.saturating_sub(self.clock.now().as_micros());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            tokio::time::sleep(LOOK.min(Duration::from_micros(left))).await;
        }
    }

    async fn look(&mut self) -> StepResult {
        self.read().await?;
        let recorded = self.record_due().await;
        self.save().await?;
        recorded
    }

    async fn record_due(&mut self) -> StepResult {
        let mut result = Ok(());
        for asked in self.pending.due(self.clock.now().as_micros()) {
            let Some(waiting) = self.pending.get(asked) else { continue };
            match self.record(&waiting).await {
                Ok(Outcome::Recorded) => self.pending.recorded(&waiting),
                Ok(Outcome::Gone) => self.pending.remove(asked),
                Ok(Outcome::Left) => {
                    self.pending.remove(asked);
                    self.leave(waiting.asked.position);
                }
                // One that cannot be recorded does not hold up the others.
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Leaves an event to the next start, which reads it again.
    fn leave(&mut self, position: Position) {
        self.unreadable = Some(self.unreadable.map_or(position, |first| first.min(position)));
    }

    /// Checks whether the feed is still the one that was read, and starts over if not.
    async fn look_back(&mut self) -> StepResult {
        // Read before the checks below: as long as this event is there, what they see stays as it is.
        let last = self.identity_at(self.store.head().await?).await?;
        if !self.is_as_read(last).await? {
            self.open().await?;
        }
        if let Some(last) = last {
            // Nothing of ours was lost after it, but what is appended there must still be read.
            self.seen = self.seen.min(last.position);
        }
        (self.known, self.looked_back) = (last, Some(Instant::now()));
        self.since.clear();
        self.pending.reopen();
        Ok(())
    }

    /// Whether the feed, which ends with `last`, still shows what was read.
    async fn is_as_read(&self, last: Option<EventIdentity>) -> Result<bool, ProjectionError> {
        let Some(known) = self.known else { return Ok(false) };
        if last != self.known && self.identity_at(known.position).await? != self.known {
            return Ok(false);
        }
        let (mut after, mut found) = (known.position, Vec::new());
        while after < self.seen {
            let page = self.store.read_all(after, &Self::filter(), PAGE).await?;
            if page.scanned <= after {
                break;
            }
            found.extend(page.events.iter().map(EventIdentity::of).filter(|event| event.position <= self.seen));
            after = page.scanned;
        }
        Ok(found == self.since)
    }

    /// The event at a position of the feed.
    async fn at(&self, position: Position) -> Result<Option<StoredEvent>, ProjectionError> {
        let Some(before) = position.get().checked_sub(1) else { return Ok(None) };
        let page = self.store.read_all(Position::new(before), &Filter::all(), 1).await?;
        Ok(page.events.into_iter().next().filter(|event| event.position == position))
    }

    async fn identity_at(&self, position: Position) -> Result<Option<EventIdentity>, ProjectionError> {
        Ok(self.at(position).await?.as_ref().map(EventIdentity::of))
    }

    fn filter() -> Filter {
        Filter::all().aggregate_types([M::NAME])
    }

    /// Asks the store where to begin, with nothing known.
    async fn open(&mut self) -> StepResult {
        self.store.open_projection(Arc::new(CheckpointOnly(M::timer_name())), 1, Position::START).await?;
        // Nobody holds a lease of no duration, and the answer contains the checkpoint.
        let look = Claim::new(Uuid::nil(), M::timer_name(), Duration::ZERO);
        let lease = self.store.lease_projection(Partition::whole(M::timer_name()), look).await?;
        self.seen = lease.checkpoint;
        self.saved = Some(lease.checkpoint);
        self.pending = Pending::default();
        self.unreadable = None;
        Ok(())
    }

    /// The position up to which nothing is scheduled any more.
    fn done(&self) -> Position {
        let first = self.pending.first_position().into_iter().chain(self.unreadable).min();
        first.map_or(self.seen, |first| Position::new(first.get() - 1))
    }

    /// Saves the position up to which nothing is scheduled, unless somebody else is about to.
    async fn save(&mut self) -> StepResult {
        let done = self.done();
        if self.saved.is_none_or(|saved| done.get() <= saved.get() + UNSAVED) {
            return Ok(());
        }
        let partition = Partition::whole(M::timer_name());
        let claim = Claim::new(Uuid::now_v7(), M::timer_name(), TERM);
        let lease = self.store.lease_projection(partition, claim.clone()).await?;
        if lease.taken.is_some() {
            self.saved = Some(done);
            return Ok(());
        }
        let saved = self.save_under((partition, claim.clone()), lease.checkpoint, done).await;
        // Whatever came of it: the next one would wait for its end.
        let given_up = self.store.lease_projection(partition, claim.given_up()).await;
        let done = saved?;
        given_up?;
        self.saved = Some(done);
        Ok(())
    }

    /// The position that was saved.
    async fn save_under(
        &mut self,
        (partition, claim): (Partition, Claim),
        checkpoint: Position,
        done: Position,
    ) -> Result<Position, ProjectionError> {
        // What is passed was there before the lease: if it is lost from here on, so is the lease, and the batch is
        // refused.
        self.look_back().await?;
        self.read().await?;
        let done = done.min(self.done());
        if checkpoint < done {
            let batch = Batch::new(partition, claim, checkpoint, done).at(self.clock.now());
            self.store.apply_batch(Arc::new(CheckpointOnly(M::timer_name())), batch, Scope::current()).await?;
        }
        Ok(done)
    }

    /// Reads what was scheduled, and what of that has been recorded since. Events that cannot be read hold up no others,
    /// and the next start reads them again.
    async fn read(&mut self) -> StepResult {
        if self.looked_back.is_none_or(|at| at.elapsed() >= LOOK_BACK) {
            self.look_back().await?;
        }
        let known = self.known.map_or(Position::START, |known| known.position);
        loop {
            let page = self.store.read_all(self.seen, &Self::filter(), PAGE).await?;
            if page.scanned <= self.seen {
                return Ok(());
            }
            self.since.extend(page.events.iter().map(EventIdentity::of).filter(|event| event.position > known));
            for event in page.events {
                if let Err(error) = self.take(&event) {
                    tell_left::<M>(&event, None, &error);
                    self.leave(event.position);
                }
            }
            self.seen = page.scanned;
        }
    }

    fn take(&mut self, event: &StoredEvent) -> StepResult {
        if event.is::<Scheduled>() {
            let due = event.decode::<Scheduled>()?.into_payload().due;
            let id = derived(M::name(), event.id, Purpose::Due, 0);
            self.pending.insert(Waiting { due, id, asked: EventIdentity::of(event) });
        } else if let Some(cause) = event.causation_id
            && self.pending.get(cause).is_some_and(|waiting| waiting.id == event.id)
        {
            self.pending.remove(cause);
        }
        Ok(())
    }

    /// Records what is due, unless the event that scheduled it is gone: a server may have lost it since the last look
    /// back, and the process with it.
    async fn record(&self, waiting: &Waiting) -> Result<Outcome, ProjectionError> {
        let asked = self.at(waiting.asked.position).await?;
        let Some(asked) = asked.filter(|event| EventIdentity::of(event) == waiting.asked) else {
            return Ok(Outcome::Gone);
        };
        let scheduled = asked.decode::<Scheduled>()?.into_payload();
        let name = scheduled.event_type.as_str();
        let Some(event_type) = name_of::<M>(name) else {
            let error = ProjectionError::new(format!(
                "the scheduled event `{name}` of `{}` is due, but the process manager has no event of that name; add \
                 `alias = \"{name}\"` to the type that replaced it",
                asked.stream
            ));
            tell_left::<M>(&asked, Some(name), &error);
            return Ok(Outcome::Left);
        };
        let origin = Origin {
            recorded_at: self.clock.now(),
            correlation_id: asked.correlation_id,
            causation_id: Some(asked.id),
            metadata: asked.metadata.clone(),
            // Leads the reaction back to where it was scheduled.
            trace_context: asked.trace_context.clone(),
        };
        let event = NewEvent {
            id: waiting.id,
            event_type,
            schema_version: scheduled.schema_version,
            payload: scheduled.payload.get().to_owned().into(),
            origin: Arc::new(origin),
        };
        match self.store.append(&asked.stream, ExpectedVersion::Exists, vec![event]).await {
            // Somebody else has recorded it, under a name that its type has now.
            Ok(_) | Err(AppendError::IdempotencyMismatch { .. }) => Ok(Outcome::Recorded),
            Err(AppendError::Store(error)) if error.is_trouble() => Err(error.into()),
            Err(error) => {
                tell_left::<M>(&asked, Some(name), &error.into());
                Ok(Outcome::Left)
            }
        }
    }
}

/// Tells that what an event asked for is left to the next start, and why.
fn tell_left<M: ProcessManager>(asked: &StoredEvent, event_type: Option<&str>, error: &ProjectionError) {
    let text = error_text(&Chain(error.cause()));
    log::timeout_left(M::name(), asked, event_type, error.error_type(), text.as_deref());
}

/// The name that an event of the manager is stored under today.
fn name_of<M: ProcessManager>(stored: &str) -> Option<&'static str> {
    M::Event::EVENTS.iter().find(|def| def.stores(stored)).map(EventDef::name).filter(|name| !is_own(name))
}
