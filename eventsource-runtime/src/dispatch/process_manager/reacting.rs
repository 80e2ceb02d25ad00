//! Reacts to events: loads the process, writes its reaction down, and dispatches its commands.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::ProcessManager;
use super::chain::{Chain, unchained};
use super::process::{Process, Waiting};
use super::reaction::{ProcessEvent, Reaction};
use super::record::{Planned, Purpose, Reacted, Scheduled, To, derived};
use super::rejection::Rejection;
use super::scheduled::ScheduledEvent;
use crate::clock::Clock;
use crate::dispatch::{CommandBus, Context, DispatchJsonError};
use crate::domain::{AnyEvent, Metadata, StoredEvent, evolve_as_read};
use crate::projection::{HeldLease, ProjectionError, ProjectionStore, StepResult};
use crate::store::{
    AGAIN, AppendError, Appended, ExpectedVersion, Fold, NewEvent, Origin, StoreError, StreamId, is_trouble,
    place_before,
};
use crate::telemetry::{current_span, log, names};

/// How often a process decides again because somebody else appended to it meanwhile.
const CONFLICTS: u32 = 10;

/// What all managers of a runner share.
#[derive(Clone)]
pub(super) struct ManagerContext {
    pub(super) bus: CommandBus,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) max_depth: u32,
    pub(super) metrics: bool,
    pub(super) names: Vec<Names>,
}

/// The names of a manager.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) manager: &'static str,
    /// What its checkpoint is kept under, so that a projection may have the manager's name.
    pub(super) checkpoint: &'static str,
    /// What the lease is kept under with which its letters are settled.
    pub(super) letters: &'static str,
}

impl Names {
    pub(super) fn of<M: ProcessManager>() -> Self {
        Self { manager: M::name(), checkpoint: M::span_name(), letters: M::letters_name() }
    }
}

/// What a manager reacts with: the store, the bus, and how the event came. Public only as a part of
/// [`ManagerDeadLetters`](super::ManagerDeadLetters).
#[derive(Clone)]
pub struct ManagerStore<S> {
    pub(super) store: S,
    pub(super) context: Arc<ManagerContext>,
    /// The leases under which it works: the manager's, that of its letters, or both.
    pub(super) leases: Vec<HeldLease>,
    /// The event was set aside before, and later ones may have overtaken it.
    pub(super) late: bool,
}

/// What led to an append.
struct Cause<'a> {
    event: &'a StoredEvent,
    to: To,
    chain: Chain,
}

impl<S: ProjectionStore> ManagerStore<S> {
    /// Reacts to an event, unless that has been done, and dispatches the pending commands that stem from it.
    pub(super) async fn react<M: ProcessManager>(&self, event: &StoredEvent) -> StepResult {
        let Some(met) = M::meet(event)? else { return Ok(()) };
        let mut process = Process::<M>::new(StreamId::new(M::NAME, &met.process), event.id);
        self.catch_up(&mut process).await?;
        // Events arrive in order, so one before the last that was reacted to has been handled: there was nothing to do
        // about it then, and it is not decided again.
        let is_past = !self.late && event.position <= process.position;
        if is_past && !process.has_reacted {
            return Ok(());
        }
        let chain = Chain::to(event).longer(M::name(), &To::Event, &event.event_type);
        self.note(&mut process, &Cause { event, to: To::Event, chain }, &met.react).await?;
        let mut dispatched = 0;
        let result = self.dispatch_waiting(&mut process, event, &mut dispatched).await;
        current_span().record(names::EVENTSOURCE_COMMANDS_DISPATCHED, dispatched);
        result
    }

