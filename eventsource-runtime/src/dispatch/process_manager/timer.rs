//! Records the events that processes have put off, when their time has come.
//!
//! What is due is written in the streams of the processes, so that it survives the program. Any number of programs may
//! record it: the id of the event follows from where it was put off, and the store keeps one.
//!
//! Until where nothing is put off any more is written down now and then, as the checkpoint of a projection is, so that
//! a start reads what came since, and not the whole past.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::ProcessManager;
use super::desk::due_id;
use super::record::{Scheduled, is_own};
use crate::clock::Clock;
use crate::domain::{EventDef, EventSet, StoredEvent};
use crate::poll::unless;
use crate::projection::{Batch, Bookmark, Claim, Partition, ProjectionError, ProjectionStore, StepResult, caught};
use crate::store::{AppendError, ExpectedVersion, Filter, NewEvent, Origin, Position};
use crate::telemetry::{Scope, log};

/// How often the clock is looked at while something is put off, since it may be set, and may be a test's; and how often
/// what was appended meanwhile.
const LOOK: Duration = Duration::from_millis(100);
/// The longest pause between attempts to reach a store that is in trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const PAGE: usize = 512;
/// How far what is written down may lag behind, and so how much a start reads for nothing.
const UNSAVED: u64 = 1000;
/// For how long nobody else writes it down meanwhile: long enough for two calls of the store.
const TERM: Duration = Duration::from_secs(5);

pub(super) struct Timer<M, S> {
    store: S,
    clock: Arc<dyn Clock>,
    /// Everything before is known.
    seen: Position,
    /// Nothing before is put off any more, as the store was told; none before it was asked.
    saved: Option<Position>,
    waiting: HashMap<Uuid, Waiting>,
    /// The first that was put off and cannot be read.
    unreadable: Option<Position>,
    manager: PhantomData<fn() -> M>,
}

struct Waiting {
    due: i64,
    id: Uuid,
    /// Where and why it was put off.
    asked: StoredEvent,
    scheduled: Scheduled,
}

