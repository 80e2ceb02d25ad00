//! The steps of a command, each in its span: load, decide, persist.

#![expect(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice: a command's future would be larger"
)]

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Repository;
use super::cause::{Cause, event_id};
use super::replay::{Read, Replay, Restoring};
use crate::dispatch::DispatchError;
use crate::domain::{Aggregate, AnyCommand, EventSet, Handlers, Snapshot};
use crate::snapshot::SnapshotStore;
use crate::store::{
    AGAIN, AppendError, Appended, EventStore, ExpectedVersion, Fold, Folded, NewEvent, Position, StoreError, StreamId,
    Version, place_before,
};
use crate::telemetry::log::Failed;
use crate::telemetry::{Attributes, Chain, Kind, Span, Start, guarded_by_type, log, metrics, names};
use crate::timer;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl<A: Aggregate, S: EventStore + SnapshotStore, V: Send + Sync + 'static> Repository<A, S, V> {
    pub(super) async fn pause(
        &self,
        (command, stream): (&'static str, &StreamId),
        retries: u32,
        error_type: &'static str,
    ) {
        log::command_retried(command, stream.aggregate_id(), retries + 1);
        if self.metrics {
            metrics::retry("repository", error_type);
        }
        match retries.checked_sub(1) {
            Some(exponent) if timer::is_there() => tokio::time::sleep(jittered(exponent)).await,
            // The other append is usually done by now.
            _ => tokio::task::yield_now().await,
        }
    }

    /// Brings a state up to the stream's end, in a `load_aggregate` span. `metered` is whether it is counted how many
    /// events that took.
    pub(super) fn replay(
        &self,
        stream: &StreamId,
        replay: Box<Replay<A>>,
        command_id: Option<Uuid>,
        metered: bool,
    ) -> impl Future<Output = Result<Box<Replay<A>>, StoreError>> + Send {
        async move {
            let span = self.span(names::LOAD_AGGREGATE, stream, &mut |_| ());
            let folded = span.run(self.fold(stream, replay, command_id)).await;
            let result = folded.and_then(|(visited, mut replay)| match replay.error.take() {
                None => Ok((visited, replay)),
                Some(error) => Err(error.into()),
            });
            match result {
                Ok((visited, replay)) => {
                    // What was made before needs no state.
                    let (version, base) = match &replay.earlier {
                        Some(earlier) => (earlier.version, 0),
                        None => (replay.version, replay.base.get()),
                    };
                    span.record(&mut |later| {
                        later.number(names::EVENTSOURCE_EVENTS_LOADED, visited);
                        later.number(names::EVENTSOURCE_VERSION, version.get());
                        later.flag(names::EVENTSOURCE_SNAPSHOT_USED, base > 0);
                        if base > 0 {
                            later.number(names::EVENTSOURCE_SNAPSHOT_VERSION, base);
                        }
                    });
                    span.succeed();
                    if metered && replay.earlier.is_none() {
                        metrics::events_loaded(A::NAME, visited);
                    }
                    Ok(replay)
                }
                Err(error) => {
                    let error = error.about(|| format!("`{stream}`"), AGAIN);
                    Err(failed((names::LOAD_AGGREGATE, span), error, StoreError::error_type))
                }
            }
        }
    }

    /// Reads the events that a state lacks and returns how many there were. An empty state starts from a snapshot, if
    /// it can.
    fn fold(
        &self,
        stream: &StreamId,
        replay: Box<Replay<A>>,
        command_id: Option<Uuid>,
    ) -> impl Future<Output = Result<(u64, Box<Replay<A>>), StoreError>> + Send {
        async move {
            let first_event = command_id.map(|id| event_id(id, 0));
            let fold = Fold { stream: stream.clone(), after: replay.version, first_event };
            // A snapshot may be of a later state than an earlier one that is wanted.
            let takes_any = replay.version == Version::START && replay.until.is_none();
            let policy = A::SNAPSHOT.filter(|_| takes_any && self.store.snapshots().is_some());
            let Folded { visitor: mut replay, visited, earlier } = match policy {
                // In a box: the loads of all other aggregates would reserve space for it.
                Some(policy) => Box::pin(self.fold_from_snapshot(fold, policy)).await?,
                None => self.store.fold(fold, replay).await?,
            };
            replay.earlier = match (earlier, command_id) {
                (Some(earlier), Some(id)) => Some(Box::pin(self.without_next(stream, earlier, id)).await?),
                _ => earlier,
            };
            Ok((visited, replay))
        }
    }

    async fn fold_from_snapshot(&self, fold: Fold, policy: Snapshot<A>) -> Result<Folded<Box<Replay<A>>>, StoreError> {
        let folded = if self.snapshots.rests() {
            let replay = Box::new(Replay { read: Some(Read::StoreError), ..Replay::default() });
            self.store.fold(fold, replay).await?
        } else {
            let restoring = Restoring::new(&fold.stream, policy, &self.snapshots);
            let Folded { visitor, visited, earlier } = self.store.fold_from_snapshot(fold, restoring).await?;
            Folded { visitor: visitor.replay, visited, earlier }
        };
        if let (true, Some(read)) = (self.metrics, folded.visitor.read) {
            metrics::snapshot_read(A::NAME, read.name());
        }
        Ok(folded)
    }

    /// Runs the handler, in a `handle_command` span. A refusal leaves the span without a status, a fault does not.
    pub(super) async fn decide(
        &self,
        stream: &StreamId,
        state: &A,
        command: &dyn AnyCommand<A>,
    ) -> Result<Vec<A::Event>, DispatchError<A::Error>>
    where
        A: Handlers<Services = V>,
    {
        let enabled = || self.tracing && guarded_by_type(|| command.enable_tracing(state)).unwrap_or(true);
        let span = Start::new(names::HANDLE_COMMAND, Kind::Internal, enabled).begin(
            &mut |known| {
                known.text(names::CQRS_SIDE, "write");
                known.text(names::CQRS_COMMAND_TYPE, command.name());
                aggregate::<A>(stream, known);
            },
            &mut |user| {
                guarded_by_type(|| command.handler_attributes(state, &self.services, user));
            },
        );
        // In the block, so that a plain method runs in the span as well: it has decided when `decide` returns.
        let decided = span.run(async { command.decide(state, &self.services).await }).await;
        match &decided {
            Ok(events) => {
                span.record(&mut |later| later.number(names::CQRS_EVENTS_COUNT, events.len() as u64));
                span.events(names::DOMAIN_EVENT_PRODUCED, events.len(), &mut |ordinal, attributes| {
                    let event = events[ordinal].as_event();
                    attributes.text(names::EVENTSOURCE_EVENT_TYPE, event.name());
                    guarded_by_type(|| event.record(attributes));
                });
            }
            Err(fault) if A::is_fault(fault) => {
                let failed = Failed::new(names::LOG_COMMAND, names::HANDLE_COMMAND);
                span.fail(failed, crate::error::error_type(fault), &Chain(fault));
                return decided.map_err(DispatchError::Failed);
            }
            Err(refusal) => {
                span.record(&mut |later| later.string(names::ERROR_TYPE, &*crate::error::error_type(refusal)));
            }
        }
        span.succeed();
        decided.map_err(DispatchError::Rejected)
    }

    /// Appends in a `persist_events` span, whose context is stored with each event.
    pub(super) fn persist(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: &[A::Event],
        cause: &Cause<'_>,
    ) -> impl Future<Output = Result<Appended, AppendError>> + Send {
        async move {
            let span = self.span(names::PERSIST_EVENTS, stream, &mut |known| {
                known.number(names::EVENTSOURCE_EVENT_COUNT, events.len() as u64);
                known.string(names::EVENTSOURCE_EXPECTED_VERSION, expected.to_string());
            });
            let appended = span
                .run(async {
                    let origin = Arc::new(cause.origin(&*self.clock));
                    // Collected results do not say how many there are.
                    let mut encoded = Vec::with_capacity(events.len());
                    for (event, ordinal) in events.iter().zip(0..) {
                        let id = event_id(cause.command_id, ordinal);
                        encoded.push(NewEvent::encode(id, event.as_event(), Arc::clone(&origin))?);
                    }
                    let appended = self.store.append(stream, expected, encoded).await?;
                    if appended.repeated && cause.is_looked_up_by_its_events() {
                        // In a box: every append would reserve space for it.
                        Box::pin(self.check_whole(stream, &appended, cause.command_id)).await?;
                    }
                    Ok(appended)
                })
                .await;
            match appended {
                Ok(appended) => {
                    persisted(&span, events, &appended);
                    span.succeed();
                    Ok(appended)
                }
                Err(error @ AppendError::Conflict(_)) => {
                    if self.metrics {
                        metrics::append_conflict(A::NAME);
                    }
                    span.conflict(names::LOG_COMMAND, error.error_type(), &Chain(&error));
                    Err(error)
                }
                Err(error) => {
                    Err(failed((names::PERSIST_EVENTS, span), error.to(stream, expected), AppendError::error_type))
                }
            }
        }
    }

    /// Refuses a repeated append that has only the first events of the one that was made: to a store that is no other
    /// content. The events of an append follow each other, and so do their ids.
    async fn check_whole(&self, stream: &StreamId, appended: &Appended, command_id: Uuid) -> Result<(), AppendError> {
        let id = event_id(command_id, appended.events);
        let next = self.store.read_stream(stream, appended.version, 1).await?;
        match next.first() {
            Some(event) if event.id == id => Err(AppendError::mismatch(stream.clone(), id)),
            _ => Ok(()),
        }
    }

    /// An earlier append without the events of the next one. A store tells one append from the next by what caused it
    /// and when, and both are the same if a handler's second command comes with no id within a microsecond; ids tell.
    async fn without_next(
        &self,
        stream: &StreamId,
        earlier: Appended,
        command_id: Uuid,
    ) -> Result<Appended, StoreError> {
        if earlier.events <= 1 {
            return Ok(earlier);
        }
        let before = Version::new(earlier.version.get().saturating_sub(earlier.events));
        let mut own = Appended::new(before, Position::START, 0).repeated();
        while own.events < earlier.events {
            // A page may hold fewer.
            let rest = usize::try_from(earlier.events - own.events).unwrap_or(usize::MAX);
            let page = self.store.read_stream(stream, own.version, rest).await?;
            let ids = (own.events..).map(|ordinal| event_id(command_id, ordinal));
            let Some((last, count)) = page.iter().zip(ids).take_while(|(event, id)| event.id == *id).zip(1..).last()
            else {
                break;
            };
            let (version, position) = (last.0.version, last.0.position);
            own = Appended { version, position, events: own.events + count, ..own };
        }
        Ok(if own.events == 0 { earlier } else { own })
    }

    pub(super) fn span(&self, name: &'static str, stream: &StreamId, known: &mut dyn FnMut(&mut Attributes)) -> Span {
        Start::new(name, Kind::Internal, || self.tracing).begin(
            &mut |attributes| {
                attributes.text(names::CQRS_SIDE, "write");
                aggregate::<A>(stream, attributes);
                known(attributes);
            },
            &mut |_| (),
        )
    }
}