    async fn dispatch_waiting<M: ProcessManager>(
        &self,
        process: &mut Process<M>,
        event: &StoredEvent,
        dispatched: &mut u64,
    ) -> StepResult {
        while let Some(Waiting { command, chain }) = process.waiting.front().cloned() {
            self.still_held().await?;
            let rejection = self.dispatch(&command, event, &chain).await?;
            *dispatched += 1;
            match rejection {
                None => {
                    let cause = Cause { event, to: To::Accepted(command.id), chain };
                    self.note(process, &cause, &|_| Ok(Reaction::new())).await?;
                }
                Some(rejection) => {
                    let to = To::Rejected(command.id, rejection.error_type.clone());
                    let chain = chain.longer(M::name(), &to, &command.name);
                    self.note(process, &Cause { event, to, chain }, &|state| state.rejected(&rejection)).await?;
                    if !rejection.is_read() {
                        let of = (M::name(), &process.stream);
                        log::refusal_ignored(of, event.position, &command.name, &rejection.error_type);
                    }
                }
            }
        }
        Ok(())
    }

    /// Checks that the leases are still held, before doing what a stalled process must not do.
    async fn still_held(&self) -> StepResult {
        for lease in &self.leases {
            lease.check(&self.store).await?;
        }
        Ok(())
    }

