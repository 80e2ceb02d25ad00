//! Appends, and what may be wrong with them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use eventsource_runtime::clock::Timestamp;
use eventsource_runtime::store::{
    AppendError, Appended, Conflict, EventStore, ExpectedVersion, MAX_APPEND, MAX_PAYLOAD, MAX_STREAM_ID, NewEvent,
    Origin, Position, StoreError, StreamId, Version,
};
use eventsource_runtime::telemetry::TraceContext;
use eventsource_runtime::{Metadata, StoredEvent};
use tokio::task::yield_now;
use uuid::Uuid;

use super::defect::Defect;
use super::store::{Broken, UnderWay};

type Outcome = Result<Appended, AppendError>;

impl Broken {
    pub(super) async fn append_badly(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Outcome {
        let events = self.lossy(events);
        let actual = self.stands(stream).await.version;
        let expected = self.lax(expected, actual, events.len());
        if let Some(refusal) = self.refusal(stream, expected, actual, &events).await {
            return refusal;
        }
        let under_way = UnderWay::begin(&self.state);
        let result = self.made(stream, expected, events.clone()).await;
        let result = self.concealed(stream, &events, result).await;
        under_way.end();
        self.state.one.notify_one();
        self.misreported(stream, &events, result).await
    }

    /// What the store keeps of events.
    fn lossy(&self, events: Vec<NewEvent>) -> Vec<NewEvent> {
        let first = events.first().map(|event| Arc::clone(&event.origin));
        let mut seen = HashSet::new();
        let events = events.into_iter().filter(|event| {
            let is_new = seen.insert(event.id);
            is_new || self.defect != Defect::RepeatedIdIsIgnored
        });
        events.map(|event| self.lossy_event(event, first.as_ref())).collect()
    }

    fn lossy_event(&self, mut event: NewEvent, first: Option<&Arc<Origin>>) -> NewEvent {
        match self.defect {
            Defect::PayloadIsJson => {
                if let Ok(value) = serde_json::from_slice::<serde_json::Value>(&event.payload) {
                    event.payload = value.to_string().into();
                }
            }
            Defect::TypeHasALimit if event.event_type.len() > 64 => event.event_type = "Cut",
            Defect::TypeEndsAtItsNul => {
                event.event_type = event.event_type.split('\0').next().unwrap_or_default();
            }
            Defect::SchemaVersionIsShort => event.schema_version = event.schema_version.min(0x7FFF),
            Defect::OriginIsThatOfTheFirst => event.origin = first.map_or(event.origin, Arc::clone),
            _ => event.origin = Arc::new(self.lossy_origin((*event.origin).clone())),
        }
        event
    }

    fn lossy_origin(&self, mut origin: Origin) -> Origin {
        match self.defect {
            Defect::TimeIsInMillis => {
                let millis = origin.recorded_at.as_micros() / 1000;
                origin.recorded_at = Timestamp::from_micros(millis * 1000);
            }
            Defect::CorrelationIsLost => origin.correlation_id = None,
            // Where there is nothing else to keep, others miss it: by their cause events are told to be of one append.
            Defect::CausationIsLost if !origin.metadata.is_empty() => origin.causation_id = None,
            Defect::EmptyMetadataIsLost => {
                let kept = origin.metadata.iter().filter(|(_, value)| !value.is_empty());
                origin.metadata = kept.collect::<Metadata>();
            }
            Defect::ParentIsSampled => {
                origin.trace_context = origin.trace_context.map(|context| {
                    let parent = context.traceparent();
                    let sampled: TraceContext = format!("{}01", &parent[..53]).parse().expect("it is a parent");
                    context.tracestate().map_or(sampled.clone(), |state| sampled.with_state(state))
                });
            }
            Defect::StateIsLost => {
                origin.trace_context = origin.trace_context.map(|context| context.with_state(""));
            }
            Defect::AbsentIsNil => origin.correlation_id = origin.correlation_id.or(Some(Uuid::nil())),
            _ => {}
        }
        origin
    }

    /// What the store takes an expectation for.
    fn lax(&self, expected: ExpectedVersion, actual: Version, count: usize) -> ExpectedVersion {
        let version = match expected {
            ExpectedVersion::Exact(version) => Some(version.get()),
            _ => None,
        };
        let actual = actual.get();
        let admitted = match self.defect {
            Defect::NothingIsNotChecked => count == 0,
            _ if count == 0 => false,
            Defect::NoStreamIsAny => expected == ExpectedVersion::NoStream,
            Defect::ExistsIsAny => expected == ExpectedVersion::Exists,
            Defect::StaleBatchIsAdmitted => count > 1 && version.is_some_and(|version| 0 < version && version < actual),
            Defect::NextVersionIsAdmitted => actual > 0 && version == Some(actual + 1),
            Defect::VersionOfNoStreamIsAdmitted => actual == 0 && version.is_some(),
            Defect::VersionsAreBytes => {
                version.is_some_and(|version| version != actual && version & 0xFF == actual & 0xFF)
            }
            Defect::StartIsAny => version == Some(0),
            _ => false,
        };
        if admitted { ExpectedVersion::Any } else { expected }
    }

    /// What the store refuses, or pretends to have done, before it looks.
    async fn refusal(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        actual: Version,
        events: &[NewEvent],
    ) -> Option<Outcome> {
        let (first, empty) = (events.first()?.id, actual == Version::START);
        let conflict = || Some(Err(Conflict::new(stream.clone(), expected, actual).into()));
        let mismatch = || Some(Err(AppendError::mismatch(stream.clone(), first)));
        let large = events.iter().any(|event| event.payload.len() > MAX_PAYLOAD);
        match self.defect {
            Defect::NoStreamIsRefused if expected == ExpectedVersion::NoStream && empty => conflict(),
            Defect::ExistsIsRefused if expected == ExpectedVersion::Exists && !empty => conflict(),
            Defect::StartIsRefused if expected == ExpectedVersion::Exact(Version::START) && empty => conflict(),
            Defect::RepeatedIsHeld if self.knows(first).await && !expected.admits(actual) => conflict(),
            Defect::RepeatedOfTheNextVersionIsHeld
                if expected == ExpectedVersion::Exact(Version::new(actual.get() + 1)) && self.knows(first).await =>
            {
                conflict()
            }
            Defect::RefusedIdsAreKnown if self.state.notes().refused.contains(&first) => mismatch(),
            Defect::TimeIsContent => {
                let time = events.first()?.origin.recorded_at;
                let known = *self.state.notes().times.entry(first).or_insert(time);
                if known == time { None } else { mismatch() }
            }
            Defect::TooLargeIsDropped if large => Some(Ok(Appended::new(Version::new(1), Position::new(1), 1))),
            Defect::TooMuchAtOnceIsDropped
                if !large && events.iter().map(|event| event.payload.len()).sum::<usize>() > MAX_APPEND =>
            {
                Some(Ok(Appended::new(Version::new(1), Position::new(1), 1)))
            }
            Defect::LargestIsTooLarge if matches!(events, [only] if only.payload.len() == MAX_PAYLOAD) => {
                Some(Err(StoreError::refused("append events", "a payload is as long as it may be").into()))
            }
            Defect::LongestIdIsTooLong if stream.as_str().len() == MAX_STREAM_ID => {
                Some(Err(StoreError::refused("append events", "a name is as long as it may be").into()))
            }
            Defect::DroppedAppendLeavesATransaction if self.state.open_transaction.load(Ordering::SeqCst) => {
                Some(Err(StoreError::backend("append events", "a transaction is already open").into()))
            }
            _ => None,
        }
    }

    async fn knows(&self, id: Uuid) -> bool {
        self.all().await.iter().any(|event| event.id == id)
    }

    /// The append itself, as others may see it being made.
    async fn made(&self, stream: &StreamId, mut expected: ExpectedVersion, mut events: Vec<NewEvent>) -> Outcome {
        let first = events.first().map(|event| event.id);
        match self.defect {
            Defect::CheckAndAppendAreTwoSteps if expected.admits(self.stands(stream).await.version) => {
                yield_now().await;
                expected = ExpectedVersion::Any;
            }
            Defect::ConflictTakesNeighboursAlong => {
                yield_now().await;
                if self.is_spoilt() {
                    return Err(Conflict::new(stream.clone(), expected, Version::START).into());
                }
            }
            Defect::FeedPassesOverWhatIsUnderWay
            | Defect::FilteredFeedIsReadInTwoSteps
            | Defect::DroppedAppendLeavesATransaction
            | Defect::HeadCountsWhatIsUnderWay
            | Defect::ReadsAreStaleUnderLoad => yield_now().await,
            Defect::TwoAtOnceAreTwo => {
                let Some(first) = first else { return self.memory.append(stream, expected, events).await };
                if !self.state.notes().being_made.insert(first) {
                    for event in &mut events {
                        event.id = Uuid::now_v7();
                    }
                    return self.memory.append(stream, expected, events).await;
                }
                let _made = Made(self, first);
                yield_now().await;
                return self.memory.append(stream, expected, events).await;
            }
            Defect::EventsAreSeenOneByOne if events.len() == 3 && self.stands(stream).await.version.get() >= 3 => {
                return self.one_by_one(stream, events).await;
            }
            Defect::IdsAreThoseOfAStream => {
                let elsewhere: Vec<_> =
                    self.all().await.iter().filter(|event| event.stream != *stream).map(|event| event.id).collect();
                for event in events.iter_mut().filter(|event| elsewhere.contains(&event.id)) {
                    event.id = Uuid::now_v7();
                }
            }
            _ => {}
        }
        self.memory.append(stream, expected, events).await
    }

    /// In a task of its own, so that it is made to its end whoever is dropped.
    async fn one_by_one(&self, stream: &StreamId, events: Vec<NewEvent>) -> Outcome {
        let (memory, stream) = (self.memory.clone(), stream.clone());
        let made = tokio::spawn(async move {
            let (mut last, count) = (None, events.len() as u64);
            for event in events {
                last = Some(memory.append(&stream, ExpectedVersion::Any, vec![event]).await?);
                for _ in 0..3 {
                    yield_now().await;
                }
            }
            let last = last.expect("there were events");
            Ok(Appended::new(last.version, last.position, count))
        });
        made.await.expect("the task does not panic")
    }

    /// What the store makes of a failure.
    async fn concealed(&self, stream: &StreamId, events: &[NewEvent], result: Outcome) -> Outcome {
        match result {
            Err(AppendError::Conflict(conflict)) => Err(self.conflict(conflict, stream, events).await.into()),
            Err(AppendError::IdempotencyMismatch { id, .. }) => self.mismatch(stream, events, id).await,
            Err(error @ AppendError::TooLarge { .. }) => {
                if self.defect == Defect::TooLargeSparesItsNeighbours {
                    let small = events.iter().filter(|event| event.payload.len() <= MAX_PAYLOAD).cloned().collect();
                    self.memory.append(stream, ExpectedVersion::Any, small).await?;
                }
                Err(error)
            }
            result => result,
        }
    }

    fn is_spoilt(&self) -> bool {
        let spoilt = &self.state.spoilt;
        spoilt.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    async fn conflict(&self, mut conflict: Conflict, stream: &StreamId, events: &[NewEvent]) -> Conflict {
        match self.defect {
            Defect::ConflictNamesAnotherStream => conflict.stream = StreamId::new("Order", "another"),
            Defect::ConflictExpectsAny => conflict.expected = ExpectedVersion::Any,
            Defect::ConflictIsOneBehind => {
                conflict.actual = Version::new(conflict.actual.get().saturating_sub(1));
            }
            Defect::ConflictStoresTheFirst if events.len() > 2 => {
                let first = events[..1].to_vec();
                let _ = self.memory.append(stream, ExpectedVersion::Any, first).await;
            }
            Defect::RefusedIdsAreKnown => {
                self.state.notes().refused.extend(events.iter().map(|event| event.id));
            }
            Defect::ConflictTakesNeighboursAlong => {
                let others = self.state.under_way.load(Ordering::SeqCst).saturating_sub(1);
                self.state.spoilt.store(others.min(1), Ordering::SeqCst);
            }
            _ => {}
        }
        conflict
    }

    async fn mismatch(&self, stream: &StreamId, events: &[NewEvent], id: Uuid) -> Outcome {
        let stored = self.memory.read_stream(stream, Version::START, usize::MAX).await?;
        let known = |event: &NewEvent| stored.iter().find(|stored| stored.id == event.id);
        let all = events.iter().all(|event| known(event).is_some());
        let same = |alike: fn(&NewEvent, &StoredEvent) -> bool| {
            all && events.iter().all(|event| known(event).is_some_and(|stored| alike(event, stored)))
        };
        let is_same = match self.defect {
            Defect::PayloadIsNoContent => {
                in_order(events, &stored) && same(|new, old| is_type(new, old) && is_schema(new, old))
            }
            Defect::TypeIsNoContent => {
                in_order(events, &stored) && same(|new, old| is_payload(new, old) && is_schema(new, old))
            }
            Defect::SchemaVersionIsNoContent => {
                in_order(events, &stored) && same(|new, old| is_type(new, old) && is_payload(new, old))
            }
            Defect::OrderIsNoContent => {
                !in_order(events, &stored)
                    && same(|new, old| is_type(new, old) && is_payload(new, old) && is_schema(new, old))
            }
            Defect::KnownAmongNewIsIgnored => !all && events.iter().any(|event| known(event).is_some()),
            _ => false,
        };
        if is_same {
            return Ok(self.stands(stream).await.repeated());
        }
        let at = events.iter().position(|event| event.id == id).unwrap_or_default();
        match self.defect {
            Defect::FaultLeavesWhatCameBefore => {
                let before = events[..at].to_vec();
                let _ = self.memory.append(stream, ExpectedVersion::Any, before).await;
            }
            Defect::MismatchNamesTheFirst => {
                let id = events.first().map_or(id, |first| first.id);
                return Err(AppendError::mismatch(stream.clone(), id));
            }
            _ => {}
        }
        Err(AppendError::mismatch(stream.clone(), id))
    }

    /// What the store says of a success.
    async fn misreported(&self, stream: &StreamId, events: &[NewEvent], result: Outcome) -> Outcome {
        let mut appended = result?;
        let before_last = (events.len() as u64).saturating_sub(1);
        match self.defect {
            Defect::VersionIsThatOfTheFirst => appended.version = Version::new(appended.version.get() - before_last),
            Defect::PositionIsThatOfTheFirst => {
                appended.position = Position::new(appended.position.get() - before_last);
            }
            Defect::LaterPositionsAreOneBehind if appended.version.get() > 10 => {
                appended.position = Position::new(appended.position.get() - 1);
            }
            Defect::AppendsAreCounted => appended.events = appended.events.min(1),
            Defect::NothingTellsNothing if events.is_empty() => {
                appended = Appended::new(Version::START, Position::START, 0);
            }
            Defect::RepeatedTellsTheEnd if appended.repeated => appended = self.stands(stream).await.repeated(),
            Defect::RepeatedIsNotSaid => appended.repeated = false,
            Defect::RepeatedIsStoredIfNotTheLast
                if appended.repeated && appended.version != self.stands(stream).await.version =>
            {
                let again = events.iter().map(|event| NewEvent { id: Uuid::now_v7(), ..event.clone() });
                self.memory.append(stream, ExpectedVersion::Any, again.collect()).await?;
            }
            _ => {}
        }
        Ok(appended)
    }
}

fn is_type(event: &NewEvent, known: &StoredEvent) -> bool {
    *known.event_type == *event.event_type
}

fn is_payload(event: &NewEvent, known: &StoredEvent) -> bool {
    *known.payload() == event.payload
}

fn is_schema(event: &NewEvent, known: &StoredEvent) -> bool {
    known.schema_version == event.schema_version
}

/// Whether events stand in a stream one after the other.
fn in_order(events: &[NewEvent], stored: &[StoredEvent]) -> bool {
    let Some(first) = stored.iter().position(|stored| events.first().is_some_and(|event| event.id == stored.id)) else {
        return false;
    };
    events.iter().zip(&stored[first..]).all(|(event, stored)| event.id == stored.id)
}

/// An append that is being made, until it was.
struct Made<'a>(&'a Broken, Uuid);

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.0.state.notes().being_made.remove(&self.1);
    }
}