fn aggregate<A: Aggregate>(stream: &StreamId, attributes: &mut Attributes) {
    attributes.text(names::EVENTSOURCE_AGGREGATE_TYPE, A::NAME);
    attributes.string(names::EVENTSOURCE_AGGREGATE_ID, stream.aggregate_id());
}

fn persisted<E: EventSet>(span: &Span, events: &[E], appended: &Appended) {
    span.record(&mut |later| later.number(names::EVENTSOURCE_VERSION, appended.version.get()));
    if appended.repeated {
        return;
    }
    span.events(names::EVENT_PERSISTED, events.len(), &mut |ordinal, attributes| {
        let back = (events.len() - 1 - ordinal) as u64;
        let (version, position) = place_before((appended.version, appended.position), back);
        attributes.text(names::EVENTSOURCE_EVENT_TYPE, events[ordinal].as_event().name());
        attributes.number(names::EVENTSOURCE_VERSION, version.get());
        attributes.number(names::EVENTSOURCE_POSITION, position.get());
    });
}

/// Ends a span of that name with the failure's name, logs the failure, and returns it.
pub(super) fn failed<E: Error + 'static>(
    (name, span): (&str, Span),
    error: E,
    error_type: impl Fn(&E) -> &'static str,
) -> E {
    span.fail(Failed::new(names::LOG_COMMAND, name), error_type(&error), &Chain(&error));
    error
}

/// A pause that grows with the attempts and differs between tasks, so that they do not collide again.
fn jittered(exponent: u32) -> Duration {
    let pause = Duration::from_millis(1 << exponent.min(6)).min(LONGEST_PAUSE);
    let random = RandomState::new().hash_one(exponent) % 512;
    pause * (512 + u32::try_from(random).unwrap_or_default()) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for exponent in 0..40 {
            let (pause, longest) = (jittered(exponent), Duration::from_millis(1 << exponent.min(6)).min(LONGEST_PAUSE));
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?} after {exponent} more");
        }
    }
}