    /// Dispatches a command under its own id; returns the rejection if it was refused.
    async fn dispatch(
        &self,
        command: &Planned,
        event: &StoredEvent,
        chain: &Chain,
    ) -> Result<Option<Rejection>, ProjectionError> {
        let context = Context {
            command_id: Some(command.id),
            correlation_id: Some(event.correlation()),
            metadata: chain.stamped(event),
            ..Context::default()
        };
        let payload = command.payload.get().as_bytes();
        match self.context.bus.dispatch_kept(&command.name, payload, context).await {
            Ok(_) => Ok(None),
            // Nor is it a refusal, whatever the aggregate calls it, while the store that it asks is in trouble.
            Err(DispatchJsonError::Rejected { error_type, source, .. }) if !is_trouble(&*source) => {
                let (payload, name) = (command.payload.clone(), command.name.clone());
                Ok(Some(Rejection::new(payload, name, error_type.into_owned(), source)))
            }
            Err(DispatchJsonError::Load(error) | DispatchJsonError::Append(AppendError::Store(error))) => {
                Err(ProjectionError::store(error))
            }
            // Not the event's fault: the aggregate is busy, as while somebody imports into it.
            Err(error @ DispatchJsonError::Append(AppendError::Conflict(_))) => Err(ProjectionError::overtaken(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down once what a process does about something. It decides again if somebody else has appended to its
    /// stream meanwhile, such as a scheduled event that is due.
    async fn note<M: ProcessManager>(
        &self,
        process: &mut Process<M>,
        cause: &Cause<'_>,
        react: &(dyn Fn(&M) -> Result<Reaction<M>, ProjectionError> + Send + Sync),
    ) -> StepResult {
        let mut conflicts = 0;
        while !process.has_reacted_to(&cause.to) {
            let reaction = react(&process.state)?;
            if reaction.is_empty() && cause.to == To::Event {
                return Ok(());
            }
            self.still_held().await?;
            let error = match self.append(process, cause, reaction).await? {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            match error {
                AppendError::Conflict(_) | AppendError::IdempotencyMismatch { .. } if conflicts < CONFLICTS => {}
                AppendError::Store(error) => return Err(ProjectionError::store(error)),
                error @ AppendError::Conflict(_) => return Err(ProjectionError::overtaken(error)),
                error => return Err(error.into()),
            }
            conflicts += 1;
            self.catch_up(process).await?;
        }
        Ok(())
    }

    async fn append<M: ProcessManager>(
        &self,
        process: &mut Process<M>,
        cause: &Cause<'_>,
        reaction: Reaction<M>,
    ) -> Result<Result<(), AppendError>, ProjectionError> {
        if let Some(error) = reaction.unwritable {
            return Err(error.into());
        }
        if !reaction.events.is_empty() || !reaction.commands.is_empty() {
            cause.chain.check(self.context.max_depth)?;
        }
        let id = cause.to.id(cause.event.id);
        let commands = reaction.commands.into_iter().enumerate().map(|(ordinal, command)| Planned {
            id: derived(M::name(), id, Purpose::Command, ordinal),
            name: command.name.to_owned(),
            payload: command.payload,
        });
        let reacted = Reacted {
            root: cause.event.id,
            position: cause.event.position.get(),
            to: cause.to.clone(),
            depth: cause.chain.depth,
            chain: cause.chain.names.clone(),
            commands: commands.collect(),
        };
        let appended = self.write(process, cause, &reaction.events, (&reaction.scheduled, &reacted)).await;
        Ok(match appended? {
            Ok(appended) => {
                evolve(process, &reaction.events, &appended)?;
                process.reacted(reacted);
                process.version = appended.version;
                Ok(())
            }
            Err(error) => Err(error),
        })
    }

    async fn write<M: ProcessManager>(
        &self,
        process: &Process<M>,
        cause: &Cause<'_>,
        events: &[Box<dyn ProcessEvent>],
        (scheduled, reacted): (&[ScheduledEvent], &Reacted),
    ) -> Result<Result<Appended, AppendError>, ProjectionError> {
        let origin = Arc::new(self.origin(cause, cause.chain.stamped(cause.event)));
        let unchained = Arc::new(self.origin(cause, unchained(&cause.event.metadata)));
        let scheduled = scheduled.iter().map(|event| self.scheduled(event)).collect::<Result<Vec<_>, _>>()?;
        let own = events.iter().map(|event| (event.as_event(), &origin));
        let own = own.chain(scheduled.iter().map(|scheduled| (scheduled as &dyn AnyEvent, &unchained)));
        let own = own.chain([(reacted as &dyn AnyEvent, &origin)]).enumerate();
        let id = cause.to.id(cause.event.id);
        let encoded = own.map(|(ordinal, (event, origin))| {
            NewEvent::encode(derived(M::name(), id, Purpose::Event, ordinal), event, Arc::clone(origin))
        });
        let encoded = encoded.collect::<Result<Vec<_>, _>>().map_err(|error| error.of(&process.stream))?;
        let expected = ExpectedVersion::Exact(process.version);
        Ok(self.store.append(&process.stream, expected, encoded).await)
    }

    fn origin(&self, cause: &Cause<'_>, metadata: Metadata) -> Origin {
        Origin {
            correlation_id: Some(cause.event.correlation()),
            causation_id: Some(cause.to.id(cause.event.id)),
            metadata,
            ..Origin::at(self.context.clock.now())
        }
    }

    fn scheduled(&self, scheduled: &ScheduledEvent) -> Result<Scheduled, ProjectionError> {
        let event = scheduled.event.as_event();
        let payload = String::from_utf8(event.encode()?)?;
        Ok(Scheduled {
            due: scheduled.when.due(self.context.clock.now()).as_micros(),
            event_type: event.name().to_owned(),
            schema_version: event.version(),
            payload: RawValue::from_string(payload)?,
        })
    }

    /// Brings a process up to the end of its stream.
    async fn catch_up<M: ProcessManager>(&self, process: &mut Process<M>) -> StepResult {
        let fold = Fold { stream: process.stream.clone(), after: process.version, first_event: None };
        let empty = Process::new(process.stream.clone(), process.root);
        let visitor = std::mem::replace(process, empty);
        let folded = self.store.fold(fold, visitor).await;
        let unread = |error: StoreError| error.about(|| format!("`{}`", process.stream), AGAIN);
        *process = folded.map_err(|error| ProjectionError::store(unread(error)))?.visitor;
        match process.error.take() {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }
}

/// Applies the first events of an append as they will be read.
fn evolve<M: ProcessManager>(
    process: &mut Process<M>,
    events: &[Box<dyn ProcessEvent>],
    appended: &Appended,
) -> StepResult {
    for (ordinal, event) in (0..).zip(events) {
        let back = appended.events.saturating_sub(ordinal + 1);
        let place = place_before((appended.version, appended.position), back);
        evolve_as_read(&mut process.state, event.as_event(), &process.stream, place)??;
    }
    Ok(())
}