impl<M: ProcessManager, S: ProjectionStore> Timer<M, S> {
    pub(super) fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        let (seen, waiting) = (Position::START, HashMap::new());
        Self { store, clock, seen, saved: None, waiting, unreadable: None, manager: PhantomData }
    }

    /// Runs until it is told to stop. A store that is in trouble is asked again for as long as that takes, and so is
    /// one that panics.
    pub(super) fn run(mut self, mut stopped: watch::Receiver<bool>) -> impl Future<Output = ()> + Send {
        let body = async move {
            let stop = async move {
                // Whoever could tell has gone, and that tells as much.
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            // What it is at is dropped there: the next start finds what is due where this one did.
            let _: Option<Infallible> = unless(stop, self.work()).await;
        };
        Scope::detached().muted().run(body)
    }

    async fn work(&mut self) -> Infallible {
        let mut retries = 0;
        loop {
            let turn = caught(async {
                self.look().await?;
                retries = 0;
                self.wait().await;
                Ok(())
            });
            if let Err(error) = turn.await {
                retries += 1;
                log::projection_retried(M::name(), retries, error.error_type());
                tokio::time::sleep(LONGEST_PAUSE.min(LOOK * retries)).await;
            }
        }
    }

    /// Waits until something is due, or something was appended that may put something off. The store is asked for
    /// nothing meanwhile.
    async fn wait(&self) {
        let appended = async {
            self.store.changed(self.seen).await;
            if !self.waiting.is_empty() {
                // Not at every append: there are others that matter more than a tenth of a second here.
                tokio::time::sleep(LOOK).await;
            }
        };
        unless(self.due(), appended).await;
    }

    /// Waits until the first of all that waits is due.
    async fn due(&self) {
        let Some(next) = self.waiting.values().map(|waiting| waiting.due).min() else {
            return std::future::pending().await;
        };
        loop {
            let left = next.saturating_sub(self.clock.now().as_micros());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            tokio::time::sleep(LOOK.min(Duration::from_micros(left))).await;
        }
    }

    async fn look(&mut self) -> StepResult {
        let read = self.read().await?;
        let recorded = self.record_due().await;
        self.save().await?;
        read.and(recorded)
    }

    async fn record_due(&mut self) -> StepResult {
        let now = self.clock.now().as_micros();
        let mut due: Vec<Uuid> = Vec::new();
        due.extend(self.waiting.iter().filter(|(_, waiting)| waiting.due <= now).map(|(asked, _)| *asked));
        due.sort_unstable_by_key(|asked| self.waiting.get(asked).map(|waiting| (waiting.due, waiting.asked.position)));
        let mut result = Ok(());
        for asked in due {
            let recorded = match self.waiting.get(&asked) {
                Some(waiting) => self.record(waiting).await,
                None => Ok(()),
            };
            match recorded {
                Ok(()) => drop(self.waiting.remove(&asked)),
                // One that cannot be recorded holds up none of the others.
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Asks where to begin.
    async fn open(&mut self) -> StepResult {
        self.store.open_projection(Arc::new(Bookmark(M::timer_name())), 1, Position::START).await?;
        // A lease for no time is nobody's, and the answer tells where the checkpoint is.
        let look = Claim::new(Uuid::nil(), M::timer_name(), Duration::ZERO);
        let lease = self.store.lease_projection(Partition::whole(M::timer_name()), look).await?;
        self.seen = lease.checkpoint;
        self.saved = Some(lease.checkpoint);
        Ok(())
    }

    /// Writes down until where nothing is put off any more, unless somebody else is about to.
    async fn save(&mut self) -> StepResult {
        let first = self.waiting.values().map(|waiting| waiting.asked.position).chain(self.unreadable).min();
        let done = first.map_or(self.seen, |first| Position::new(first.get() - 1));
        if self.saved.is_none_or(|saved| done.get() <= saved.get() + UNSAVED) {
            return Ok(());
        }
        let partition = Partition::whole(M::timer_name());
        let claim = Claim::new(Uuid::now_v7(), M::timer_name(), TERM);
        let lease = self.store.lease_projection(partition, claim.clone()).await?;
        if lease.taken.is_none() {
            if lease.checkpoint < done {
                let batch = Batch::new(partition, claim.clone(), lease.checkpoint, done).at(self.clock.now());
                let mark = Arc::new(Bookmark(M::timer_name()));
                self.store.apply_batch(mark, batch, Scope::current()).await?;
            }
            self.store.lease_projection(partition, claim.given_up()).await?;
        }
        self.saved = Some(done);
        Ok(())
    }

    /// Reads what was put off, and what of that has been recorded since. The inner error is of what cannot be read: it
    /// holds up none of the others, and is read again by the next start.
    async fn read(&mut self) -> Result<StepResult, ProjectionError> {
        if self.saved.is_none() {
            self.open().await?;
        }
        let filter = Filter::all().aggregate_types([M::NAME]);
        let mut result = Ok(());
        loop {
            let page = self.store.read_all(self.seen, &filter, PAGE).await?;
            if page.scanned <= self.seen {
                return Ok(result);
            }
            for event in page.events {
                let position = event.position;
                if let Err(error) = self.take(event) {
                    self.unreadable.get_or_insert(position);
                    result = result.and(Err(error));
                }
            }
            self.seen = page.scanned;
        }
    }

    fn take(&mut self, event: StoredEvent) -> StepResult {
        if event.is::<Scheduled>() {
            let scheduled = event.decode::<Scheduled>()?.into_payload();
            let (due, id) = (scheduled.due, due_id(M::name(), event.id));
            self.waiting.insert(event.id, Waiting { due, id, asked: event, scheduled });
        } else if let Some(cause) = event.causation_id
            && self.waiting.get(&cause).is_some_and(|waiting| waiting.id == event.id)
        {
            self.waiting.remove(&cause);
        }
        Ok(())
    }

    async fn record(&self, waiting: &Waiting) -> StepResult {
        let Waiting { id, asked, scheduled, .. } = waiting;
        let Some(event_type) = name_of::<M>(&scheduled.event_type) else {
            let name = &scheduled.event_type;
            let reason =
                format!("`{name}` of `{}` is due and no event of that name; give its type an `alias`", asked.stream);
            return Err(ProjectionError::new(reason));
        };
        let origin = Origin {
            recorded_at: self.clock.now(),
            correlation_id: asked.correlation_id,
            causation_id: Some(asked.id),
            metadata: asked.metadata.clone(),
            // Whoever reacts is led back to where it was put off.
            trace_context: asked.trace_context.clone(),
        };
        let event = NewEvent {
            id: *id,
            event_type,
            schema_version: scheduled.schema_version,
            payload: scheduled.payload.get().to_owned().into(),
            origin: Arc::new(origin),
        };
        match self.store.append(&asked.stream, ExpectedVersion::Any, vec![event]).await {
            // Somebody else has recorded it, under a name that its type has now.
            Ok(_) | Err(AppendError::IdempotencyMismatch { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The name that an event of the manager is stored under today.
fn name_of<M: ProcessManager>(stored: &str) -> Option<&'static str> {
    let is = |def: &&EventDef<M::Event>| def.name() == stored || def.aliases().contains(&stored);
    M::Event::EVENTS.iter().find(is).map(EventDef::name).filter(|name| !is_own(name))
}
